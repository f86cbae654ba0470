//! What the compiler says of declarations that are wrong: one error for one mistake, at the field.
//!
//! `TRYBUILD=overwrite cargo test --package rollbook-macros` writes down what it says now.

#[test]
fn mistakes_are_told_where_they_are() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/declarations/right.rs");
    cases.compile_fail("tests/declarations/wrong/*.rs");
}
