//! Who may do what: roles in organizations, and which rows exist for a caller.

use entity::sea_orm_active_enums::{
    MembershipRole, MembershipStatus, OrganizationStatus, UserRole,
};
use entity::{memberships, organizations};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, FromQueryResult, JoinType, QueryFilter, QuerySelect,
    RelationTrait,
};
use serde_json::Value;
use uuid::Uuid;

use crate::access::caller::Caller;
use crate::access::tenancy::{Reason, all_rows};
use crate::problem::Problem;
use crate::values::scope::{Scope, Scopes};

/// What a caller may do in one organization.
#[derive(Clone, Debug)]
pub struct Access {
    /// A system admin may do everything, an owner's business included.
    system_admin: bool,
    role: Option<MembershipRole>,
    granted: Scopes,
}

const ROLES: [MembershipRole; 4] = [
    MembershipRole::Viewer,
    MembershipRole::Member,
    MembershipRole::Admin,
    MembershipRole::Owner,
];

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

    /// What the role may do, or, up to `admin`, who was granted this one scope beyond their role.
    ///
    /// # Errors
    /// `forbidden` for neither.
    pub fn require(&self, role: MembershipRole, scope: Scope) -> Result<(), Problem> {
        if role != MembershipRole::Owner && self.granted.allow(scope) {
            Ok(())
        } else {
            self.require_role(role)
        }
    }

    /// As [`Access::require`], of the role `admin`.
    ///
    /// # Errors
    /// Those of [`Access::require`].
    pub fn require_admin_or(&self, scope: Scope) -> Result<(), Problem> {
        self.require(MembershipRole::Admin, scope)
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

    /// The organizations in which the caller may do what the role may, or was granted `scope` for.
    pub fn organizations_as(&self, role: MembershipRole, scope: Scope) -> Organizations {
        if role == MembershipRole::Viewer {
            return self.organizations();
        }
        let backend = self.database().backend();
        let above = ROLES.into_iter().filter(|other| rank(*other) >= rank(role));
        let above = memberships::Column::Role.is_in(above);
        self.organizations_where(Some(
            Condition::any().add(above).add(is_granted(backend, scope)),
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
        let row = all_rows::<organizations::Entity>(Reason::Visibility)
            .filter(organizations::Column::Id.eq(organization_id))
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
