//! Reads a field of a declaration, and finds everything that is wrong with it.

use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Error, Expr, Fields, Ident, ItemStruct, LitStr, Meta, Path, Result, Token, Type,
};

/// A field: a column, or a parameter of requests.
pub struct Field {
    pub ident: Ident,
    pub kind: Type,
    pub docs: Vec<LitStr>,
    pub new: Option<Use>,
    pub edit: Option<Edit>,
    pub filter: Option<Filter>,
    pub default: Option<Starting>,
    pub touches: Option<Touches>,
    pub given: bool,
    pub private: bool,
    pub hidden: bool,
    pub secret: bool,
    pub bookkeeping: bool,
    pub unique: bool,
    pub search: bool,
    pub parameter: bool,
    pub ended: bool,
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
    pub with: Option<Path>,
}

/// That a column names a row of another resource.
pub struct Touches {
    /// What the trail calls that resource.
    pub aggregate: LitStr,
    /// Whether the row goes when that one is removed.
    pub goes: bool,
}

/// What a column starts with.
pub enum Starting {
    Default,
    Value(Box<Expr>),
}

const ATTRIBUTES: &str = "input, new, edit, filter, default, given, search, unique, touches, private, hidden, secret, bookkeeping, parameter, ended";

/// Types that are taken for those of columns.
const NO_COLUMN_TYPES: &str = "str, Vec, HashMap, BTreeMap, Value, Json, DateTime, u8, u16, u32, u64, usize, i8, i16, isize, f32, f64, char";

/// The fields of a struct.
pub fn fields(item: &ItemStruct, errors: &mut Vec<Error>) -> Result<Vec<Field>> {
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
            ended: false,
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
                nested(
                    attribute,
                    "doc, as, with, without",
                    |meta, name| match name {
                        "with" => set(&mut filter.with, meta).map(|()| true),
                        "without" => set(&mut filter.without, meta).map(|()| true),
                        _ => filter.used.take(meta, name),
                    },
                )?;
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
            "bookkeeping" => {
                self.bookkeeping = true;
                nested(attribute, "hidden", |_, name| {
                    self.hidden |= name == "hidden";
                    Ok(name == "hidden")
                })?;
            }
            "unique" => self.unique = flag()?,
            "search" => self.search = flag()?,
            "parameter" => self.parameter = flag()?,
            "ended" => self.ended = flag()?,
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
                let words = "no type of a column: text has the types of `rollbook::values::text`, such as `Name` and `Line100`, a time is a `Timestamp`, JSON a `JsonObject`, a number an `i32` or `i64`";
                return Err(Error::new_spanned(kind, words));
            }
            if is("String") && self.is_taken() && !self.parameter {
                let words = "text that comes in has one of the types of `rollbook::values::text`, such as `Line100`, which says what it may be";
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
        if let Some(filter) = &self.filter
            && filter.with.is_none()
            && self.parameter
        {
            return fault(
                "how a parameter narrows a list is not said: `#[filter(with = …)]`, a `fn(&Caller, Select<Entity>, T) -> Select<Entity>`",
            );
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
        if self.ended && inner(&self.kind).is_none() {
            return fault("the moment of its end is none at first: an `Option<Timestamp>`");
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

impl Parse for Touches {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let aggregate: LitStr = input.parse()?;
        let words = "whether the row goes when that one is removed is not said: `goes` or `stays`, such as `#[touches(\"organization\", goes)]`";
        if input.is_empty() {
            return Err(Error::new(aggregate.span(), words));
        }
        input.parse::<Token![,]>()?;
        let end: Ident = input.parse()?;
        match end.to_string().as_str() {
            "goes" | "stays" => Ok(Self {
                aggregate,
                goes: end == "goes",
            }),
            _ => Err(Error::new(end.span(), words)),
        }
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

pub fn docs(attributes: &[Attribute]) -> Vec<LitStr> {
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

pub fn set<T: Parse>(slot: &mut Option<T>, meta: &ParseNestedMeta<'_>) -> Result<()> {
    *slot = Some(meta.value()?.parse()?);
    Ok(())
}

pub fn name(meta: &ParseNestedMeta<'_>) -> String {
    let ident = meta.path.get_ident();
    ident
        .map(|ident| ident.unraw().to_string())
        .unwrap_or_default()
}
