//! Requests as bytes, for what a well-behaved client cannot be made to send.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::caller::Answer;

/// A request that is put together by hand. `Host` and `Connection: close` are sent by themselves.
pub struct RawRequest {
    address: String,
    head: Vec<u8>,
}

impl RawRequest {
    /// A request to the server with this URL.
    pub fn new(url: &str, method: &str, target: &str) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        let head =
            format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        Self {
            address,
            head: head.into_bytes(),
        }
    }

    /// The same request with one more header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b": ");
        self.head.extend_from_slice(value.as_ref());
        self.head.extend_from_slice(b"\r\n");
        self
    }

    /// The same request, from who has this key.
    pub fn key(self, key: &str) -> Self {
        self.header("Authorization", format!("Bearer {key}"))
    }

    /// Sends it without a body.
    pub async fn send(self) -> Answer {
        self.open().await.finish().await
    }

    /// Sends it with this body and its length.
    pub async fn send_body(self, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let mut exchange = self
            .header("Content-Length", body.len().to_string())
            .open()
            .await;
        exchange.write(body).await;
        exchange.finish().await
    }

    /// Sends the head alone; the test goes on by itself.
    pub async fn open(mut self) -> Exchange {
        self.head.extend_from_slice(b"\r\n");
        let stream = TcpStream::connect(&self.address)
            .await
            .expect("a server that listens");
        let mut exchange = Exchange { stream };
        exchange.write(&self.head).await;
        exchange
    }
}

/// A request whose head is on its way.
pub struct Exchange {
    stream: TcpStream,
}

impl Exchange {
    /// Sends more of the body. A server that has answered may have stopped listening: its answer tells.
    pub async fn write(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    /// Reads one line of what the server says before its answer.
    pub async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let byte = self.stream.read_u8().await.expect("a line");
            line.push(byte);
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).expect("a line of text")
    }

    /// Ends the request before it is whole, and waits until the server is done with it; what it said, if anything.
    pub async fn hang_up(mut self) -> String {
        self.stream.shutdown().await.expect("a connection to end");
        String::from_utf8_lossy(&self.rest().await).into_owned()
    }

    /// Reads the answer to its end, which need not be the end of the connection.
    pub async fn finish(mut self) -> Answer {
        let mut bytes = Vec::new();
        while !is_whole(&bytes) && matches!(self.stream.read_buf(&mut bytes).await, Ok(1..)) {}
        parse(&bytes)
    }

    async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Ended or broken off, it is the end.
        while matches!(self.stream.read_buf(&mut bytes).await, Ok(1..)) {}
        bytes
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= end + 4 + length)
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer, but {text:?}"));
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .unwrap_or_else(|| panic!("no status in {head:?}"));
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = HeaderName::try_from(name).expect("a header's name");
        headers.append(
            name,
            HeaderValue::try_from(value).expect("a header's value"),
        );
    }
    Answer::new("raw request".to_owned(), status, headers, body.to_owned())
}
