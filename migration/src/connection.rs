//! How the stock command reaches the database.

use sea_orm_migration::sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

/// Connects as the stock command does, to hosts that are named as URLs name them.
///
/// # Errors
/// The database's.
pub async fn connect(mut options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    options.map_sqlx_postgres_opts(|options| {
        let host = without_brackets(options.get_host()).to_owned();
        options.host(&host)
    });
    Database::connect(options).await
}

/// A host as resolvers take it: the brackets around an IPv6 address are the URL's (RFC 3986, 3.2.2), and the driver leaves
/// them there.
pub fn without_brackets(host: &str) -> &str {
    let inside = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inside.unwrap_or(host)
}
