//! What the compiler says of declarations that are wrong: one error for one mistake, at the field.
//!
//! `TRYBUILD=overwrite cargo test --package rollbook-macros` writes down what it says now.

/// The one that is right, of which each wrong one differs by one mistake.
#[path = "declarations/right.rs"]
#[allow(dead_code, reason = "what it makes is not used here")]
mod right;

#[test]
fn mistakes_are_told_where_they_are() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/declarations/wrong/*.rs");
}
