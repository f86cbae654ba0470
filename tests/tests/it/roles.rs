//! Roles of PostgreSQL that may do less than the owner of the database.

use sea_orm::DatabaseConnection;
use tests::database::{TestDatabase, execute};
use uuid::Uuid;

/// A role that may read and write every table there is, and make nothing.
pub struct Reader {
    name: String,
    url: String,
    owner: DatabaseConnection,
}

impl Reader {
    pub async fn of(database: &TestDatabase) -> Self {
        let owner = database.connect().await;
        let name = format!("reader_{}", Uuid::now_v7().simple());
        let sql = format!(
            "CREATE ROLE {name} LOGIN PASSWORD 'reader';
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}"
        );
        execute(&owner, &sql).await.unwrap();
        let url = database.url();
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (_, host) = rest.split_once('@').expect("a password");
        Self {
            url: format!("{scheme}://{name}:reader@{host}"),
            name,
            owner,
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Roles are the server's, and outlive the database.
    pub async fn leave(self) {
        let sql = format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name);
        execute(&self.owner, &sql).await.unwrap();
    }
}
