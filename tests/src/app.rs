//! A server of its own for each test: a real one, on a free port, with a database of its own.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use api::Product;
use api::app::{self, App, Upkeep};
use api::app_settings::ServeSettings;
use api::cli::bootstrap::{self, BootstrapArguments};
use api::cli::output::OutputFormat;
use api::database::DatabaseSettings;
use api::database::{Database, Pools, connect};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::caller::Caller;
use crate::database::{Backend, TestDatabase};
use crate::probe::TestProbe;

/// A running server, its database, and the system admin that was made first.
pub struct TestApp {
    /// What runs.
    pub product: Product,
    pub database: TestDatabase,
    pub url: String,
    pub probe: Arc<TestProbe>,
    /// The system admin; owner of the first organization.
    pub system_admin: Caller,
    /// The first organization.
    pub first_organization: Uuid,
    client: reqwest::Client,
    pools: Pools,
    server: api_server::Handle,
}

mod api_server {
    pub struct Handle {
        pub handle: actix_web::dev::ServerHandle,
        pub task: tokio::task::JoinHandle<std::io::Result<()>>,
        pub upkeep: Option<super::Upkeep>,
    }
}

impl TestApp {
    /// A server with the default settings, but for one worker.
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, small()).await
    }

    /// The same of another product.
    pub async fn start_product(product: Product, backend: Backend) -> Self {
        let database = TestDatabase::of(&product.migrations, backend).await;
        Self::start_product_on(product, database, small(), 8).await
    }

    /// A server with these settings.
    pub async fn start_with(backend: Backend, settings: ServeSettings) -> Self {
        Self::start_with_pool(backend, settings, 8).await
    }

    /// A server with these settings and at most so many connections.
    pub async fn start_with_pool(
        backend: Backend,
        settings: ServeSettings,
        connections: u32,
    ) -> Self {
        Self::start_on(TestDatabase::migrated(backend).await, settings, connections).await
    }

    /// A server on this migrated database.
    pub async fn start_on(
        database: TestDatabase,
        settings: ServeSettings,
        connections: u32,
    ) -> Self {
        Self::start_product_on(Product::default(), database, settings, connections).await
    }

    async fn start_product_on(
        product: Product,
        database: TestDatabase,
        settings: ServeSettings,
        connections: u32,
    ) -> Self {
        let url = database
            .url()
            .parse()
            .expect("the URL of the test's database");
        let pools = connect(&DatabaseSettings {
            max_connections: connections,
            ..DatabaseSettings::new(url)
        })
        .await
        .expect("the test's database");
        // Opened now: what runs beside the requests runs on the test's own thread, which may end in the middle of opening
        // it. PostgreSQL would wait a minute for the rest, and keep the database from being dropped.
        let opened = pools.background.ping().await;
        opened.expect("a connection beside the requests");
        let arguments = BootstrapArguments {
            email: "root@example.com".to_owned(),
            password_stdin: false,
            organization: Some("First".to_owned()),
            format: OutputFormat::Json,
        };
        let made = bootstrap::run(&arguments, None, &pools)
            .await
            .expect("a first system admin");

        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let probe = Arc::new(TestProbe::default());
        let state = app::state(
            &product,
            Database::new(pools.clone()).with_probe(probe.clone()),
            &settings,
        )
        .expect("a state");
        let (server, upkeep) = App::start_with(listener, state, &settings)
            .expect("a server")
            .into_parts();
        let handle = server.handle();
        let task = tokio::spawn(server);
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            // Well before the server closes an idle connection, which could meet a request on its way.
            .pool_idle_timeout(Duration::from_secs(1))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let system_admin = Caller::new(
            client.clone(),
            &url,
            Some(made.api_key.expose_secret()),
            Some(made.user_id),
        );
        Self {
            product,
            database,
            url,
            probe,
            system_admin,
            first_organization: made.organization_id,
            client,
            pools,
            server: api_server::Handle {
                handle,
                task,
                upkeep: Some(upkeep),
            },
        }
    }

    /// Someone without a key.
    pub fn anonymous(&self) -> Caller {
        Caller::new(self.client.clone(), &self.url, None, None)
    }

    /// Someone with this key.
    pub fn with_key(&self, key: &str) -> Caller {
        Caller::new(self.client.clone(), &self.url, Some(key), None)
    }

    /// A new active user with a key of scope `*`, who is a member of nothing.
    pub async fn outsider(&self) -> Caller {
        self.user(json!({})).await
    }

    /// A new system auditor.
    pub async fn auditor(&self) -> Caller {
        self.user(json!({"role": "auditor"})).await
    }

    /// A new active user with a key of scope `*`; `fields` go into the request.
    pub async fn user(&self, mut fields: Value) -> Caller {
        if fields.get("email").is_none() {
            fields["email"] = format!("{}@example.com", Uuid::now_v7().simple()).into();
        }
        let user = self.system_admin.post("/v1/users", fields).await.created();
        let user_id = id_of(&user);
        self.key_for(user_id, json!({})).await
    }

    /// A new key for a user, made by the system admin; `fields` go into the request, scopes `*` unless given.
    pub async fn key_for(&self, user_id: Uuid, mut fields: Value) -> Caller {
        fields["user_id"] = user_id.to_string().into();
        fields["name"] = "test".into();
        if fields.get("scopes").is_none() {
            fields["scopes"] = json!(["*"]);
        }
        let key = self
            .system_admin
            .post("/v1/api-keys", fields)
            .await
            .created();
        let text = key["key"].as_str().expect("the key's text");
        Caller::new(self.client.clone(), &self.url, Some(text), Some(user_id))
    }

    /// A new organization of this caller.
    pub async fn organization(&self, owner: &Caller) -> Uuid {
        let slug = format!("o-{}", Uuid::now_v7().simple());
        id_of(
            &owner
                .post(
                    "/v1/organizations",
                    json!({"name": "Organization", "slug": slug}),
                )
                .await
                .created(),
        )
    }

    /// A new active member of the organization with this role.
    pub async fn member(&self, organization_id: Uuid, role: &str) -> Caller {
        let user = self.outsider().await;
        self.join(organization_id, &user, role).await;
        user
    }

    /// Makes the caller an active member of the organization; the membership's id.
    pub async fn join(&self, organization_id: Uuid, user: &Caller, role: &str) -> Uuid {
        let membership = json!({
            "organization_id": organization_id, "user_id": user.user_id(), "role": role, "status": "active",
        });
        id_of(
            &self
                .system_admin
                .post("/v1/memberships", membership)
                .await
                .created(),
        )
    }

    /// The events of an aggregate, oldest first.
    pub async fn events_of(&self, aggregate_id: Uuid) -> Vec<Value> {
        let path = format!("/v1/events?aggregate_id={aggregate_id}&order=asc&limit=200");
        let page = self.system_admin.get(&path).await.ok();
        page["data"].as_array().expect("a page").clone()
    }

    /// The connections of the server.
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Stops the server gracefully.
    pub async fn stop(mut self) {
        self.shut_down().await;
    }

    /// Stops the server gracefully; the database can still be looked into.
    pub async fn shut_down(&mut self) {
        self.server.handle.stop(true).await;
        if let Some(upkeep) = self.server.upkeep.take() {
            upkeep.finish().await;
        }
        self.pools.close().await;
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // Only asks: the server's threads end by themselves, and the database is dropped by force.
        drop(self.server.handle.stop(false));
        self.server.task.abort();
    }
}

fn small() -> ServeSettings {
    ServeSettings {
        workers: 1,
        password_hashers: 1,
        ..ServeSettings::default()
    }
}

/// The `id` of a resource.
pub fn id_of(resource: &Value) -> Uuid {
    resource["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .unwrap_or_else(|| panic!("an id in {resource}"))
}
