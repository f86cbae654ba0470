//! JSON merge patch (RFC 7396, section 2).

use serde_json::{Map, Value};

use crate::problem::Problem;
use crate::values::json::{self, JsonObject};

/// Merges the object that was sent for `field` into a JSON column.
///
/// # Errors
/// `invalid` where that makes it too large, or leaves it so and does not make it smaller.
pub fn apply(field: &str, patch: &Map<String, Value>, column: &mut Value) -> Result<(), Problem> {
    let mut object = JsonObject::of(column);
    merge(&mut object.0, patch);
    let merged = Value::from(object);
    let size = json::size(&merged);
    // What another program left too large can be made smaller step by step.
    if size > json::LARGEST && size >= json::size(column) && merged != *column {
        let pointer = format!("/{field}");
        return Err(Problem::invalid(&pointer, "too-large", json::too_large()));
    }
    *column = merged;
    Ok(())
}

/// Applies `patch` to the members of `target`: `null` removes, an object merges, anything else replaces.
pub fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, change) in patch {
        match change {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(members) => {
                let slot = target.entry(name.clone()).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(inner) = slot {
                    merge(inner, members);
                }
            }
            other => {
                target.insert(name.clone(), other.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::merge;
    use serde_json::{Value, json};

    /// The examples of RFC 7396, appendix A, whose target and patch are objects.
    #[test]
    fn does_what_the_rfc_shows() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let (Value::Object(mut result), Value::Object(patch)) = (target, patch) else {
                unreachable!()
            };
            merge(&mut result, &patch);
            assert_eq!(Value::Object(result), expected);
        }
    }
}
