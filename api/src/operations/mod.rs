//! What operators do with a database: as values, for the command line and the tests alike.

pub mod doctor;
pub mod migration;
