//! What is no request: the HTTP library refuses it before any handler, and without a body. On its way out each such
//! answer is replaced by a problem document.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::ResponseError;
use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::problem::{Kind, Problem};
use crate::values::clock;

/// How far before its end an answer without a body begins, at most: the library's has a status line and three headers.
const LONGEST_HEAD: usize = 512;

/// A connection that gives a body to the refusals of the HTTP library.
pub struct Connection<T> {
    stream: T,
    /// What stands for a refusal, and is still to be sent.
    pending: Vec<u8>,
}

impl<T> Connection<T> {
    /// The connection over this stream.
    pub fn new(stream: T) -> Self {
        Self {
            stream,
            pending: Vec::new(),
        }
    }
}

impl<T: AsyncWrite + Unpin> Connection<T> {
    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.pending))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(context))?;
        let Some((start, refusal)) = refusal_in(bytes) else {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        if start > 0 {
            // Answers to requests before it on the same connection.
            return Pin::new(&mut self.stream).poll_write(context, &bytes[..start]);
        }
        self.pending = refusal;
        // Accepted: what cannot be sent now goes out with the flush that follows.
        if let Poll::Ready(Err(error)) = self.poll_pending(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Where a refusal of the HTTP library begins that these bytes end with, and what is sent in its place. No answer of a
/// handler looks like it: each that has one of these statuses has a body.
fn refusal_in(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let earliest = bytes.len().saturating_sub(LONGEST_HEAD);
    let start = bytes[earliest..]
        .windows(b"HTTP/1.".len())
        .rposition(|window| window == b"HTTP/1.")?;
    let head = std::str::from_utf8(&bytes[earliest + start..]).ok()?;
    let is_empty = |line: &str| line.eq_ignore_ascii_case("content-length: 0");
    let mut lines = head.lines();
    let problem = problem(lines.next()?)?;
    lines
        .any(is_empty)
        .then(|| (earliest + start, answer(problem, head)))
}

/// What the refusal with this status line is as a problem.
fn problem(status_line: &str) -> Option<Problem> {
    let status = status_line.split(' ').nth(1)?.parse().ok()?;
    let (kind, detail) = match StatusCode::from_u16(status).ok()? {
        StatusCode::BAD_REQUEST => (
            Kind::MalformedRequest,
            "What was sent is no HTTP request that this server understands.",
        ),
        StatusCode::REQUEST_TIMEOUT => (
            Kind::RequestTimeout,
            "The head of the request did not arrive in time. Send the request again.",
        ),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            Kind::HeadTooLarge,
            "The request line and the headers are too large. Send less of them.",
        ),
        _ => return None,
    };
    Some(Problem::new(kind, detail))
}

/// The whole answer: the status line and the date of the refusal, and the problem's headers and body. The library closes the
/// connection after it, whether it says so or not.
fn answer(problem: Problem, head: &str) -> Vec<u8> {
    let response = problem
        .at(&clock::new_id().to_string())
        .error_response()
        .map_into_boxed_body();
    let (response, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    let is_kept = |line: &&str| line.starts_with("HTTP/") || line.starts_with("date:");
    let mut lines: Vec<String> = head.lines().filter(is_kept).map(str::to_owned).collect();
    for (name, value) in response.headers() {
        let value = value.to_str().unwrap_or_default();
        lines.push(format!("{name}: {value}"));
    }
    lines.push("connection: close".to_owned());
    lines.push(format!("content-length: {}", body.len()));
    let mut bytes = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}
