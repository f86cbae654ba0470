//! Scopes: what a key may be used for, collection by collection.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, Array, ObjectBuilder, Schema, SchemaType, Type,
};

use crate::values::input::{Fault, Field, pointer};

/// A collection of the API, as paths and scopes name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collection(&'static str);

/// Those of the products of this process, in the order in which they were named: the text of a scope is read where no
/// product is at hand.
static DECLARED: RwLock<Vec<Collection>> = RwLock::new(Vec::new());

impl Collection {
    /// The one with this name below `/v1`.
    pub const fn named(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// Makes it one that scopes can name. What was not declared no scope opens but `*`.
    pub(crate) fn declare(self) {
        let mut declared = DECLARED.write().unwrap_or_else(PoisonError::into_inner);
        if !declared.contains(&self) {
            declared.push(self);
        }
    }

    /// Every one that was declared.
    fn all() -> Vec<Self> {
        DECLARED
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn find(name: &str) -> Option<Self> {
        let declared = DECLARED.read().unwrap_or_else(PoisonError::into_inner);
        declared.iter().copied().find(|known| known.0 == name)
    }

    /// The collection that a path below `/v1` belongs to.
    pub fn of_path(path: &str) -> Option<Self> {
        Self::find(path.strip_prefix('/')?.split('/').next()?)
    }
}

/// What a scope allows in a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Read,
    Write,
}

/// What an API key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// `*`: whatever its user may do.
    All,
    /// One kind of action in one collection.
    Of(Collection, Action),
}

impl Scope {
    /// Every scope, `*` last.
    pub fn all() -> Vec<Scope> {
        let collections = Collection::all().into_iter();
        let of =
            |collection| [Action::Read, Action::Write].map(|action| Scope::Of(collection, action));
        collections.flat_map(of).chain([Scope::All]).collect()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::All => formatter.write_str("*"),
            Scope::Of(collection, Action::Read) => write!(formatter, "{}:read", collection.name()),
            Scope::Of(collection, Action::Write) => {
                write!(formatter, "{}:write", collection.name())
            }
        }
    }
}

impl FromStr for Scope {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "*" {
            return Ok(Scope::All);
        }
        let (name, action) = text.split_once(':').ok_or(())?;
        let action = match action {
            "read" => Action::Read,
            "write" => Action::Write,
            _ => return Err(()),
        };
        let collection = Collection::find(name).ok_or(())?;
        Ok(Scope::Of(collection, action))
    }
}

impl Field for Scope {
    fn present(value: &Value) -> Result<Self, Fault> {
        let Value::String(text) = value else {
            return Err(Fault::wrong_type("a string", value));
        };
        text.parse().map_err(|()| {
            let known: Vec<_> = Scope::all().iter().map(Scope::to_string).collect();
            let known = known.join(", ");
            Fault::new("unknown-value", format!("Must be one of: {known}."))
        })
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .enum_values(Some(Scope::all().iter().map(Scope::to_string)))
            .into()
    }
}

/// The scopes that a key is given: at least one, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeList(pub Vec<Scope>);

impl Field for ScopeList {
    fn present(value: &Value) -> Result<Self, Fault> {
        let Value::Array(items) = value else {
            return Err(Fault::wrong_type("an array", value));
        };
        let most = Scope::all().len();
        if !(1..=most).contains(&items.len()) {
            let detail = format!("Must have 1 to {most} items, not {}.", items.len());
            return Err(Fault::new("wrong-length", detail));
        }
        let mut scopes = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let below = |fault: Fault| Fault {
                below: format!("/{index}{}", fault.below),
                ..fault
            };
            let scope = Scope::present(item).map_err(below)?;
            if scopes.contains(&scope) {
                let detail = "Each item may be there once.";
                return Err(below(Fault::new("repeated", detail)));
            }
            scopes.push(scope);
        }
        Ok(Self(scopes))
    }

    fn schema() -> RefOr<Schema> {
        let mut array = Array::new(Scope::schema());
        array.min_items = Some(1);
        array.max_items = Some(Scope::all().len());
        array.unique_items = true;
        RefOr::T(Schema::Array(array))
    }
}

/// The scopes of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// The scopes in the column; what is not a scope allows nothing.
    pub fn of(column: &Value) -> Self {
        let texts = column
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        Self(texts.filter_map(|text| text.parse().ok()).collect())
    }

    /// The first of these that `others` do not allow.
    pub fn beyond(&self, others: &Scopes) -> Option<Scope> {
        self.0.iter().copied().find(|scope| !others.allow(*scope))
    }

    /// Whether one of them is `*` or the very one.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&Scope::All) || self.0.contains(&scope)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// Scopes that a membership grants beyond its role: `{"events:read": true}`. In a merge patch `null` takes one away.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permissions(pub Map<String, Value>);

impl From<Permissions> for Value {
    fn from(permissions: Permissions) -> Self {
        Value::Object(
            permissions
                .0
                .into_iter()
                .filter(|(_, granted)| !granted.is_null())
                .collect(),
        )
    }
}

impl Field for Permissions {
    fn present(value: &Value) -> Result<Self, Fault> {
        let Value::Object(members) = value else {
            return Err(Fault::wrong_type("an object", value));
        };
        for (scope, granted) in members {
            let below = |fault: Fault| Fault {
                below: pointer("", scope),
                ..fault
            };
            Scope::present(&Value::from(scope.as_str())).map_err(below)?;
            if !matches!(granted, Value::Bool(_) | Value::Null) {
                return Err(below(Fault::wrong_type("true, false or null", granted)));
            }
        }
        Ok(Self(members.clone()))
    }

    fn schema() -> RefOr<Schema> {
        let granted = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Boolean, Type::Null]))
            .build();
        let mut object = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Object))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        for scope in Scope::all() {
            object = object.property(scope.to_string(), granted.clone());
        }
        object.into()
    }
}
