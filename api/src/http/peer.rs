//! Whoever is at the other end of a connection.

use std::net::IpAddr;

use actix_web::HttpRequest;

/// The address of whoever sent it; that of an IPv4 client in its own form, whatever the server listens on.
pub fn peer(request: &HttpRequest) -> Option<IpAddr> {
    request
        .peer_addr()
        .map(|address| address.ip().to_canonical())
}
