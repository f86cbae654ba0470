//! What the core has to know of a row.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::arguments;
use crate::declaration::Declaration;
use crate::field::{Field, Starting, inner};

/// The columns of a row: the one place that names them all, and says of which type each has to be.
pub fn columns(resource: &Declaration) -> TokenStream {
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
pub fn implementation(resource: &Declaration) -> TokenStream {
    let Declaration {
        name,
        aggregate,
        removal,
        noun,
        ..
    } = resource;
    let one = resource.one();
    let (entity, model) = (resource.of_entity("Entity"), resource.of_entity("Model"));
    let gone = resource.columns().filter_map(|field| {
        let without = field.filter.as_ref()?.without.as_ref()?;
        let (ident, variant) = (&field.ident, field.variant(resource));
        Some((
            quote_spanned!(without.span()=> row.#ident == #without),
            quote_spanned!(without.span()=> .add(::rollbook::kit::sea_orm::ColumnTrait::ne(&#variant, #without))),
        ))
    });
    let ended = resource.ended().map(|field| {
        let (ident, variant) = (&field.ident, field.variant(resource));
        (
            quote!(row.#ident.is_some()),
            quote!(.add(::rollbook::kit::sea_orm::ColumnTrait::is_null(&#variant))),
        )
    });
    let (is_gone, living): (Vec<_>, Vec<_>) = gone.chain(ended).unzip();
    let ending = resource.ended().map(|field| {
        let ident = &field.ident;
        quote! {
            impl ::rollbook::collections::verbs::Ending for #name {
                fn bury(
                    row: &mut #model,
                    now: ::rollbook::prelude::DateTime<::rollbook::prelude::Utc>,
                ) -> Result<(), ::rollbook::problem::Problem> {
                    row.#ident = Some(now.fixed_offset());
                    Ok(())
                }
            }
        }
    });
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
    let organization_column = resource
        .columns()
        .find(|field| Some(&field.ident) == resource.organization.as_ref())
        .map(|field| field.variant(resource));
    let organization_column = match organization_column {
        Some(column) => quote!(Some(#column)),
        None => quote!(None),
    };
    let touched = resource
        .columns()
        .filter_map(|field| Some((field, field.touches.as_ref()?)));
    let (touches, touched): (Vec<_>, Vec<_>) = touched
        .map(|(field, touches)| {
            let (ident, kind, goes) = (&field.ident, &touches.aggregate, touches.goes);
            let column = field.variant(resource);
            (
                quote!(Option::from(row.#ident).map(|id| (#kind, id))),
                quote!(::rollbook::ledger::resource::Touched { aggregate: #kind, column: #column, goes: #goes }),
            )
        })
        .unzip();
    let (collection, description, verbs) =
        (&resource.collection, &resource.description, &resource.verbs);
    let fields: Vec<_> = resource
        .shown()
        .map(|field| {
            let (ident, kind) = (&field.ident, field.column_type());
            match field.private {
                true => quote_spanned!(field.at()=> #ident: private.then(|| #kind::show(columns.#ident)),),
                false => quote_spanned!(field.at()=> #ident: #kind::show(columns.#ident),),
            }
        })
        .collect();
    let (seen, from) = match &resource.private {
        Some(private) if resource.shown().any(|field| field.private) => {
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

        impl ::rollbook::ledger::resource::Resource for #name {
            type Entity = #entity;

            const COLLECTION: ::rollbook::values::scope::Collection =
                ::rollbook::values::scope::Collection::named(#collection);
            const DESCRIPTION: &'static str = #description;
            const AGGREGATE: &'static str = #aggregate;
            const NOUN: &'static str = #noun;
            const ONE: &'static str = #one;
            const REMOVAL: ::rollbook::ledger::verb::Verb = ::rollbook::ledger::verb::Verb::#removal;
            const VERBS: &'static [::rollbook::ledger::verb::Verb] =
                &[#(::rollbook::ledger::verb::Verb::Own(#verbs)),*];
            const SECRETS: &'static [&'static str] = &[#(#secrets),*];
            const BOOKKEEPING: &'static [&'static str] = &[#(#bookkeeping),*];
            const UNIQUE: &'static [::rollbook::ledger::resource::Unique] = &[#(#alone,)* #(#together,)*];

            ::rollbook::audited_columns!();

            fn organization(row: &#model) -> Option<::rollbook::kit::uuid::Uuid> {
                let _ = row;
                #organization
            }

            fn organization_column() -> Option<::rollbook::ledger::resource::Column<Self>> {
                #organization_column
            }

            fn touches(row: &#model) -> Vec<(&'static str, ::rollbook::kit::uuid::Uuid)> {
                let _ = row;
                let touched: [Option<(&'static str, ::rollbook::kit::uuid::Uuid)>; _] = [#(#touches),*];
                touched.into_iter().flatten().collect()
            }

            fn touched() -> Vec<::rollbook::ledger::resource::Touched<::rollbook::ledger::resource::Column<Self>>> {
                vec![#(#touched),*]
            }

            fn is_gone(row: &#model) -> bool {
                let _ = row;
                let gone: [bool; _] = [#(#is_gone),*];
                gone.contains(&true)
            }

            fn living() -> ::rollbook::kit::sea_orm::Condition {
                ::rollbook::kit::sea_orm::Condition::all()#(#living)*
            }
        }

        #ending

        impl ::rollbook::access::visibility::Shown for #name {
            fn seen_by(caller: &::rollbook::access::caller::Caller, row: #model) -> Self {
                #seen
            }
        }
    }
}

/// A row of which nothing is known but what it cannot be without.
pub fn blank(resource: &Declaration) -> TokenStream {
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
            ::rollbook::values::column::set(&mut row, #name, #value);
        }
    });
    quote! {
        impl #name {
            /// A row of which no more is known than this.
            ///
            /// # Errors
            /// None: a column that is left out does not compile.
            pub fn blank(#arguments) -> Result<#model, ::rollbook::problem::Problem> {
                let mut row = <#active as ::rollbook::kit::sea_orm::ActiveModelTrait>::default();
                #(#values)*
                ::rollbook::values::column::row(row)
            }
        }
    }
}
