//! Writes what a declaration stands for.
//!
//! What concerns one field has that field's span, so that the compiler's words point at it. The columns of a row are
//! named and typed in one place alone, `row::columns`, so that a wrong name or a wrong type is one error.

mod input;
mod request;
mod rights;
mod row;
mod view;

use heck::ToUpperCamelCase;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::declaration::Declaration;
use crate::field::Field;

/// All of it.
pub fn all(resource: &Declaration) -> TokenStream {
    let parts = [
        view::view(resource),
        row::columns(resource),
        row::implementation(resource),
        rights::all(resource),
        row::blank(resource),
        request::new(resource),
        request::edit(resource),
        request::list(resource),
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

    /// The column of the moment of its end.
    fn ended(&self) -> Option<&Field> {
        self.columns().find(|field| field.ended)
    }

    /// What one is called in a sentence, with its article.
    fn one(&self) -> String {
        match self.noun.to_lowercase().starts_with(['a', 'e', 'i', 'o']) {
            true => format!("an {}", self.noun),
            false => format!("a {}", self.noun),
        }
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
        quote_spanned!(self.at()=> <#kind as ::rollbook::values::column::ColumnType>)
    }

    /// The entity's name of the column.
    fn variant(&self, resource: &Declaration) -> TokenStream {
        let column = resource.of_entity("Column");
        let name = self.ident.unraw().to_string().to_upper_camel_case();
        let variant = Ident::new(&name, self.ident.span());
        quote!(#column::#variant)
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

/// A documentation as one text.
fn words(docs: &[LitStr]) -> String {
    let lines = docs.iter().map(|line| line.value().trim().to_owned());
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}
