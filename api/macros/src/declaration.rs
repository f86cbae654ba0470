//! Reads a declaration.

use proc_macro2::{Span, TokenStream};
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, Parser};
use syn::{Error, Fields, Ident, ItemStruct, LitStr, Path, Result, Visibility};

use crate::field::{Field, docs, fields, name, set};
use crate::rights::{Rights, Said};

/// A resource, as it was declared.
pub struct Declaration {
    pub entity: Path,
    pub collection: LitStr,
    pub aggregate: LitStr,
    /// What one is called in a sentence.
    pub noun: String,
    /// What is in the collection.
    pub description: String,
    pub removal: Ident,
    /// The words of its own for what happens to it.
    pub verbs: Vec<LitStr>,
    pub organization: Option<Ident>,
    /// The column of the person whose a row is.
    pub own: Option<Ident>,
    pub rights: Rights,
    pub search: Option<LitStr>,
    pub private: Option<Path>,
    /// Columns that are unique together.
    pub unique: Vec<Vec<Ident>>,
    pub visibility: Visibility,
    pub name: Ident,
    pub docs: Vec<LitStr>,
    /// Those that every audited table has are among them.
    pub fields: Vec<Field>,
}

const OPTIONS: &str = "entity, collection, aggregate, noun, description, removal, verbs, organization, own, read, write, change, remove, search, private, unique";
const AUDITED: [&str; 6] = [
    "id",
    "version",
    "created_at",
    "updated_at",
    "created_by",
    "updated_by",
];

/// Reads a declaration. What is wrong with single fields comes beside it; without the rest there is nothing to make.
pub fn read(options: TokenStream, item: TokenStream) -> Result<(Declaration, Vec<Error>)> {
    let mut item: ItemStruct = syn::parse2(item)?;
    let mut errors = Vec::new();
    let mut given = Options::default();
    syn::meta::parser(|meta| given.take(&meta)).parse2(options)?;
    let missing = |option: &str, example: &str| {
        let words = format!("`{option} = …` is missing, such as `{option} = {example}`");
        Error::new(Span::call_site(), words)
    };
    if given.collection.is_none() {
        errors.push(missing("collection", "\"projects\""));
    }
    if given.aggregate.is_none() {
        errors.push(missing("aggregate", "\"project\""));
    }
    let Some(entity) = given.entity.take() else {
        let without = missing("entity", "entity::projects");
        return Err(errors.into_iter().fold(without, |mut all, error| {
            all.combine(error);
            all
        }));
    };
    take_out_audited_columns(&mut item, &mut errors);
    let mut fields = with_audited_columns(fields(&item, &mut errors)?, &mut errors)?;
    given.rights.has_organization = given.organization.is_some();
    given.rights.has_person = given.own.is_some();
    let rights = Rights::of(&given.rights, &mut errors);
    check_together(&mut given, &mut fields, &mut errors);
    let nothing = || LitStr::new("", Span::call_site());
    let aggregate = given.aggregate.unwrap_or_else(nothing);
    let noun = match given.noun {
        Some(noun) => noun.value(),
        None => aggregate.value().replace('_', " "),
    };
    let declaration = Declaration {
        entity,
        collection: given.collection.unwrap_or_else(nothing),
        description: match given.description {
            Some(description) => description.value(),
            None => format!("The {noun}s."),
        },
        noun,
        aggregate,
        verbs: given.verbs,
        removal: given
            .removal
            .unwrap_or_else(|| Ident::new("Deleted", Span::call_site())),
        organization: given.organization,
        own: given.own,
        rights,
        search: given.search,
        private: given.private,
        unique: given.unique,
        visibility: item.vis,
        name: item.ident,
        docs: docs(&item.attrs),
        fields,
    };
    Ok((declaration, errors))
}

/// The options of the attribute.
#[derive(Default)]
struct Options {
    entity: Option<Path>,
    collection: Option<LitStr>,
    aggregate: Option<LitStr>,
    noun: Option<LitStr>,
    description: Option<LitStr>,
    verbs: Vec<LitStr>,
    removal: Option<Ident>,
    organization: Option<Ident>,
    own: Option<Ident>,
    rights: Said,
    search: Option<LitStr>,
    private: Option<Path>,
    unique: Vec<Vec<Ident>>,
}

impl Options {
    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        match name(meta).as_str() {
            "entity" => set(&mut self.entity, meta)?,
            "collection" => set(&mut self.collection, meta)?,
            "aggregate" => set(&mut self.aggregate, meta)?,
            "noun" => set(&mut self.noun, meta)?,
            "description" => set(&mut self.description, meta)?,
            "removal" => set(&mut self.removal, meta)?,
            "organization" => set(&mut self.organization, meta)?,
            "own" => set(&mut self.own, meta)?,
            "read" => set(&mut self.rights.read, meta)?,
            "write" => set(&mut self.rights.write, meta)?,
            "change" => set(&mut self.rights.change, meta)?,
            "remove" => set(&mut self.rights.remove, meta)?,
            "search" => set(&mut self.search, meta)?,
            "private" => set(&mut self.private, meta)?,
            "verbs" => self.verbs = listed(meta)?,
            "unique" => self.unique.push(listed(meta)?),
            _ => return Err(meta.error(format!("there is no such option; known: {OPTIONS}"))),
        }
        Ok(())
    }
}

fn listed<T: Parse>(meta: &ParseNestedMeta<'_>) -> Result<Vec<T>> {
    let content;
    syn::parenthesized!(content in meta.input);
    let parts = content.parse_terminated(T::parse, syn::Token![,])?;
    Ok(parts.into_iter().collect())
}

/// Refuses the columns that every audited table has.
fn take_out_audited_columns(item: &mut ItemStruct, errors: &mut Vec<Error>) {
    let Fields::Named(named) = &mut item.fields else {
        return;
    };
    let own = std::mem::take(&mut named.named);
    for field in own {
        match &field.ident {
            Some(ident) if AUDITED.iter().any(|name| ident == name) => {
                let words = "every resource has this column: it is added without being said";
                errors.push(Error::new(ident.span(), words));
            }
            _ => named.named.push(field),
        }
    }
}

/// The columns that every audited table has, around those that were declared.
fn with_audited_columns(own: Vec<Field>, errors: &mut Vec<Error>) -> Result<Vec<Field>> {
    let first = syn::parse_quote! { struct First {
        /// Its id.
        #[default(::rollbook::kit::uuid::Uuid::nil())]
        id: ::rollbook::kit::uuid::Uuid,
    } };
    let last = syn::parse_quote! { struct Last {
        /// How often it was changed, its making included; the `ETag`.
        #[default(0_i64)]
        version: i64,
        /// When it was made.
        #[default(::rollbook::values::clock::now().fixed_offset())]
        created_at: ::rollbook::values::text::Timestamp,
        /// When it was changed last.
        #[default(::rollbook::values::clock::now().fixed_offset())]
        updated_at: ::rollbook::values::text::Timestamp,
        /// Who made it.
        created_by: Option<::rollbook::kit::uuid::Uuid>,
        /// Who changed it last.
        updated_by: Option<::rollbook::kit::uuid::Uuid>,
    } };
    let (mut all, last) = (fields(&first, errors)?, fields(&last, errors)?);
    all.extend(own);
    all.extend(last);
    Ok(all)
}

/// What the options and the fields must have in common.
fn check_together(options: &mut Options, fields: &mut [Field], errors: &mut Vec<Error>) {
    let mut fault = |span: Span, words: &str| errors.push(Error::new(span, words));
    for field in fields.iter_mut() {
        if field.search && options.search.is_none() {
            let words = "what `q` means is not said: `search = \"Those with this text in …\"` among the options of `resource`";
            fault(field.ident.span(), words);
        }
        if field.private && options.private.is_none() {
            let words = "who sees it is not said: `private = …` among the options of `resource`, a `fn(&Caller, &Model) -> bool`";
            fault(field.ident.span(), words);
            field.private = false;
        }
    }
    for field in fields.iter() {
        let is_tenant = Some(&field.ident) == options.organization.as_ref() && field.ident != "id";
        if is_tenant && field.touches.is_none() && !field.broken {
            let words = "whether a row goes when its organization is removed is not said: `#[touches(\"organization\", goes)]` or `stays`";
            fault(field.ident.span(), words);
        }
    }
    let mut is_known = |name: &Ident| {
        let is_known = fields.iter().any(|field| field.ident == *name);
        if !is_known {
            let known: Vec<_> = fields.iter().map(|field| field.ident.to_string()).collect();
            let words = format!("there is no such field; known: {}", known.join(", "));
            fault(name.span(), &words);
        }
        is_known
    };
    options.organization = options.organization.take().filter(&mut is_known);
    options.own = options.own.take().filter(&mut is_known);
    options
        .unique
        .retain(|columns| columns.iter().all(&mut is_known));
}
