//! Who may do what: scopes of keys, roles in organizations, and which rows exist for a caller.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use entity::sea_orm_active_enums::{
    MembershipRole, MembershipStatus, OrganizationStatus, UserRole,
};
use entity::{memberships, organizations};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, FromQueryResult, JoinType, QueryFilter,
    QuerySelect, RelationTrait,
};
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};
use uuid::Uuid;

use super::caller::Caller;
use super::input::{Fault, Field, pointer};
use super::problem::Problem;

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

/// What a caller may do in one organization.
#[derive(Clone, Debug)]
pub struct Access {
    /// A system admin may do everything, an owner's business included.
    system_admin: bool,
    role: Option<MembershipRole>,
    granted: Scopes,
}

/// The place of a role among the others, the least first.
pub fn rank(role: MembershipRole) -> u8 {
    match role {
        MembershipRole::Viewer => 0,
        MembershipRole::Member => 1,
        MembershipRole::Admin => 2,
        MembershipRole::Owner => 3,
    }
}

impl Access {
    /// # Errors
    /// `forbidden` for a role below `role`.
    pub fn require_role(&self, role: MembershipRole) -> Result<(), Problem> {
        if self.has_role(role) {
            return Ok(());
        }
        let role = serde_json::to_value(role).map_err(Problem::internal)?;
        Err(Problem::forbidden(format!(
            "This needs the role {} in the organization.",
            role.as_str().unwrap_or("owner")
        )))
    }

    /// What the role `admin` may do, or who was granted this one scope beyond their role.
    ///
    /// # Errors
    /// `forbidden` for neither.
    pub fn require_admin_or(&self, scope: Scope) -> Result<(), Problem> {
        if self.granted.allow(scope) {
            Ok(())
        } else {
            self.require_role(MembershipRole::Admin)
        }
    }

    /// Whether the role is `role` or above it.
    pub fn has_role(&self, role: MembershipRole) -> bool {
        self.system_admin || self.role.is_some_and(|own| rank(own) >= rank(role))
    }
}

#[derive(FromQueryResult)]
struct AccessRow {
    role: Option<MembershipRole>,
    permissions: Option<Value>,
}

/// The scopes of `memberships.permissions` that are granted: `{"events:read": true}`.
fn granted(permissions: Option<&Value>) -> Scopes {
    let members = permissions.and_then(Value::as_object).into_iter().flatten();
    members
        .filter(|(_, granted)| **granted == Value::Bool(true))
        .filter_map(|(scope, _)| scope.parse().ok())
        .collect()
}

/// The organizations whose rows a caller reaches in a certain capacity.
pub enum Organizations {
    /// All of them.
    All,
    /// One of them: a key that is restricted to it.
    One(Uuid),
    /// Those of a sub-select.
    Of(Box<SelectStatement>),
}

impl Organizations {
    /// The condition that a column names one of them.
    pub fn contain(&self, column: impl ColumnTrait) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::One(id) => Condition::all().add(column.eq(*id)),
            Self::Of(select) => Condition::all().add(column.in_subquery((**select).clone())),
        }
    }

    /// Whether there is no restriction at all.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }
}

impl Caller {
    /// Whether a system admin acts, with whatever key.
    pub fn is_system_admin(&self) -> bool {
        self.principal().role == UserRole::Admin
    }

    /// Whether the caller reads everything: system admins and auditors.
    pub fn reads_everything(&self) -> bool {
        matches!(self.principal().role, UserRole::Admin | UserRole::Auditor)
    }

    /// Whether a system admin acts with a key that is not restricted to one organization.
    ///
    /// # Errors
    /// `forbidden` otherwise.
    pub fn require_system_admin(&self) -> Result<(), Problem> {
        if !self.is_system_admin() {
            return Err(Problem::forbidden("This needs a system admin."));
        }
        self.require_unrestricted()
    }

    /// # Errors
    /// `forbidden` for a key that is restricted to one organization.
    pub fn require_unrestricted(&self) -> Result<(), Problem> {
        match self.principal().organization_id {
            None => Ok(()),
            Some(_) => Err(Problem::forbidden(
                "This key is restricted to one organization, and this is outside of it.",
            )),
        }
    }

    /// The organizations that the caller may read.
    pub fn organizations(&self) -> Organizations {
        self.organizations_where(None)
    }

    /// The organizations in which the caller may do what the role `admin` may, or was granted `scope` for.
    pub fn organizations_as_admin(&self, scope: Scope) -> Organizations {
        let backend = self.database().backend();
        let admin = memberships::Column::Role.is_in([MembershipRole::Admin, MembershipRole::Owner]);
        self.organizations_where(Some(
            Condition::any().add(admin).add(is_granted(backend, scope)),
        ))
    }

    fn organizations_where(&self, capacity: Option<Condition>) -> Organizations {
        let principal = self.principal();
        if self.reads_everything() {
            return principal
                .organization_id
                .map_or(Organizations::All, Organizations::One);
        }
        let mut select = Query::select();
        select
            .column((memberships::Entity, memberships::Column::OrganizationId))
            .from(memberships::Entity)
            .inner_join(
                organizations::Entity,
                Expr::col((organizations::Entity, organizations::Column::Id))
                    .equals((memberships::Entity, memberships::Column::OrganizationId)),
            )
            .cond_where(memberships::Column::UserId.eq(principal.user_id))
            .cond_where(memberships::Column::Status.eq(MembershipStatus::Active))
            .cond_where(organizations::Column::Status.eq(OrganizationStatus::Active));
        if let Some(id) = principal.organization_id {
            select.cond_where(memberships::Column::OrganizationId.eq(id));
        }
        if let Some(capacity) = capacity {
            select.cond_where(capacity);
        }
        Organizations::Of(Box::new(select))
    }

    /// What the caller may do in an organization; one statement.
    ///
    /// # Errors
    /// `not-found` for an organization that does not exist for the caller, `forbidden` for an auditor, who only reads.
    pub async fn access(&self, organization_id: Uuid) -> Result<Access, Problem> {
        let principal = self.principal();
        if principal
            .organization_id
            .is_some_and(|restricted| restricted != organization_id)
        {
            return Err(Problem::not_found());
        }
        let user_id = principal.user_id;
        let own = organizations::Relation::Memberships
            .def()
            .on_condition(move |_, _| {
                Condition::all()
                    .add(memberships::Column::UserId.eq(user_id))
                    .add(memberships::Column::Status.eq(MembershipStatus::Active))
            });
        let alive = match principal.role {
            UserRole::User => organizations::Column::Status.eq(OrganizationStatus::Active),
            UserRole::Admin | UserRole::Auditor => {
                organizations::Column::Status.ne(OrganizationStatus::Deleted)
            }
        };
        let row = organizations::Entity::find_by_id(organization_id)
            .select_only()
            .column(memberships::Column::Role)
            .column(memberships::Column::Permissions)
            .join(JoinType::LeftJoin, own)
            .filter(alive)
            .into_model::<AccessRow>()
            .one(&self.database().reader())
            .await?
            .ok_or_else(Problem::not_found)?;
        if row.role.is_none() && !self.reads_everything() {
            return Err(Problem::not_found());
        }
        self.concerns(organization_id);
        Ok(Access {
            system_admin: self.is_system_admin(),
            role: row.role,
            granted: granted(row.permissions.as_ref()),
        })
    }
}

/// The condition that a membership's permissions grant the scope.
fn is_granted(backend: DbBackend, scope: Scope) -> sea_orm::sea_query::SimpleExpr {
    match backend {
        DbBackend::Sqlite => Expr::cust_with_values(
            r#"(json_extract(memberships.permissions, ?) = 1 OR json_extract(memberships.permissions, '$."*"') = 1)"#,
            [format!("$.\"{scope}\"")],
        ),
        _ => Expr::cust_with_values(
            "'true'::jsonb IN (memberships.permissions -> $1, memberships.permissions -> '*')",
            [scope.to_string()],
        ),
    }
}
