//! `rollbook openapi`: the description of the API, for clients and for the check of the committed one.

use crate::app;
use crate::product::Product;

pub(super) fn document(product: &Product) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&app::openapi(product)?)
}
