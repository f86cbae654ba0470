//! `rollbook openapi`: the description of the API, for clients and for the check of the committed one.

use crate::app;

pub(super) fn document() -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&app::openapi()?)
}
