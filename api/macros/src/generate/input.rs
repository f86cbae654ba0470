//! The struct that a body or a query is read into.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;
use syn::spanned::Spanned;

use super::words;
use crate::declaration::Declaration;
use crate::field::{Field, Starting, Use};

/// A field of what comes in.
pub struct Taken<'a> {
    pub field: &'a Field,
    pub used: &'a Use,
    pub kind: TokenStream,
    pub description: Description,
}

/// A field of what comes in that is no field of the resource.
pub struct Added {
    pub ident: Ident,
    pub kind: TokenStream,
    pub doc: LitStr,
}

impl Added {
    pub fn new(name: &str, kind: TokenStream, doc: &str) -> Self {
        Self {
            ident: Ident::new(name, Span::call_site()),
            kind,
            doc: LitStr::new(doc, Span::call_site()),
        }
    }
}

/// How a field's words become its description.
pub enum Description {
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
pub fn default_note(field: &Field) -> TokenStream {
    match &field.default {
        Some(Starting::Value(value)) if !field.parameter => {
            let kind = field.column_type();
            quote_spanned!(value.span()=> ::rollbook::core::column::name_of(&<#kind::Stored>::from(#value)))
        }
        _ => quote!(None),
    }
}

/// The struct that a body or a query is read into.
pub fn input<'a>(
    resource: &Declaration,
    name: &Ident,
    title: &str,
    fields: impl Iterator<Item = Taken<'a>>,
) -> TokenStream {
    input_with(resource, name, title, fields, &[])
}

pub fn input_with<'a>(
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
