//! A stand-in of the branch that builds the commands, to try them with: the real application replaces this file.

use std::{io, net::TcpListener, time::Duration};

use actix_web::{App as ActixApp, HttpResponse, HttpServer, dev::Server, web};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use crate::{cli::config::ServeSettings, database::Pools};

/// The stand-in of the application.
#[derive(Debug)]
pub struct App;

impl App {
    /// Serves `/healthz`, and `/slow` to try the shutdown with.
    pub fn start(
        listener: TcpListener,
        pools: Pools,
        settings: &ServeSettings,
    ) -> io::Result<Server> {
        let server = HttpServer::new(move || {
            ActixApp::new()
                .app_data(web::Data::new(pools.clone()))
                .route("/readyz", web::get().to(ready))
                .route("/healthz", web::get().to(HttpResponse::Ok))
                .route("/slow", web::get().to(slow))
        });
        Ok(server
            .workers(settings.workers)
            .shutdown_timeout(settings.shutdown_timeout.as_secs_f64().ceil() as u64)
            .disable_signals()
            .listen(listener)?
            .run())
    }
}

async fn ready(pools: web::Data<Pools>) -> HttpResponse {
    match crate::database::check(&pools.reader).await {
        Ok(state) => HttpResponse::Ok().body(format!("{state:?}")),
        Err(error) => HttpResponse::ServiceUnavailable().body(format!("{error:?}")),
    }
}

async fn slow() -> &'static str {
    actix_web::rt::time::sleep(Duration::from_secs(4)).await;
    "finished\n"
}

/// The stand-in of the API's description.
pub fn openapi() -> OpenApi {
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Rollbook")
                .version(env!("CARGO_PKG_VERSION"))
                .build(),
        )
        .build()
}
