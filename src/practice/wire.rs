//! The listener under the practice workspace: small packets leave at once (TCP_NODELAY), and every connection can be cut
//! from outside, so that a test can lose an answer that Slack had already worked for.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A TCP listener whose connections end when `closing` is cancelled.
pub(super) struct WireListener {
    pub tcp: TcpListener,
    pub closing: CancellationToken,
}

/// One accepted connection as its request handlers see it.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    cut: CancellationToken,
    addr: SocketAddr,
}

impl Wire {
    /// Cuts the connection: nothing more is read from it or written to it.
    pub fn cut(&self) {
        tracing::debug!(peer = %self.addr, "practice workspace cuts a connection");
        self.cut.cancel();
    }
}

impl Connected<IncomingStream<'_, WireListener>> for Wire {
    fn connect_info(stream: IncomingStream<'_, WireListener>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Listener for WireListener {
    type Io = WireStream;
    type Addr = Wire;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.tcp.accept().await {
                Ok((tcp, addr)) => {
                    if let Err(error) = tcp.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY refused");
                    }
                    let cut = self.closing.child_token();
                    let stream = WireStream { tcp, gone: Box::pin(cut.clone().cancelled_owned()) };
                    return (stream, Wire { cut, addr });
                }
                Err(error) => {
                    tracing::warn!(%error, "the practice workspace could not accept a connection");
                    breathe().await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Wire { cut: self.closing.clone(), addr: self.tcp.local_addr()? })
    }
}

/// A TCP stream that fails once its [`Wire`] was cut.
pub(super) struct WireStream {
    tcp: TcpStream,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl WireStream {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.gone.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for WireStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for WireStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// A pause before the next connection is accepted, when the machine has no room for one.
#[expect(clippy::disallowed_methods, reason = "the machine needs real time to recover")]
async fn breathe() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
