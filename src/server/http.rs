//! `/metrics`, `/ready` and `/live` over HTTP/1: what a scraper and a probe need, and nothing else.
//!
//! A request is one head without a body, an answer closes the connection (docs/decisions/0004-metrics.md says why this
//! is not an HTTP library). Whoever is slow, talks too much or asks for something else gets a 4xx or is cut off, and
//! nobody else notices: there are few connections at a time, each with a deadline, and none of them shares anything
//! with Kafka's listeners.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::health::{Health, Stage};
use super::{scrape, stopped};

/// Connections at a time; further ones wait in the operating system's queue.
pub(super) const CONNECTIONS_MAX: usize = 8;

/// Bytes of a request's head: Prometheus' is 300.
const HEAD_SIZE_MAX: usize = 8 * 1024;

/// How long a client may take to send its head, and to take its answer.
const HEAD_TIME_MAX: Duration = Duration::from_secs(2);
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Bytes that are read and dropped after the answer, so that a client that still sends gets to read it.
const DRAINED_SIZE_MAX: usize = 64 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_millis(500);

/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
/// What Prometheus calls its text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers until the process stops.
pub(super) async fn serve(
    socket: TcpListener,
    health: Arc<Health>,
    mut stop: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Nobody closes the semaphore.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = stopped(&mut stop) => return,
            accepted = socket.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let health = Arc::clone(&health);
        tokio::spawn(async move {
            if let Err(error) = exchange(stream, &health).await {
                tracing::debug!(%peer, %error, "a scrape or probe was given up");
            }
            drop(place);
        });
    }
}

/// One request, one answer.
async fn exchange(mut stream: TcpStream, health: &Health) -> io::Result<()> {
    let answer = match timeout(HEAD_TIME_MAX, read_head(&mut stream)).await {
        Err(_) => Answer::error("408 Request Timeout"),
        Ok(head) => match head? {
            Head::Whole(head) => answer(&head, health).await,
            Head::TooLong => Answer::error("431 Request Header Fields Too Large"),
            Head::Ended => return Ok(()),
        },
    };
    let sent = timeout(ANSWER_TIME_MAX, answer.send(&mut stream)).await;
    sent.map_err(io::Error::from)??;
    // A socket that is closed with bytes unread is reset, and the client may lose the answer.
    let mut rest = (&mut stream).take(DRAINED_SIZE_MAX as u64);
    let mut nowhere = tokio::io::sink();
    let drained = timeout(DRAIN_TIME_MAX, tokio::io::copy(&mut rest, &mut nowhere));
    // Whether the client has more to say is of no interest.
    let _ = drained.await;
    Ok(())
}

/// What came of reading a head.
enum Head {
    Whole(Vec<u8>),
    TooLong,
    /// The client has ended its side before.
    Ended,
}

async fn read_head(stream: &mut TcpStream) -> io::Result<Head> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(Head::Ended);
        }
        // The end may lie across two reads.
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(&chunk[..read]);
        if let Some(end) = head_end(&head[from..]) {
            head.truncate(from + end);
            return Ok(match head.len() > HEAD_SIZE_MAX {
                true => Head::TooLong,
                false => Head::Whole(head),
            });
        }
        if head.len() > HEAD_SIZE_MAX {
            return Ok(Head::TooLong);
        }
    }
}

/// Where the empty line ends that ends a head; a bare line feed counts as an end of line (RFC 9112, 2.2).
fn head_end(bytes: &[u8]) -> Option<usize> {
    let ends = |end: &[u8]| {
        let at = bytes.windows(end.len()).position(|window| window == end);
        at.map(|at| at + end.len())
    };
    ends(b"\r\n\r\n").into_iter().chain(ends(b"\n\n")).min()
}

/// An answer, whole.
#[derive(Debug)]
struct Answer {
    status: &'static str,
    content_type: &'static str,
    body: String,
    /// HEAD: everything but the body.
    head_only: bool,
}

impl Answer {
    fn new(status: &'static str, content_type: &'static str, body: String) -> Self {
        Self {
            status,
            content_type,
            body,
            head_only: false,
        }
    }

    fn text(status: &'static str, body: &str) -> Self {
        Self::new(status, TEXT, format!("{body}\n"))
    }

    fn error(status: &'static str) -> Self {
        Self::text(status, status)
    }

    async fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(self.head().as_bytes()).await?;
        if !self.head_only {
            stream.write_all(self.body.as_bytes()).await?;
        }
        stream.shutdown().await
    }

    fn head(&self) -> String {
        let allow = match self.status.starts_with("405") {
            true => "Allow: GET, HEAD\r\n",
            false => "",
        };
        format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
            self.status,
            self.content_type,
            self.body.len()
        )
    }
}

/// What a head asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked<'a> {
    Get(&'a str),
    Head(&'a str),
    OtherMethod,
    OtherVersion,
    Malformed,
}

fn asked(head: &[u8]) -> Asked<'_> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else {
        return Asked::Malformed;
    };
    let mut words = line.trim_end_matches('\r').split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Asked::Malformed;
    };
    let is_token = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_token || !target.starts_with('/') || !version.starts_with("HTTP/") {
        return Asked::Malformed;
    }
    if !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
        return Asked::OtherVersion;
    }
    let path = target.split('?').next().unwrap_or_default();
    match method {
        "GET" => Asked::Get(path),
        "HEAD" => Asked::Head(path),
        _ => Asked::OtherMethod,
    }
}

async fn answer(head: &[u8], health: &Health) -> Answer {
    match asked(head) {
        Asked::Get(path) => resource(path, health).await,
        Asked::Head(path) => Answer {
            head_only: true,
            ..resource(path, health).await
        },
        Asked::OtherMethod => Answer::error("405 Method Not Allowed"),
        Asked::OtherVersion => Answer::error("505 HTTP Version Not Supported"),
        Asked::Malformed => Answer::error("400 Bad Request"),
    }
}

async fn resource(path: &str, health: &Health) -> Answer {
    match path {
        "/metrics" => Answer::new("200 OK", METRICS, scrape::page(health).await),
        "/live" => Answer::text("200 OK", "live"),
        "/ready" => match health.stage() {
            Stage::Ready => Answer::text("200 OK", "ready"),
            Stage::Starting => Answer::text("503 Service Unavailable", "starting"),
            Stage::Stopping => Answer::text("503 Service Unavailable", "stopping"),
        },
        _ => Answer::text("404 Not Found", "there are /metrics, /ready and /live"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_is_read_as_http_1_has_it() {
        let cases: &[(&[u8], Asked<'_>)] = &[
            (
                b"GET /metrics HTTP/1.1\r\nHost: a\r\n",
                Asked::Get("/metrics"),
            ),
            (b"GET /metrics?name=a HTTP/1.0\n", Asked::Get("/metrics")),
            (b"HEAD / HTTP/1.1\r\n", Asked::Head("/")),
            (b"POST /metrics HTTP/1.1\r\n", Asked::OtherMethod),
            (b"GET /metrics HTTP/2.0\r\n", Asked::OtherVersion),
            (b"GET /metrics\r\n", Asked::Malformed),
            (b"GET  /metrics HTTP/1.1\r\n", Asked::Malformed),
            (b"GET metrics HTTP/1.1\r\n", Asked::Malformed),
            (b"G\0T / HTTP/1.1\r\n", Asked::Malformed),
            (b"\xff\xfe / HTTP/1.1\r\n", Asked::Malformed),
            (b"\r\n", Asked::Malformed),
            (b"", Asked::Malformed),
        ];
        for (head, expected) in cases {
            let text = String::from_utf8_lossy(head);
            assert_eq!(asked(head), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        assert_eq!(head_end(b"a\r\n\r\nbody"), Some(5));
        assert_eq!(head_end(b"a\n\nbody\r\n\r\n"), Some(3));
        assert_eq!(head_end(b"a\r\nb\r\n"), None);
    }

    #[test]
    fn an_answer_says_how_long_it_is_and_that_it_is_the_last() {
        assert_eq!(
            Answer::error("405 Method Not Allowed").head(),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 23\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n"
        );
    }
}
