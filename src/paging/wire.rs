//! A peer on the wire for tests: a small axum server that answers as told and remembers what it was asked.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::serve::Listener;
use axum::{Router, serve};
use base64::Engine;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What the peer does with one request.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Takes the request and closes the connection.
    HangUp,
    /// Takes the request and says nothing.
    Silence,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::text(status, &body.to_string())
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.to_owned() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the request's body is JSON")
    }

    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub(crate) fn basic_auth(&self) -> (String, String) {
        let encoded = self.header("authorization").strip_prefix("Basic ");
        let decoded =
            base64::engine::general_purpose::STANDARD.decode(encoded.expect("basic authentication")).expect("base64");
        let text = String::from_utf8(decoded).expect("text");
        let (user, password) = text.split_once(':').expect("user:password");
        (user.to_owned(), password.to_owned())
    }
}

#[derive(Debug, Default)]
struct Memory {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    /// Keeps silent connections open for as long as the peer lives.
    silent: Mutex<Vec<oneshot::Sender<()>>>,
    /// From now on nothing is written to any connection.
    hung_up: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test thread panicked while it held this")
}

/// The peer; it ends with the test's runtime.
#[derive(Debug)]
pub(crate) struct Peer {
    port: u16,
    memory: Arc<Memory>,
}

impl Peer {
    /// Starts a peer that gives these replies in order, and 500 to anything more.
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let memory = Arc::new(Memory { replies: Mutex::new(replies.into()), ..Memory::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let router = Router::new().fallback(answer).with_state(memory.clone());
        let doors = Doors { listener, memory: memory.clone() };
        tokio::spawn(async move { serve(doors, router).await });
        Self { port, memory }
    }

    /// An address where nobody listens.
    pub(crate) async fn nobody() -> String {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        format!("http://127.0.0.1:{port}")
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Asked> {
        locked(&self.memory.asked).clone()
    }

    pub(crate) fn only_request(&self) -> Asked {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "one request was expected: {requests:?}");
        requests.into_iter().next().expect("one request")
    }
}

/// A listener whose connections break once the peer has hung up.
struct Doors {
    listener: TcpListener,
    memory: Arc<Memory>,
}

impl Listener for Doors {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, from) = Listener::accept(&mut self.listener).await;
        let memory = self.memory.clone();
        (Line { stream, memory }, from)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

struct Line {
    stream: TcpStream,
    memory: Arc<Memory>,
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.memory.hung_up.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

async fn answer(State(memory): State<Arc<Memory>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a small body");
    locked(&memory.asked).push(Asked {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body,
    });
    let reply =
        locked(&memory.replies).pop_front().unwrap_or_else(|| Reply::text(500, "the peer was told no more replies"));
    match reply {
        Reply::Answer { status, headers, body } => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            for (name, value) in headers {
                let value = value.parse().expect("a header value");
                response.headers_mut().insert(name, value);
            }
            response
        }
        Reply::HangUp => {
            memory.hung_up.store(true, Ordering::SeqCst);
            Response::new(Body::empty())
        }
        Reply::Silence => {
            let (keep, never) = oneshot::channel::<()>();
            locked(&memory.silent).push(keep);
            never.await.ok();
            Response::new(Body::empty())
        }
    }
}
