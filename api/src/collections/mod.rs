//! What all collections do: the five verbs, their pages, and what makes of a resource a part of a product.

pub mod endpoints;
pub mod kind;
pub mod page;
pub mod verbs;
