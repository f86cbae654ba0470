//! What is written: rows, each change with its event, and what the program knows of every resource. Nothing else writes.

pub mod event;
pub mod registry;
pub mod resource;
pub mod unit_of_work;
pub mod verb;
