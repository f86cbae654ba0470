//! The binary `rollbook`; everything is in the library, so that tests start the same.

use std::process::ExitCode;

fn main() -> ExitCode {
    rollbook::Product::default()
        .built_of(rollbook::commit!())
        .run()
}
