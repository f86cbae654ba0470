//! What leaves.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::LitStr;

use super::words;
use crate::declaration::Declaration;

/// What leaves: the struct and its schema.
pub fn view(resource: &Declaration) -> TokenStream {
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
            ::rollbook::values::column::ShownField {
                name: #name,
                required: !#private && !#kind::NULLABLE,
                schema: #kind::shown_schema(&::rollbook::values::column::of_value(#words, #unique, None)),
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

        impl ::rollbook::ledger::resource::View for #name {
            const PATH: &'static str = #path;

            fn id(&self) -> ::rollbook::kit::uuid::Uuid {
                self.id
            }

            fn version(&self) -> i64 {
                self.version
            }
        }

        impl ::rollbook::kit::utoipa::PartialSchema for #name {
            fn schema() -> ::rollbook::kit::RefOrSchema {
                ::rollbook::values::column::view_schema(#description, [#(#properties),*])
            }
        }

        impl ::rollbook::kit::utoipa::ToSchema for #name {
            fn schemas(schemas: &mut Vec<(String, ::rollbook::kit::RefOrSchema)>) {
                #(#components)*
            }
        }
    }
}
