//! How the stock command reaches the database.

use sea_orm_migration::sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

/// Connects as the stock command does, to hosts that are named as URLs name them.
///
/// # Errors
/// The database's.
pub async fn connect(mut options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    options.map_sqlx_postgres_opts(|options| {
        let host = options.get_host();
        // The brackets around an IPv6 address are the URL's (RFC 3986, 3.2.2), and the driver leaves them there.
        let inside = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match inside.map(str::to_owned) {
            Some(address) => options.host(&address),
            None => options,
        }
    });
    Database::connect(options).await
}
