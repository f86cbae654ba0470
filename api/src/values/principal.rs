//! Who acts: what a credential stands for.

use chrono::{DateTime, FixedOffset};
use entity::sea_orm_active_enums::UserRole;
use uuid::Uuid;

use crate::values::scope::Scopes;

/// What a credential stands for, as it was at the start of the request.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The person.
    pub user_id: Uuid,
    /// The person's role in the whole system.
    pub role: UserRole,
    /// The API key's row.
    pub api_key_id: Uuid,
    /// What the key may be used for.
    pub scopes: Scopes,
    /// The one organization that the key is restricted to.
    pub organization_id: Option<Uuid>,
    /// When the key ends.
    pub expires_at: Option<DateTime<FixedOffset>>,
}
