//! What organizations, people and memberships have in common: they can be out of use for the time being.

use crate::prelude::*;

/// What a status can be switched between; what is gone comes by DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// In use.
    Active,
    /// Closed for the time being.
    Suspended,
}

enum_field!(Switch);
