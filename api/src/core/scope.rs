//! Scopes: what a key may be used for, collection by collection.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};

use super::input::{Fault, Field, pointer};

/// Declares the collections: each once, so that none is left out where they are told one by one.
macro_rules! collections {
    ($($(#[doc = $description:literal])* $variant:ident => $name:literal,)*) => {
        /// A collection of the API, as scopes name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Collection {
            $($(#[doc = $description])* $variant,)*
        }

        impl Collection {
            /// Every collection.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in paths and scopes.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What is in it, for the OpenAPI document.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($description),*).trim_ascii(),)*
                }
            }
        }
    };
}

collections! {
    /// The tenants.
    Organizations => "organizations",
    /// The people.
    Users => "users",
    /// Who belongs to an organization, and in which role.
    Memberships => "memberships",
    /// What programs sign in with.
    ApiKeys => "api-keys",
    /// The audit trail.
    Events => "events",
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

impl Collection {
    /// The collection that a path below `/v1` belongs to.
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.strip_prefix('/')?.split('/').next()?;
        let named = |collection: &Self| collection.name() == name;
        Self::ALL.iter().copied().find(named)
    }
}

impl Scope {
    /// How many there are.
    pub const COUNT: usize = 2 * Collection::ALL.len() + 1;

    /// Every scope, `*` last.
    pub fn all() -> impl Iterator<Item = Scope> {
        let of = |collection: &Collection| {
            [
                Scope::Of(*collection, Action::Read),
                Scope::Of(*collection, Action::Write),
            ]
        };
        Collection::ALL.iter().flat_map(of).chain([Scope::All])
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
        Scope::all()
            .find(|scope| scope.to_string() == text)
            .ok_or(())
    }
}

impl Field for Scope {
    fn present(value: &Value) -> Result<Self, Fault> {
        let Value::String(text) = value else {
            return Err(Fault::wrong_type("a string", value));
        };
        text.parse().map_err(|()| {
            let known = Scope::all()
                .map(|scope| scope.to_string())
                .collect::<Vec<_>>()
                .join(", ");
            Fault::new("unknown-value", format!("Must be one of: {known}."))
        })
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .enum_values(Some(Scope::all().map(|scope| scope.to_string())))
            .into()
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
