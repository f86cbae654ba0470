//! Reads a declaration, and finds everything that is wrong with it.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, Parser};
use syn::{
    Attribute, Error, Expr, Fields, Ident, ItemStruct, LitStr, Meta, Path, Result, Type, Visibility,
};

/// A resource, as it was declared.
pub struct Declaration {
    pub entity: Path,
    pub collection: LitStr,
    pub aggregate: LitStr,
    /// What one is called in a sentence.
    pub noun: String,
    pub removal: Ident,
    pub organization: Option<Ident>,
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

/// A field: a column, or a parameter of requests.
pub struct Field {
    pub ident: Ident,
    pub kind: Type,
    pub docs: Vec<LitStr>,
    pub new: Option<Use>,
    pub edit: Option<Edit>,
    pub filter: Option<Filter>,
    pub default: Option<Starting>,
    pub touches: Option<LitStr>,
    pub given: bool,
    pub private: bool,
    pub hidden: bool,
    pub secret: bool,
    pub bookkeeping: bool,
    pub unique: bool,
    pub search: bool,
    pub parameter: bool,
    /// It is wrong, which was said: nothing is made of it that could be wrong once more.
    pub broken: bool,
}

/// Where a field is taken from a request.
#[derive(Clone, Default)]
pub struct Use {
    /// Its own documentation.
    pub doc: Option<LitStr>,
    /// Its own type.
    pub takes: Option<Type>,
}

/// How a merge patch changes a column.
#[derive(Default)]
pub struct Edit {
    pub used: Use,
    pub admin: bool,
    pub with: Option<Path>,
}

/// How a list is narrowed by a column.
#[derive(Default)]
pub struct Filter {
    pub used: Use,
    pub without: Option<Expr>,
}

/// What a column starts with.
pub enum Starting {
    Default,
    Value(Box<Expr>),
}

const OPTIONS: &str =
    "entity, collection, aggregate, noun, removal, organization, search, private, unique";
const ATTRIBUTES: &str = "input, new, edit, filter, default, given, search, unique, touches, private, hidden, secret, bookkeeping, parameter";

const AUDITED: [&str; 6] = [
    "id",
    "version",
    "created_at",
    "updated_at",
    "created_by",
    "updated_by",
];
/// Types that are taken for those of columns.
const NO_COLUMN_TYPES: &str = "str, Vec, HashMap, BTreeMap, Value, Json, DateTime, u8, u16, u32, u64, usize, i8, i16, isize, f32, f64, char";

/// Reads a declaration. What is wrong with single fields comes beside it; without the rest there is nothing to make.
pub fn read(options: TokenStream, item: TokenStream) -> Result<(Declaration, Vec<Error>)> {
    let item: ItemStruct = syn::parse2(item)?;
    let mut errors = Vec::new();
    let mut given = Options::default();
    syn::meta::parser(|meta| given.take(&meta)).parse2(options)?;
    let mut missing = |option: &str, example: &str| {
        let words = format!("`{option} = …` is missing, such as `{option} = {example}`");
        errors.push(Error::new(Span::call_site(), words));
    };
    if given.collection.is_none() {
        missing("collection", "\"projects\"");
    }
    if given.aggregate.is_none() {
        missing("aggregate", "\"project\"");
    }
    if given.entity.is_none() {
        missing("entity", "entity::projects");
        let mut errors = errors.into_iter();
        return match errors.next() {
            Some(first) => Err(errors.fold(first, |mut all, error| {
                all.combine(error);
                all
            })),
            None => Err(Error::new(Span::call_site(), "`entity = …` is missing")),
        };
    }
    let mut item = item;
    take_out_audited_columns(&mut item, &mut errors);
    let mut fields = with_audited_columns(fields(&item, &mut errors)?, &mut errors)?;
    check_together(&mut given, &mut fields, &mut errors);
    let nothing = || LitStr::new("", Span::call_site());
    let declaration = Declaration {
        entity: given
            .entity
            .ok_or_else(|| Error::new(Span::call_site(), "`entity = …` is missing"))?,
        collection: given.collection.unwrap_or_else(nothing),
        noun: given.noun.map_or_else(
            || {
                let aggregate = given.aggregate.as_ref().map(LitStr::value);
                aggregate.unwrap_or_default().replace('_', " ")
            },
            |noun| noun.value(),
        ),
        aggregate: given.aggregate.unwrap_or_else(nothing),
        removal: given
            .removal
            .unwrap_or_else(|| Ident::new("Deleted", Span::call_site())),
        organization: given.organization,
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
    removal: Option<Ident>,
    organization: Option<Ident>,
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
            "removal" => set(&mut self.removal, meta)?,
            "organization" => set(&mut self.organization, meta)?,
            "search" => set(&mut self.search, meta)?,
            "private" => set(&mut self.private, meta)?,
            "unique" => {
                let content;
                syn::parenthesized!(content in meta.input);
                let columns = content.parse_terminated(<Ident as Parse>::parse, syn::Token![,])?;
                self.unique.push(columns.into_iter().collect());
            }
            _ => return Err(meta.error(format!("there is no such option; known: {OPTIONS}"))),
        }
        Ok(())
    }
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
        #[default(::rollbook::core::clock::now().fixed_offset())]
        created_at: ::rollbook::core::text::Timestamp,
        /// When it was changed last.
        #[default(::rollbook::core::clock::now().fixed_offset())]
        updated_at: ::rollbook::core::text::Timestamp,
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
    options
        .unique
        .retain(|columns| columns.iter().all(&mut is_known));
}

fn fields(item: &ItemStruct, errors: &mut Vec<Error>) -> Result<Vec<Field>> {
    let Fields::Named(named) = &item.fields else {
        let words = "a resource is a struct with a named field for each column";
        return Err(Error::new(item.ident.span(), words));
    };
    let mut fields = Vec::new();
    for declared in &named.named {
        let Some(ident) = declared.ident.clone() else {
            continue;
        };
        let mut field = Field {
            ident,
            kind: declared.ty.clone(),
            docs: docs(&declared.attrs),
            new: None,
            edit: None,
            filter: None,
            default: None,
            touches: None,
            given: false,
            private: false,
            hidden: false,
            secret: false,
            bookkeeping: false,
            unique: false,
            search: false,
            parameter: false,
            broken: false,
        };
        let before = errors.len();
        for attribute in &declared.attrs {
            if let Err(error) = field.attribute(attribute) {
                errors.push(error);
            }
        }
        // What follows from an attribute that was not understood is no second mistake.
        if errors.len() == before
            && let Err(error) = field.check()
        {
            errors.push(error);
        }
        if errors.len() > before {
            field.break_off();
        }
        fields.push(field);
    }
    Ok(fields)
}

impl Field {
    fn attribute(&mut self, attribute: &Attribute) -> Result<()> {
        let path = attribute.path();
        let name = path.get_ident().map(Ident::to_string).unwrap_or_default();
        let flag = || attribute.meta.require_path_only().map(|_| true);
        match name.as_str() {
            "doc" => {}
            "new" => {
                let mut used = Use::default();
                nested(attribute, "doc, as", |meta, name| used.take(meta, name))?;
                self.new = Some(used);
            }
            "input" => {
                let mut used = Use::default();
                nested(attribute, "doc, as", |meta, name| used.take(meta, name))?;
                self.new = Some(used.clone());
                self.edit = Some(Edit {
                    used,
                    ..Edit::default()
                });
            }
            "edit" => {
                let mut edit = Edit::default();
                nested(attribute, "doc, as, admin, with", |meta, name| match name {
                    "with" => set(&mut edit.with, meta).map(|()| true),
                    "admin" => {
                        edit.admin = true;
                        Ok(true)
                    }
                    _ => edit.used.take(meta, name),
                })?;
                self.edit = Some(edit);
            }
            "filter" => {
                let mut filter = Filter::default();
                nested(attribute, "doc, as, without", |meta, name| match name {
                    "without" => set(&mut filter.without, meta).map(|()| true),
                    _ => filter.used.take(meta, name),
                })?;
                self.filter = Some(filter);
            }
            "default" => {
                self.default = Some(match &attribute.meta {
                    Meta::Path(_) => Starting::Default,
                    _ => Starting::Value(attribute.parse_args()?),
                });
            }
            "touches" => self.touches = Some(attribute.parse_args()?),
            "given" => self.given = flag()?,
            "private" => self.private = flag()?,
            "hidden" => self.hidden = flag()?,
            "secret" => self.secret = flag()?,
            "bookkeeping" => self.bookkeeping = flag()?,
            "unique" => self.unique = flag()?,
            "search" => self.search = flag()?,
            "parameter" => self.parameter = flag()?,
            _ => {
                let words = format!("a field has no such attribute; known: {ATTRIBUTES}");
                return Err(Error::new_spanned(path, words));
            }
        }
        Ok(())
    }

    /// Leaves of it what cannot be wrong.
    fn break_off(&mut self) {
        (self.broken, self.hidden) = (true, true);
        (self.new, self.edit, self.filter) = (None, None, None);
        (self.default, self.touches) = (None, None);
        (self.given, self.private, self.secret, self.search) = (false, false, false, false);
    }

    /// What is wrong with the field as a whole.
    fn check(&self) -> Result<()> {
        let fault = |words: &str| Err(Error::new(self.ident.span(), words));
        let kind = inner(&self.kind).unwrap_or(&self.kind);
        if let Type::Path(path) = kind
            && let Some(last) = path.path.segments.last()
        {
            let is = |name: &str| last.ident == name;
            if NO_COLUMN_TYPES.split(", ").any(is) {
                let words = "no type of a column: text has the types of `rollbook::core::text`, such as `Name` and `Line100`, a time is a `Timestamp`, JSON a `JsonObject`, a number an `i32` or `i64`";
                return Err(Error::new_spanned(kind, words));
            }
            if is("String") && self.is_taken() && !self.parameter {
                let words = "text that comes in has one of the types of `rollbook::core::text`, such as `Line100`, which says what it may be";
                return Err(Error::new_spanned(kind, words));
            }
        }
        if self.docs.is_empty() && (self.is_shown() || self.is_taken()) {
            return fault(
                "what it means is not said: a doc comment, its description in the OpenAPI document",
            );
        }
        if let Some(edit) = &self.edit
            && let Some(takes) = &edit.used.takes
            && edit.with.is_none()
            && !self.parameter
        {
            let words = "how a value of another type changes the column is not said: `with = …`, a `fn(&mut Model, T) -> Result<Option<Verb>, Problem>`";
            return Err(Error::new_spanned(takes, words));
        }
        if self.parameter {
            return match self.is_taken() {
                true => Ok(()),
                false => fault("a parameter is of a request: `#[new]`, `#[edit]` or `#[filter]`"),
            };
        }
        if self.is_required() && !self.given && !self.is_taken_as_it_is() {
            return fault(
                "what a new row has here is not known: `#[new]` takes it from the request, `#[given]` from the code, `#[default(…)]` says it",
            );
        }
        if (self.secret || self.hidden) && (self.filter.is_some() || self.search) {
            return fault("what nobody sees cannot be searched for");
        }
        if self.secret && (self.hidden || self.private) {
            return fault("a secret is hidden already: `#[secret]` alone");
        }
        Ok(())
    }

    /// Whether it is a column whose values leave.
    pub fn is_shown(&self) -> bool {
        !(self.hidden || self.secret || self.parameter)
    }

    fn is_taken(&self) -> bool {
        self.new.is_some() || self.edit.is_some() || self.filter.is_some()
    }

    /// Whether `New…` has the column's value.
    pub fn is_taken_as_it_is(&self) -> bool {
        !self.parameter && self.new.as_ref().is_some_and(|used| used.takes.is_none())
    }

    /// Whether a row cannot be without it: it has no default and is not optional.
    pub fn is_required(&self) -> bool {
        !(self.parameter || self.broken) && self.default.is_none() && inner(&self.kind).is_none()
    }
}

impl Use {
    fn take(&mut self, meta: &ParseNestedMeta<'_>, name: &str) -> Result<bool> {
        match name {
            "doc" => set(&mut self.doc, meta)?,
            "as" => set(&mut self.takes, meta)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What an `Option` is of.
pub fn inner(kind: &Type) -> Option<&Type> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last()?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first()? {
        syn::GenericArgument::Type(inner) if last.ident == "Option" => Some(inner),
        _ => None,
    }
}

fn docs(attributes: &[Attribute]) -> Vec<LitStr> {
    let texts = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        match &pair.value {
            Expr::Lit(literal) if pair.path.is_ident("doc") => match &literal.lit {
                syn::Lit::Str(text) => Some(text.clone()),
                _ => None,
            },
            _ => None,
        }
    });
    texts.collect()
}

/// The parts of an attribute in its parentheses, if it has any; `take` says whether it knows a name.
fn nested(
    attribute: &Attribute,
    known: &str,
    mut take: impl FnMut(&ParseNestedMeta<'_>, &str) -> Result<bool>,
) -> Result<()> {
    if let Meta::Path(_) = attribute.meta {
        return Ok(());
    }
    attribute.parse_nested_meta(|meta| match take(&meta, &name(&meta))? {
        true => Ok(()),
        false => Err(meta.error(format!("there is no such word here; known: {known}"))),
    })
}

fn set<T: Parse>(slot: &mut Option<T>, meta: &ParseNestedMeta<'_>) -> Result<()> {
    *slot = Some(meta.value()?.parse()?);
    Ok(())
}

fn name(meta: &ParseNestedMeta<'_>) -> String {
    let ident = meta.path.get_ident();
    ident
        .map(|ident| ident.unraw().to_string())
        .unwrap_or_default()
}
