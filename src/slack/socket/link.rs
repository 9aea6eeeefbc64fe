//! One connection, from its opening to its end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use url::Url;

use super::super::client::{dialer, is_safe};
use super::super::health::Health;
use super::super::inbound::{Ack, Inbound};
use super::frame::{Envelope, Farewell, Frame, acknowledgement};
use super::{NoLink, Patience};
use crate::tls;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a connection keeps for frames that come in, in bytes. Slack's are small; a larger one makes it grow.
const BUFFER: usize = 16 * 1024;

/// A connection that has said hello.
pub(super) struct Link {
    stream: Stream,
    inbound: Inbound,
    patience: Patience,
    /// Counted in the gauge until this is dropped.
    standing: Standing,
}

/// A connection's place in the gauge.
struct Standing(Health);

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.closed();
    }
}

/// What happens to a connection next.
enum Next {
    Frame(Option<Result<Message, Error>>),
    Acknowledge(Result<Option<String>, JoinError>),
    Ping,
    Leave,
    Stop,
}

impl Link {
    /// Asks Slack for an address, connects, and waits for hello.
    pub async fn open(inbound: &Inbound, health: &Health, patience: &Patience) -> Result<Self, NoLink> {
        let address = inbound.slack().open_socket_address().await?;
        let Some(url) = Url::parse(&address).ok().filter(is_safe) else {
            return Err(NoLink::Broken("Slack named an address that is not encrypted".to_owned()));
        };
        let trust = tls::config().map_err(|fault| NoLink::Broken(fault.to_string()))?;
        let socket = WebSocketConfig::default().read_buffer_size(BUFFER);
        let tcp = within(patience.answer_within, dial(&url)).await?;
        let connecting =
            client_async_tls_with_config(address, tcp, Some(socket), Some(Connector::Rustls(Arc::new(trust))));
        let (mut stream, _) = within(patience.answer_within, connecting).await?;
        match within(patience.answer_within, greeting(&mut stream)).await? {
            None => {}
            Some(Farewell::Disabled) => return Err(NoLink::Disabled),
            Some(Farewell::Refresh) => return Err(NoLink::Broken("Slack closed it at once".to_owned())),
        }
        health.opened(inbound.clock().now());
        tracing::info!(links = health.gauge().links, "connected to Slack");
        Ok(Self { stream, inbound: inbound.clone(), patience: patience.clone(), standing: Standing(health.clone()) })
    }

    /// Serves until the connection ends. `ask` is told when Slack wants another one opened. True, there and at the end,
    /// when the connection was of use, so that the next one may be opened without a pause.
    /// It closes when `leave` is called in, and soon after Slack asked for that.
    pub async fn serve(
        mut self,
        ask: oneshot::Sender<(Farewell, bool)>,
        leave: CancellationToken,
        stop: CancellationToken,
    ) -> bool {
        let mut ask = Some(ask);
        let mut taking: JoinSet<Option<String>> = JoinSet::new();
        let mut ping = tokio::time::interval(self.patience.ping_every);
        ping.reset();
        // A process that was frozen makes up for no pings: it would take its own absence for the peer's.
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = 0;
        let mut of_use = false;
        loop {
            let next = tokio::select! {
                biased;
                Some(done) = taking.join_next() => Next::Acknowledge(done),
                frame = self.stream.next() => Next::Frame(frame),
                _ = ping.tick() => Next::Ping,
                () = leave.cancelled() => Next::Leave,
                () = stop.cancelled() => Next::Stop,
            };
            match next {
                Next::Frame(Some(Ok(message))) => {
                    silent = 0;
                    self.standing.0.heard(self.inbound.clock().now());
                    match message {
                        Message::Text(text) => match self.take(&text, &mut taking) {
                            None => of_use = true,
                            Some(farewell) => {
                                if let Some(ask) = ask.take() {
                                    // Whoever keeps this connection may be stopping, and then needs no other.
                                    let _ = ask.send((farewell, of_use));
                                    expire(self.patience.leave_within, leave.clone());
                                }
                            }
                        },
                        Message::Close(_) => break,
                        _ => {}
                    }
                }
                Next::Frame(Some(Err(broken))) => {
                    tracing::info!(%broken, "a connection to Slack broke");
                    break;
                }
                Next::Frame(None) => break,
                Next::Acknowledge(Ok(Some(acknowledgement))) => {
                    if self.write(Message::text(acknowledgement)).await.is_err() {
                        break;
                    }
                }
                Next::Acknowledge(Ok(None)) => {}
                Next::Acknowledge(Err(broken)) => tracing::error!(%broken, "an envelope was not taken"),
                Next::Ping if silent >= self.patience.silent_pings => {
                    tracing::warn!("a connection to Slack fell silent and is given up");
                    return of_use;
                }
                Next::Ping => {
                    of_use |= silent == 0;
                    silent += 1;
                    if self.write(Message::Ping(Default::default())).await.is_err() {
                        break;
                    }
                }
                Next::Leave | Next::Stop => {
                    self.part(&mut taking).await;
                    return of_use;
                }
            }
        }
        self.finish(&mut taking).await;
        of_use
    }

    /// Begins to take an envelope; others are read meanwhile.
    fn take(&self, text: &str, taking: &mut JoinSet<Option<String>>) -> Option<Farewell> {
        match Frame::read(text) {
            Frame::Goodbye(farewell) => return Some(farewell),
            Frame::Strange { envelope } => {
                taking.spawn(std::future::ready(Some(acknowledgement(&envelope, None))));
            }
            Frame::Envelope(Envelope { id, delivery, takes_answer }) => {
                let inbound = self.inbound.clone();
                taking.spawn(async move {
                    match inbound.take(delivery).await {
                        Ack::Taken(answer) => Some(acknowledgement(&id, answer.filter(|_| takes_answer))),
                        Ack::Again => None,
                    }
                });
            }
            Frame::Hello | Frame::Nothing => {}
        }
        None
    }

    async fn write(&mut self, message: Message) -> Result<(), NoLink> {
        let written = within(self.patience.answer_within, self.stream.send(message)).await;
        if let Err(broken) = &written {
            tracing::info!(%broken, "a connection to Slack broke");
        }
        written
    }

    /// Acknowledges what was read, then closes.
    async fn part(&mut self, taking: &mut JoinSet<Option<String>>) {
        let limit = self.patience.finish_within;
        let finishing = async {
            while let Some(done) = taking.join_next().await {
                if let Ok(Some(acknowledgement)) = done
                    && self.write(Message::text(acknowledgement)).await.is_err()
                {
                    return;
                }
            }
            // The peer may have closed first.
            let _ = self.stream.close(None).await;
        };
        if tokio::time::timeout(limit, finishing).await.is_err() {
            tracing::warn!("a connection was closed before everything read from it was acknowledged");
        }
    }

    /// The connection is gone, but what was read from it is still stored.
    async fn finish(&mut self, taking: &mut JoinSet<Option<String>>) {
        let storing = async { while taking.join_next().await.is_some() {} };
        if tokio::time::timeout(self.patience.finish_within, storing).await.is_err() {
            tracing::warn!("a connection ended while envelopes were still being stored");
        }
    }
}

async fn dial(url: &Url) -> Result<TcpStream, Error> {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
    // Of a WebSocket's scheme the dialer does not know the port.
    let peer = Uri::builder().scheme("http").authority(format!("{host}:{port}")).path_and_query("/").build()?;
    let dialed = dialer().oneshot(peer).await;
    dialed.map(TokioIo::into_inner).map_err(|error| Error::Io(std::io::Error::other(error)))
}

/// Reads up to hello; or up to the farewell that Slack said in its place.
async fn greeting(stream: &mut Stream) -> Result<Option<Farewell>, Error> {
    loop {
        let message = stream.next().await.unwrap_or(Err(Error::ConnectionClosed))?;
        let Message::Text(text) = message else { continue };
        match Frame::read(&text) {
            Frame::Hello => return Ok(None),
            Frame::Goodbye(farewell) => return Ok(Some(farewell)),
            _ => {}
        }
    }
}

/// Calls in `leave` after `length`, unless it is gone by then.
pub(super) fn expire(length: Duration, leave: CancellationToken) {
    tokio::spawn(async move {
        if tokio::time::timeout(length, leave.cancelled()).await.is_err() {
            leave.cancel();
        }
    });
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, NoLink> {
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(done)) => Ok(done),
        // The address is a credential for one connection: it must not be in the reason.
        Ok(Err(Error::Http(response))) => Err(NoLink::Broken(format!("HTTP {}", response.status()))),
        Ok(Err(Error::Url(_) | Error::HttpFormat(_))) => {
            Err(NoLink::Broken("its address is not understood".to_owned()))
        }
        Ok(Err(other)) => Err(NoLink::Broken(other.to_string())),
        Err(_) => Err(NoLink::Broken(format!("no answer within {} s", limit.as_secs()))),
    }
}
