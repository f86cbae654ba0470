//! The struct that a body or a query is read into.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;
use syn::ext::IdentExt;

use super::words;
use crate::declaration::Declaration;
use crate::field::{Field, Use};

/// A member of that struct.
pub struct Member {
    ident: Ident,
    at: Span,
    docs: Vec<LitStr>,
    kind: TokenStream,
    /// What makes its words in the OpenAPI document.
    description: TokenStream,
}

impl Member {
    /// A field of the resource; `described` makes its description of its words, and of whether they are its own here.
    pub fn of(
        field: &Field,
        used: &Use,
        kind: TokenStream,
        described: impl FnOnce(&str, bool) -> TokenStream,
    ) -> Self {
        let docs = match &used.doc {
            Some(words) => vec![words.clone()],
            None => field.docs.clone(),
        };
        Self {
            ident: field.ident.clone(),
            at: field.at(),
            kind,
            description: described(&words(&docs), used.doc.is_some()),
            docs,
        }
    }

    /// One that is no field of the resource.
    pub fn added(name: &str, kind: TokenStream, doc: LitStr) -> Self {
        let at = doc.span();
        Self {
            ident: Ident::new(name, at),
            at,
            kind,
            description: plain(&doc.value()),
            docs: vec![doc],
        }
    }
}

/// Words that are a description as they stand.
pub fn plain(words: &str) -> TokenStream {
    quote!(#words.to_owned())
}

/// The struct, its reading and its schema.
pub fn input(resource: &Declaration, name: &Ident, title: &str, members: &[Member]) -> TokenStream {
    let visibility = &resource.visibility;
    let idents: Vec<_> = members.iter().map(|member| &member.ident).collect();
    let declared = members.iter().map(|member| {
        let Member {
            ident,
            at,
            docs,
            kind,
            ..
        } = member;
        quote_spanned!(*at=> #(#[doc = #docs])* pub #ident: #kind,)
    });
    let read = members.iter().map(|member| {
        let (ident, kind, name) = (
            &member.ident,
            &member.kind,
            member.ident.unraw().to_string(),
        );
        quote_spanned!(member.at=> let #ident = fields.field::<#kind>(#name);)
    });
    let properties = members.iter().map(|member| {
        let Member {
            at,
            kind,
            description,
            ..
        } = member;
        let name = member.ident.unraw().to_string();
        quote_spanned!(*at=> ::rollbook::values::input::Property::of::<#kind>(#name, #description))
    });
    quote! {
        #[doc = #title]
        #[derive(Clone, Debug)]
        #visibility struct #name { #(#declared)* }

        impl ::rollbook::values::input::Input for #name {
            fn read(fields: &mut ::rollbook::values::input::Fields<'_>) -> Option<Self> {
                #(#read)*
                Some(Self { #(#idents: #idents?,)* })
            }

            fn properties() -> Vec<::rollbook::values::input::Property> {
                vec![#(#properties),*]
            }
        }

        ::rollbook::input_schema!(#name, #title);
    }
}
