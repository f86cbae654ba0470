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
        _pools: Pools,
        settings: &ServeSettings,
    ) -> io::Result<Server> {
        let server = HttpServer::new(|| {
            ActixApp::new()
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
