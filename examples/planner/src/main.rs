//! The program `planner`: Rollbook's commands, which know of this product's tables and resources too.

use std::process::ExitCode;

fn main() -> ExitCode {
    planner::product().run()
}
