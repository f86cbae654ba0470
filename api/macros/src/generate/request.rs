//! What comes in: what a row is made from, a merge patch of it, and which rows to list.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::LitStr;
use syn::spanned::Spanned;

use super::arguments;
use super::input::{Member, input, plain};
use crate::declaration::Declaration;
use crate::field::{Field, Starting, inner};

/// What a new row is made from.
pub fn new(resource: &Declaration) -> TokenStream {
    let taken = resource.fields.iter();
    let taken: Vec<_> = taken
        .filter_map(|field| Some((field, field.new.as_ref()?)))
        .collect();
    if taken.is_empty() {
        return TokenStream::new();
    }
    let (view, model) = (&resource.name, resource.of_entity("Model"));
    let name = format_ident!("New{}", view);
    let members = taken.iter().map(|(field, used)| {
        let kind = &field.kind;
        let kind = match &used.takes {
            Some(takes) => takes.to_token_stream(),
            None if field.parameter || field.default.is_none() => kind.to_token_stream(),
            None => quote_spanned!(field.at()=> Option<#kind>),
        };
        Member::of(field, used, kind, |words, own| match own {
            true => plain(words),
            false => {
                let (unique, default) = (field.unique, default_note(field));
                quote!(::rollbook::values::column::of_value(#words, #unique, #default))
            }
        })
    });
    let members: Vec<_> = members.collect();
    let title = format!(" What a new {} is made from.", resource.noun);
    let input = input(resource, &name, &title, &members);
    let given = arguments(
        resource
            .columns()
            .filter(|field| field.is_required() && !field.is_taken_as_it_is()),
    );
    let alone = given.is_empty().then(|| {
        quote! {
            impl ::rollbook::collections::verbs::Made for #view {
                type New = #name;

                fn row(new: #name) -> Result<#model, ::rollbook::problem::Problem> {
                    new.into_row()
                }
            }
        }
    });
    let passed = resource.columns().filter(|field| field.is_required());
    let passed = passed.map(|field| {
        let (ident, kind) = (&field.ident, field.column_type());
        match field.is_taken_as_it_is() {
            true => quote_spanned!(field.at()=> #kind::store(self.#ident)),
            false => ident.to_token_stream(),
        }
    });
    let written = resource
        .columns()
        .filter(|field| field.is_taken_as_it_is() && !field.is_required());
    let written = written.map(|field| {
        let (ident, kind) = (&field.ident, field.column_type());
        match field.default {
            Some(_) => quote_spanned! {field.at()=>
                if let Some(value) = self.#ident { *columns.#ident = #kind::store(value); }
            },
            None => quote_spanned!(field.at()=> *columns.#ident = #kind::store(self.#ident);),
        }
    });
    let written: Vec<_> = written.collect();
    let columns = (!written.is_empty()).then(|| quote!(let columns = #view::columns(&mut row);));
    let mutable = columns.is_some().then(|| quote!(mut));
    let needed = taken
        .iter()
        .filter(|(field, used)| used.takes.is_none() && field.is_required());
    let needed = needed.map(|(field, _)| {
        let (ident, kind) = (&field.ident, &field.kind);
        quote_spanned!(field.at()=> #ident: #kind)
    });
    let known = taken.iter().map(|(field, used)| {
        let ident = &field.ident;
        match used.takes.is_none() && field.is_required() {
            true => quote!(#ident,),
            false => quote!(#ident: Default::default(),),
        }
    });
    quote! {
        #input

        impl #name {
            /// One that says no more than what has to be said.
            pub fn of(#(#needed),*) -> Self {
                Self { #(#known)* }
            }

            /// The row to be, without what the unit of work sets.
            ///
            /// # Errors
            /// Those of `blank`.
            pub fn into_row(self, #given) -> Result<#model, ::rollbook::problem::Problem> {
                let #mutable row = #view::blank(#(#passed),*)?;
                #columns
                #(#written)*
                Ok(row)
            }
        }

        #alone
    }
}

/// A merge patch of a row.
pub fn edit(resource: &Declaration) -> TokenStream {
    let edits = resource.fields.iter();
    let edits: Vec<_> = edits
        .filter_map(|field| Some((field, field.edit.as_ref()?)))
        .collect();
    if edits.is_empty() {
        return TokenStream::new();
    }
    let (view, model) = (&resource.name, resource.of_entity("Model"));
    let name = format_ident!("Edit{}", view);
    let members = edits.iter().map(|(field, edit)| {
        let kind = edit.used.takes.as_ref().unwrap_or(&field.kind);
        let note = match edit.with.is_some() || field.parameter {
            true => quote!(None),
            false => {
                let kind = field.column_type();
                quote_spanned!(field.at()=> #kind::PATCHING)
            }
        };
        let kind = quote_spanned!(kind.span()=> ::rollbook::values::input::Patch<#kind>);
        Member::of(field, &edit.used, kind, |words, own| {
            let (unique, admin) = (field.unique && !own, edit.admin);
            quote!(::rollbook::values::column::of_edit(#words, #unique, #note, #admin))
        })
    });
    let members: Vec<_> = members.collect();
    let title = format!(" A merge patch of {}.", resource.one());
    let input = input(resource, &name, &title, &members);
    let admins: Vec<_> = edits
        .iter()
        .filter(|(_, edit)| edit.admin)
        .map(|(field, _)| &field.ident)
        .collect();
    let (names, idents): (Vec<_>, Vec<_>) = edits
        .iter()
        .map(|(field, _)| (field.name(), &field.ident))
        .unzip();
    let plain = edits
        .iter()
        .filter(|(field, edit)| edit.with.is_none() && !field.parameter);
    let plain = plain.map(|(field, _)| {
        let (ident, name, kind) = (&field.ident, field.name(), field.column_type());
        quote_spanned! {field.at()=>
            if let Some(value) = self.#ident.value() { #kind::patch(Clone::clone(value), #name, columns.#ident)?; }
        }
    });
    let special = edits.iter().filter_map(|(field, edit)| {
        let (ident, with) = (&field.ident, edit.with.as_ref()?);
        Some(quote_spanned! {with.span()=>
            if let Some(value) = self.#ident.value() && let Some(told) = #with(row, Clone::clone(value))? {
                verb = verb.max(told);
            }
        })
    });
    quote! {
        #input

        impl #name {
            /// The fields that were sent.
            pub fn sent(&self) -> Vec<&'static str> {
                let sent: [(&str, bool); _] = [#((#names, self.#idents.is_set())),*];
                let sent = sent.into_iter().filter(|(_, is_set)| *is_set);
                sent.map(|(name, _)| name).collect()
            }

            /// Whether it changes what is a system admin's to change.
            pub fn is_for_system_admins(&self) -> bool {
                let asked: [bool; _] = [#(self.#admins.is_set()),*];
                asked.contains(&true)
            }

            /// Changes the row, and says what happened to it: of several things the one with the weightiest verb.
            ///
            /// # Errors
            /// Those of the columns.
            pub fn apply(&self, row: &mut #model) -> Result<::rollbook::ledger::verb::Verb, ::rollbook::problem::Problem> {
                let columns = #view::columns(row);
                #(#plain)*
                let mut verb = ::rollbook::ledger::verb::Verb::Updated;
                #(#special)*
                Ok(verb)
            }
        }

        impl ::rollbook::collections::verbs::Edited for #view {
            type Edit = #name;

            fn is_for_system_admins(edit: &#name) -> bool {
                edit.is_for_system_admins()
            }

            fn apply(edit: &#name, row: &mut #model) -> Result<::rollbook::ledger::verb::Verb, ::rollbook::problem::Problem> {
                edit.apply(row)
            }
        }
    }
}

/// What a new row has where nothing is said, if that has a name.
fn default_note(field: &Field) -> TokenStream {
    match &field.default {
        Some(Starting::Value(value)) if !field.parameter => {
            let kind = field.column_type();
            quote_spanned!(value.span()=> ::rollbook::values::column::name_of(&<#kind::Stored>::from(#value)))
        }
        _ => quote!(None),
    }
}

/// Which rows to list.
pub fn list(resource: &Declaration) -> TokenStream {
    let filters = resource.fields.iter();
    let filters: Vec<_> = filters
        .filter_map(|field| Some((field, field.filter.as_ref()?)))
        .collect();
    let (view, entity) = (&resource.name, resource.of_entity("Entity"));
    let name = format_ident!("List{}s", view);
    let members = filters.iter().map(|(field, filter)| {
        let kind = match &filter.used.takes {
            Some(takes) => takes.to_token_stream(),
            None => {
                let kind = inner(&field.kind).unwrap_or(&field.kind);
                quote_spanned!(field.at()=> Option<#kind>)
            }
        };
        Member::of(field, &filter.used, kind, |words, own| {
            if own || field.parameter {
                return plain(words);
            }
            let name = field.name();
            let without = match &filter.without {
                Some(value) => quote!(::rollbook::values::column::name_of(&#value)),
                None => quote!(None),
            };
            quote!(::rollbook::values::column::of_filter(#name, #without))
        })
    });
    let title = format!(" Which {}s to list.", resource.noun);
    let search = resource.search.iter().map(|words| {
        let kind = quote!(Option<::rollbook::values::text::SearchText>);
        Member::added("q", kind, words.clone())
    });
    let place = [
        (
            "limit",
            quote!(::rollbook::collections::page::Limit),
            "How many, at most.",
        ),
        (
            "cursor",
            quote!(Option<::rollbook::collections::page::CursorText>),
            "Where to go on: the `next_cursor` of the page before.",
        ),
    ];
    let place = place
        .map(|(name, kind, doc)| Member::added(name, kind, LitStr::new(doc, Span::call_site())));
    let members: Vec<_> = members.chain(search).chain(place).collect();
    let input = input(resource, &name, &title, &members);
    let narrowed = filters
        .iter()
        .filter(|(_, filter)| filter.used.takes.is_none());
    let narrowed = narrowed.map(|(field, filter)| {
        if let Some(with) = &filter.with {
            let ident = &field.ident;
            return quote_spanned! {with.span()=>
                if let Some(value) = list.#ident { select = #with(caller, select, value); }
            };
        }
        let (ident, variant) = (&field.ident, field.variant(resource));
        let kind = inner(&field.kind).unwrap_or(&field.kind);
        let eq = quote_spanned! {field.at()=>
            ::rollbook::kit::sea_orm::ColumnTrait::eq(
                &#variant,
                <#kind as ::rollbook::values::column::ColumnType>::store(value),
            )
        };
        let concerns = (resource.organization.as_ref() == Some(ident))
            .then(|| quote!(caller.concerns(list.#ident);));
        let otherwise = filter.without.as_ref().map(|without| {
            quote_spanned! {without.span()=>
                else { select = select.filter(::rollbook::kit::sea_orm::ColumnTrait::ne(&#variant, #without)); }
            }
        });
        quote! {
            #concerns
            if let Some(value) = list.#ident { select = select.filter(#eq); } #otherwise
        }
    });
    let ended = resource.ended().map(|field| {
        let variant = field.variant(resource);
        quote!(select = select.filter(::rollbook::kit::sea_orm::ColumnTrait::is_null(&#variant));)
    });
    let searched: Vec<_> = resource
        .columns()
        .filter(|field| field.search)
        .map(|field| field.variant(resource))
        .collect();
    let searched = (resource.search.is_some() && !searched.is_empty()).then(|| {
        quote! {
            if let Some(text) = &list.q {
                select = select.filter(::rollbook::collections::page::any_contains(caller, [#(#searched),*], text));
            }
        }
    });
    quote! {
        #input

        impl ::rollbook::collections::verbs::Listed for #view {
            type List = #name;

            #[allow(unused_mut, reason = "some lists have no filter")]
            fn narrow(
                list: #name,
                caller: &::rollbook::access::caller::Caller,
                mut select: ::rollbook::kit::sea_orm::Select<#entity>,
            ) -> (::rollbook::kit::sea_orm::Select<#entity>, ::rollbook::collections::page::Place) {
                use ::rollbook::kit::sea_orm::QueryFilter as _;
                let _ = caller;
                #(#narrowed)*
                #ended
                #searched
                (select, (list.limit, list.cursor))
            }
        }
    }
}
