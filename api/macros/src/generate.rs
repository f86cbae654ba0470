//! Writes what a declaration stands for.
//!
//! What concerns one field has that field's span, so that the compiler's words point at it. The columns of a row are
//! named and typed in one place alone, `columns`, so that a wrong name or a wrong type is one error.

use heck::ToUpperCamelCase;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::LitStr;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::declaration::{Declaration, Field, Starting, Use, inner};

/// All of it.
pub fn all(resource: &Declaration) -> TokenStream {
    let parts = [
        view(resource),
        columns(resource),
        implementation(resource),
        blank(resource),
        new(resource),
        edit(resource),
        list(resource),
    ];
    parts.into_iter().collect()
}

impl Declaration {
    /// A type of the entity's module.
    fn of_entity(&self, name: &str) -> TokenStream {
        let (entity, name) = (&self.entity, Ident::new(name, self.entity.span()));
        quote_spanned!(self.entity.span()=> #entity::#name)
    }

    fn columns(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !field.parameter)
    }

    fn shown(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.is_shown())
    }

    fn has_private(&self) -> bool {
        self.private.is_some() && self.shown().any(|field| field.private)
    }
}

impl Field {
    fn at(&self) -> Span {
        self.kind.span()
    }

    fn name(&self) -> LitStr {
        LitStr::new(&self.ident.unraw().to_string(), self.ident.span())
    }

    /// The field's type, as what the core knows of it.
    fn column_type(&self) -> TokenStream {
        let kind = &self.kind;
        quote_spanned!(self.at()=> <#kind as ::rollbook::core::column::ColumnType>)
    }

    /// The entity's name of the column.
    fn variant(&self, resource: &Declaration) -> TokenStream {
        let column = resource.of_entity("Column");
        let name = self.ident.unraw().to_string().to_upper_camel_case();
        let variant = Ident::new(&name, self.ident.span());
        quote!(#column::#variant)
    }
}

/// What leaves: the struct and its schema.
fn view(resource: &Declaration) -> TokenStream {
    let Declaration {
        visibility,
        name,
        docs,
        collection,
        ..
    } = resource;
    let fields = resource.shown().map(|field| {
        let (ident, docs, kind) = (&field.ident, &field.docs, field.column_type());
        if field.private {
            return quote_spanned! {field.at()=>
                #(#[doc = #docs])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub #ident: Option<#kind::Shown>,
            };
        }
        quote_spanned!(field.at()=> #(#[doc = #docs])* pub #ident: #kind::Shown,)
    });
    let properties = resource.shown().map(|field| {
        let (name, kind, words, private) = (
            field.name(),
            field.column_type(),
            words(&field.docs),
            field.private,
        );
        let unique = field.unique;
        quote_spanned! {field.at()=>
            ::rollbook::core::column::ShownField {
                name: #name,
                required: !#private && !#kind::NULLABLE,
                schema: #kind::shown_schema(&::rollbook::core::column::of_view(#words, #unique)),
            }
        }
    });
    let components = resource.shown().map(|field| {
        let kind = field.column_type();
        quote_spanned!(field.at()=> #kind::components(schemas);)
    });
    let path = LitStr::new(&format!("/v1/{}", collection.value()), collection.span());
    let description = words(docs);
    quote! {
        #(#[doc = #docs])*
        #[derive(Debug, ::rollbook::kit::serde::Serialize)]
        #[serde(crate = "::rollbook::kit::serde")]
        #visibility struct #name { #(#fields)* }

        impl ::rollbook::core::resource::View for #name {
            const COLLECTION: &'static str = #path;

            fn id(&self) -> ::rollbook::kit::uuid::Uuid {
                self.id
            }

            fn version(&self) -> i64 {
                self.version
            }
        }

        impl ::rollbook::kit::utoipa::PartialSchema for #name {
            fn schema() -> ::rollbook::kit::RefOrSchema {
                ::rollbook::core::column::view_schema(#description, [#(#properties),*])
            }
        }

        impl ::rollbook::kit::utoipa::ToSchema for #name {
            fn schemas(schemas: &mut Vec<(String, ::rollbook::kit::RefOrSchema)>) {
                #(#components)*
            }
        }
    }
}

/// The columns of a row: the one place that names them all, and says of which type each has to be.
fn columns(resource: &Declaration) -> TokenStream {
    let (name, model) = (&resource.name, resource.of_entity("Model"));
    let columns = format_ident!("{}Columns", name);
    let whole: Vec<_> = resource.columns().filter(|field| !field.broken).collect();
    let fields = whole.iter().map(|field| {
        let (ident, kind) = (&field.ident, field.column_type());
        quote_spanned!(field.at()=> #ident: &'a mut #kind::Stored,)
    });
    let idents = whole.iter().map(|field| &field.ident);
    let named = resource.columns().map(|field| match field.broken {
        true => {
            let ident = &field.ident;
            quote!(#ident: _)
        }
        false => field.ident.to_token_stream(),
    });
    let pattern = quote_spanned!(resource.entity.span()=> let #model { #(#named),* } = row;);
    quote! {
        /// The columns of a row.
        #[allow(dead_code, reason = "not all of them are shown or changed")]
        struct #columns<'a> { #(#fields)* }

        impl #name {
            fn columns(row: &mut #model) -> #columns<'_> {
                #pattern
                #columns { #(#idents),* }
            }
        }
    }
}

/// What the core has to know of it.
fn implementation(resource: &Declaration) -> TokenStream {
    let Declaration {
        name,
        aggregate,
        removal,
        noun,
        ..
    } = resource;
    let gone = resource.columns().filter_map(|field| {
        let without = field.filter.as_ref()?.without.as_ref()?;
        let (ident, variant) = (&field.ident, field.variant(resource));
        Some((
            quote_spanned!(without.span()=> row.#ident == #without),
            quote_spanned!(without.span()=> .add(::rollbook::kit::sea_orm::ColumnTrait::ne(&#variant, #without))),
        ))
    });
    let (is_gone, living): (Vec<_>, Vec<_>) = gone.unzip();
    let (entity, model) = (resource.of_entity("Entity"), resource.of_entity("Model"));
    let secrets = resource.columns().filter(|field| field.secret);
    let secrets = secrets.map(Field::name);
    let bookkeeping = resource.columns().filter(|field| field.bookkeeping);
    let bookkeeping = bookkeeping.map(Field::name);
    let alone = resource.columns().filter(|field| field.unique);
    let alone = alone.map(|field| {
        let name = field.name();
        quote!((&[#name], #name))
    });
    let together = resource.unique.iter().filter(|columns| !columns.is_empty());
    let together = together.map(|columns| {
        let names = columns.iter().map(|ident| ident.unraw().to_string());
        let names: Vec<_> = names.collect();
        // The organization is seldom the mistake.
        let other = columns
            .iter()
            .position(|column| Some(column) != resource.organization.as_ref());
        let blamed = &names[other.unwrap_or(0)];
        quote!((&[#(#names),*], #blamed))
    });
    let organization = match &resource.organization {
        Some(column) => quote!(row.#column.into()),
        None => quote!(None),
    };
    let touches = resource.columns().filter_map(|field| {
        let (kind, ident) = (field.touches.as_ref()?, &field.ident);
        Some(quote!(Option::from(row.#ident).map(|id| (#kind, id))))
    });
    let fields: Vec<_> = resource
        .shown()
        .map(|field| {
            let (ident, kind) = (&field.ident, field.column_type());
            match field.private && resource.private.is_some() {
                true => quote_spanned!(field.at()=> #ident: private.then(|| #kind::show(columns.#ident)),),
                false => quote_spanned!(field.at()=> #ident: #kind::show(columns.#ident),),
            }
        })
        .collect();
    let (seen, from) = match &resource.private {
        Some(private) if resource.has_private() => {
            let seen = quote! {
                let mut row = row;
                let private: bool = #private(caller, &row);
                let columns = Self::columns(&mut row);
                Self { #(#fields)* }
            };
            (seen, TokenStream::new())
        }
        _ => {
            let from = quote! {
                impl From<#model> for #name {
                    fn from(mut row: #model) -> Self {
                        let columns = Self::columns(&mut row);
                        Self { #(#fields)* }
                    }
                }
            };
            let seen = quote! {
                let _ = caller;
                Self::from(row)
            };
            (seen, from)
        }
    };
    quote! {
        #from

        impl ::rollbook::core::resource::Resource for #name {
            type Entity = #entity;

            const AGGREGATE: &'static str = #aggregate;
            const NOUN: &'static str = #noun;
            const REMOVAL: ::rollbook::core::verb::Verb = ::rollbook::core::verb::Verb::#removal;
            const SECRETS: &'static [&'static str] = &[#(#secrets),*];
            const BOOKKEEPING: &'static [&'static str] = &[#(#bookkeeping),*];
            const UNIQUE: &'static [::rollbook::core::resource::Unique] = &[#(#alone,)* #(#together,)*];

            ::rollbook::audited_columns!();

            fn organization(row: &#model) -> Option<::rollbook::kit::uuid::Uuid> {
                let _ = row;
                #organization
            }

            fn touches(row: &#model) -> Vec<(&'static str, ::rollbook::kit::uuid::Uuid)> {
                let _ = row;
                let touched: [Option<(&'static str, ::rollbook::kit::uuid::Uuid)>; _] = [#(#touches),*];
                touched.into_iter().flatten().collect()
            }

            fn is_gone(row: &#model) -> bool {
                let _ = row;
                let gone: [bool; _] = [#(#is_gone),*];
                gone.contains(&true)
            }

            fn living() -> ::rollbook::kit::sea_orm::Condition {
                ::rollbook::kit::sea_orm::Condition::all()#(#living)*
            }

            fn seen_by(caller: &::rollbook::core::caller::Caller, row: #model) -> Self {
                #seen
            }
        }
    }
}

/// A row of which nothing is known but what it cannot be without.
fn blank(resource: &Declaration) -> TokenStream {
    let (name, model) = (&resource.name, resource.of_entity("Model"));
    let active = resource.of_entity("ActiveModel");
    let arguments = arguments(resource.columns().filter(|field| field.is_required()));
    let whole = resource.columns().filter(|field| !field.broken);
    let values = whole.map(|field| {
        let (name, ident, kind) = (field.name(), &field.ident, field.column_type());
        let value = match &field.default {
            Some(Starting::Default) => {
                let declared = &field.kind;
                quote_spanned!(field.at()=> #kind::store(<#declared as Default>::default()))
            }
            Some(Starting::Value(value)) => {
                quote_spanned!(value.span()=> <#kind::Stored>::from(#value))
            }
            None if inner(&field.kind).is_some() => {
                quote_spanned!(field.at()=> <#kind::Stored>::None)
            }
            None => quote_spanned!(field.at()=> <#kind::Stored>::from(#ident)),
        };
        quote_spanned! {field.at()=>
            ::rollbook::core::column::set(&mut row, #name, #value);
        }
    });
    quote! {
        impl #name {
            /// A row of which no more is known than this.
            ///
            /// # Errors
            /// None: a column that is left out does not compile.
            pub fn blank(#arguments) -> Result<#model, ::rollbook::core::problem::Problem> {
                let mut row = <#active as ::rollbook::kit::sea_orm::ActiveModelTrait>::default();
                #(#values)*
                ::rollbook::core::column::row(row)
            }
        }
    }
}

/// The arguments that give these columns.
fn arguments<'a>(fields: impl Iterator<Item = &'a Field>) -> TokenStream {
    let arguments = fields.map(|field| {
        let (ident, kind) = (&field.ident, field.column_type());
        quote_spanned!(field.at()=> #ident: #kind::Stored)
    });
    quote!(#(#arguments),*)
}

/// What a new row is made from.
fn new(resource: &Declaration) -> TokenStream {
    let taken = resource.fields.iter();
    let taken: Vec<_> = taken
        .filter_map(|field| Some((field, field.new.as_ref()?)))
        .collect();
    if taken.is_empty() {
        return TokenStream::new();
    }
    let (view, model) = (&resource.name, resource.of_entity("Model"));
    let name = format_ident!("New{}", view);
    let fields = taken.iter().map(|(field, used)| {
        let kind = &field.kind;
        let kind = match &used.takes {
            Some(takes) => takes.to_token_stream(),
            None if field.parameter || field.default.is_none() => kind.to_token_stream(),
            None => quote_spanned!(field.at()=> Option<#kind>),
        };
        Taken {
            field,
            used,
            kind,
            description: Description::New {
                unique: field.unique,
                default: default_note(field),
            },
        }
    });
    let title = format!(" What a new {} is made from.", resource.noun);
    let input = input(resource, &name, &title, fields);
    let given = arguments(
        resource
            .columns()
            .filter(|field| field.is_required() && !field.is_taken_as_it_is()),
    );
    let alone = given.is_empty().then(|| {
        quote! {
            impl ::rollbook::core::verbs::IntoRow<#view> for #name {
                fn into_row(self) -> Result<#model, ::rollbook::core::problem::Problem> {
                    Self::into_row(self)
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
            pub fn into_row(self, #given) -> Result<#model, ::rollbook::core::problem::Problem> {
                let #mutable row = #view::blank(#(#passed),*)?;
                #columns
                #(#written)*
                Ok(row)
            }
        }

        impl ::rollbook::core::verbs::Made for #view {
            type New = #name;
        }

        #alone
    }
}

/// A merge patch of a row.
fn edit(resource: &Declaration) -> TokenStream {
    let edits = resource.fields.iter();
    let edits: Vec<_> = edits
        .filter_map(|field| Some((field, field.edit.as_ref()?)))
        .collect();
    if edits.is_empty() {
        return TokenStream::new();
    }
    let (view, model) = (&resource.name, resource.of_entity("Model"));
    let name = format_ident!("Edit{}", view);
    let fields = edits.iter().map(|(field, edit)| {
        let kind = edit.used.takes.as_ref().unwrap_or(&field.kind);
        let note = match edit.with.is_some() || field.parameter {
            true => quote!(None),
            false => {
                let kind = field.column_type();
                quote_spanned!(field.at()=> #kind::PATCHING)
            }
        };
        Taken {
            field,
            used: &edit.used,
            kind: quote_spanned!(kind.span()=> ::rollbook::core::input::Patch<#kind>),
            description: Description::Edit {
                unique: field.unique,
                admin: edit.admin,
                note,
            },
        }
    });
    let article = match resource
        .noun
        .to_lowercase()
        .starts_with(['a', 'e', 'i', 'o'])
    {
        true => "an",
        false => "a",
    };
    let title = format!(" A merge patch of {article} {}.", resource.noun);
    let input = input(resource, &name, &title, fields);
    let admins: Vec<_> = edits
        .iter()
        .filter(|(_, edit)| edit.admin)
        .map(|(field, _)| &field.ident)
        .collect();
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
            /// Whether it changes what is a system admin's to change.
            pub fn is_for_system_admins(&self) -> bool {
                let asked: [bool; _] = [#(self.#admins.is_set()),*];
                asked.contains(&true)
            }

            /// Changes the row, and says what happened to it: of several things the one with the weightiest verb.
            ///
            /// # Errors
            /// Those of the columns.
            pub fn apply(&self, row: &mut #model) -> Result<::rollbook::core::verb::Verb, ::rollbook::core::problem::Problem> {
                let columns = #view::columns(row);
                #(#plain)*
                let mut verb = ::rollbook::core::verb::Verb::Updated;
                #(#special)*
                Ok(verb)
            }
        }

        impl ::rollbook::core::verbs::Edited for #view {
            type Edit = #name;

            fn is_for_system_admins(edit: &#name) -> bool {
                edit.is_for_system_admins()
            }

            fn apply(edit: &#name, row: &mut #model) -> Result<::rollbook::core::verb::Verb, ::rollbook::core::problem::Problem> {
                edit.apply(row)
            }
        }
    }
}

/// Which rows to list.
fn list(resource: &Declaration) -> TokenStream {
    let filters = resource.fields.iter();
    let filters: Vec<_> = filters
        .filter_map(|field| Some((field, field.filter.as_ref()?)))
        .collect();
    let (view, entity) = (&resource.name, resource.of_entity("Entity"));
    let name = format_ident!("List{}s", view);
    let fields = filters.iter().map(|(field, filter)| {
        let kind = match &filter.used.takes {
            Some(takes) => takes.to_token_stream(),
            None => {
                let kind = inner(&field.kind).unwrap_or(&field.kind);
                quote_spanned!(field.at()=> Option<#kind>)
            }
        };
        Taken {
            field,
            used: &filter.used,
            kind,
            description: Description::Filter,
        }
    });
    let title = format!(" Which {}s to list.", resource.noun);
    let search = resource.search.iter().map(|words| Added {
        ident: Ident::new("q", words.span()),
        kind: quote!(Option<::rollbook::core::text::SearchText>),
        doc: words.clone(),
    });
    let place = [
        Added::new(
            "limit",
            quote!(::rollbook::core::page::Limit),
            "How many, at most.",
        ),
        Added::new(
            "cursor",
            quote!(Option<::rollbook::core::page::CursorText>),
            "Where to go on: the `next_cursor` of the page before.",
        ),
    ];
    let added: Vec<_> = search.chain(place).collect();
    let input = input_with(resource, &name, &title, fields, &added);
    let narrowed = filters
        .iter()
        .filter(|(field, filter)| !field.parameter && filter.used.takes.is_none());
    let narrowed = narrowed.map(|(field, filter)| {
        let (ident, variant) = (&field.ident, field.variant(resource));
        let eq = quote!(::rollbook::kit::sea_orm::ColumnTrait::eq(&#variant, value));
        let concerns = (resource.organization.as_ref() == Some(ident))
            .then(|| quote!(caller.concerns(self.#ident);));
        let otherwise = filter.without.as_ref().map(|without| {
            quote_spanned! {without.span()=>
                else { select = select.filter(::rollbook::kit::sea_orm::ColumnTrait::ne(&#variant, #without)); }
            }
        });
        quote! {
            #concerns
            if let Some(value) = self.#ident { select = select.filter(#eq); } #otherwise
        }
    });
    let searched: Vec<_> = resource
        .columns()
        .filter(|field| field.search)
        .map(|field| field.variant(resource))
        .collect();
    let searched = (resource.search.is_some() && !searched.is_empty()).then(|| {
        quote! {
            if let Some(text) = &self.q {
                select = select.filter(::rollbook::core::page::any_contains(caller, [#(#searched),*], text));
            }
        }
    });
    quote! {
        #input

        impl #name {
            /// Narrows a select to what is asked for, and says which page of it.
            #[allow(unused_mut, clippy::needless_pass_by_value, reason = "some lists have no filter")]
            pub fn narrow(
                self,
                caller: &::rollbook::core::caller::Caller,
                mut select: ::rollbook::kit::sea_orm::Select<#entity>,
            ) -> (::rollbook::kit::sea_orm::Select<#entity>, ::rollbook::core::page::Place) {
                use ::rollbook::kit::sea_orm::QueryFilter as _;
                let _ = caller;
                #(#narrowed)*
                #searched
                (select, (self.limit, self.cursor))
            }
        }

        impl ::rollbook::core::verbs::Listed for #view {
            type List = #name;

            fn narrow(
                list: #name,
                caller: &::rollbook::core::caller::Caller,
                select: ::rollbook::kit::sea_orm::Select<#entity>,
            ) -> (::rollbook::kit::sea_orm::Select<#entity>, ::rollbook::core::page::Place) {
                list.narrow(caller, select)
            }
        }
    }
}

/// A field of what comes in.
struct Taken<'a> {
    field: &'a Field,
    used: &'a Use,
    kind: TokenStream,
    description: Description,
}

/// A field of what comes in that is no field of the resource.
struct Added {
    ident: Ident,
    kind: TokenStream,
    doc: LitStr,
}

impl Added {
    fn new(name: &str, kind: TokenStream, doc: &str) -> Self {
        Self {
            ident: Ident::new(name, Span::call_site()),
            kind,
            doc: LitStr::new(doc, Span::call_site()),
        }
    }
}

/// How a field's words become its description.
enum Description {
    New {
        unique: bool,
        default: TokenStream,
    },
    Edit {
        unique: bool,
        admin: bool,
        note: TokenStream,
    },
    Filter,
}

impl Taken<'_> {
    fn docs(&self) -> Vec<LitStr> {
        match &self.used.doc {
            Some(words) => vec![words.clone()],
            None => self.field.docs.clone(),
        }
    }

    fn description(&self) -> TokenStream {
        let words = words(&self.docs());
        let own = self.used.doc.is_some();
        match &self.description {
            Description::New { .. } if own => quote!(#words.to_owned()),
            Description::New { unique, default } => {
                quote!(::rollbook::core::column::of_new(#words, #unique, #default))
            }
            Description::Edit {
                unique,
                admin,
                note,
            } => {
                let unique = *unique && !own;
                quote!(::rollbook::core::column::of_edit(#words, #unique, #note, #admin))
            }
            Description::Filter if own || self.field.parameter => quote!(#words.to_owned()),
            Description::Filter => {
                let name = self.field.name();
                let without = self.field.filter.as_ref();
                let without = without.and_then(|filter| filter.without.as_ref());
                let without = match without {
                    Some(value) => quote!(::rollbook::core::column::name_of(&#value)),
                    None => quote!(None),
                };
                quote!(::rollbook::core::column::of_filter(#name, #without))
            }
        }
    }
}

/// What a new row has where nothing is said, if that has a name.
fn default_note(field: &Field) -> TokenStream {
    match &field.default {
        Some(Starting::Value(value)) if !field.parameter => {
            let kind = field.column_type();
            quote_spanned!(value.span()=> ::rollbook::core::column::name_of(&<#kind::Stored>::from(#value)))
        }
        _ => quote!(None),
    }
}

/// The struct that a body or a query is read into.
fn input<'a>(
    resource: &Declaration,
    name: &Ident,
    title: &str,
    fields: impl Iterator<Item = Taken<'a>>,
) -> TokenStream {
    input_with(resource, name, title, fields, &[])
}

fn input_with<'a>(
    resource: &Declaration,
    name: &Ident,
    title: &str,
    fields: impl Iterator<Item = Taken<'a>>,
    added: &[Added],
) -> TokenStream {
    let visibility = &resource.visibility;
    let (mut declared, mut read, mut idents, mut properties) = (vec![], vec![], vec![], vec![]);
    for taken in fields {
        let (ident, kind, docs) = (&taken.field.ident, &taken.kind, taken.docs());
        let (name, description) = (taken.field.name(), taken.description());
        let at = taken.field.at();
        declared.push(quote_spanned!(at=> #(#[doc = #docs])* pub #ident: #kind,));
        read.push(quote_spanned!(at=> let #ident = fields.field::<#kind>(#name);));
        idents.push(ident.clone());
        properties.push(quote_spanned! {at=>
            ::rollbook::core::input::Property::of::<#kind>(#name, #description)
        });
    }
    for Added { ident, kind, doc } in added {
        let name = LitStr::new(&ident.to_string(), ident.span());
        declared.push(quote!(#[doc = #doc] pub #ident: #kind,));
        read.push(quote!(let #ident = fields.field::<#kind>(#name);));
        idents.push(ident.clone());
        properties
            .push(quote!(::rollbook::core::input::Property::of::<#kind>(#name, #doc.to_owned())));
    }
    quote! {
        #[doc = #title]
        #[derive(Clone, Debug)]
        #visibility struct #name { #(#declared)* }

        impl ::rollbook::core::input::Input for #name {
            fn read(fields: &mut ::rollbook::core::input::Fields<'_>) -> Option<Self> {
                #(#read)*
                Some(Self { #(#idents: #idents?,)* })
            }

            fn properties() -> Vec<::rollbook::core::input::Property> {
                vec![#(#properties),*]
            }
        }

        ::rollbook::input_schema!(#name, #title);
    }
}

/// A documentation as one text.
fn words(docs: &[LitStr]) -> String {
    let lines = docs.iter().map(|line| line.value().trim().to_owned());
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}
