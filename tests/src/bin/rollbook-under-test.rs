//! The binary `rollbook` once more: cargo builds the binaries of a test's own package before it runs the test, and those
//! of others only where it is told to.

use std::process::ExitCode;

fn main() -> ExitCode {
    api::Product::default().built_of(api::commit!()).run()
}
