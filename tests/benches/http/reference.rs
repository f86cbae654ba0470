//! The least that has to be done for the same answers.

use std::net::TcpListener;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::sqlx::{self, PgPool};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Starts it on this database; its URL. It ends with the process.
pub async fn start(database_url: &str, connections: u32) -> String {
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .connect(database_url)
        .await
        .expect("the database");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(pool.clone()))
            .route("/v1/organizations/{id}", web::get().to(read))
            .route("/v1/memberships", web::get().to(page))
            .route("/v1/organizations", web::post().to(create))
    });
    tokio::spawn(
        server
            .workers(2)
            .disable_signals()
            .listen(listener)
            .expect("a server")
            .run(),
    );
    url
}

/// The hash of the key, by which the statements find the user.
fn hash(request: &HttpRequest) -> String {
    let key = request
        .headers()
        .get("authorization")
        .and_then(|key| key.to_str().ok());
    let key = key.expect("a key");
    let digest = Sha256::digest(key.trim_start_matches("Bearer ").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

const CALLER: &str = "SELECT u.id FROM api_keys k JOIN users u ON u.id = k.user_id
    WHERE k.key_hash = $1 AND k.status = 'active' AND u.status = 'active'";

async fn read(request: HttpRequest, pool: web::Data<PgPool>, id: web::Path<Uuid>) -> HttpResponse {
    let sql = format!(
        "SELECT row_to_json(o)::text FROM organizations o WHERE o.id = $2 AND EXISTS ({CALLER})"
    );
    let row: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(hash(&request))
        .bind(id.into_inner())
        .fetch_one(&**pool)
        .await
        .expect("a row");
    HttpResponse::Ok()
        .content_type("application/json")
        .body(row)
}

async fn page(request: HttpRequest, pool: web::Data<PgPool>) -> HttpResponse {
    let id = request
        .query_string()
        .split('&')
        .find_map(|pair| pair.strip_prefix("organization_id="));
    let id: Uuid = id.and_then(|id| id.parse().ok()).expect("an organization");
    let sql = format!(
        "SELECT row_to_json(m)::text FROM memberships m WHERE m.organization_id = $2 AND EXISTS ({CALLER})
         ORDER BY m.id LIMIT 50"
    );
    let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(hash(&request))
        .bind(id)
        .fetch_all(&**pool)
        .await
        .expect("rows");
    let body = format!("{{\"data\":[{}]}}", rows.join(","));
    HttpResponse::Ok()
        .content_type("application/json")
        .body(body)
}

/// The events first: the triggers on the rows look for them.
async fn create(
    request: HttpRequest,
    pool: web::Data<PgPool>,
    body: web::Json<Value>,
) -> HttpResponse {
    let sql = format!(
        "WITH caller AS ({CALLER}),
         events AS (
           INSERT INTO events (id, event_type, aggregate_type, aggregate_id, aggregate_version, data, tags, user_id,
                               organization_id)
           SELECT $2, 'ORGANIZATION.CREATED', 'organization', $3, 1, jsonb_build_object('name', $4::text, 'slug', $5::text),
                  jsonb_build_object('organization', $3::uuid), id, $3 FROM caller
           UNION ALL
           SELECT $6, 'MEMBERSHIP.CREATED', 'membership', $7, 1, '{{\"role\": \"owner\"}}', jsonb_build_object('organization', $3::uuid), id, $3
           FROM caller),
         organization AS (
           INSERT INTO organizations (id, name, slug, created_by, updated_by) SELECT $3, $4, $5, id, id FROM caller
           RETURNING *),
         membership AS (
           INSERT INTO memberships (id, user_id, organization_id, role, status, created_by)
           SELECT $7, id, $3, 'owner', 'active', id FROM caller)
         SELECT row_to_json(o)::text FROM organization o"
    );
    let text = |name: &str| body[name].as_str().expect("text").to_owned();
    let row: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(hash(&request))
        .bind(Uuid::now_v7())
        .bind(Uuid::now_v7())
        .bind(text("name"))
        .bind(text("slug"))
        .bind(Uuid::now_v7())
        .bind(Uuid::now_v7())
        .fetch_one(&**pool)
        .await
        .expect("a row");
    HttpResponse::Created()
        .content_type("application/json")
        .body(row)
}
