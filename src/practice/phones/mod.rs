//! Phones and inboxes: everything that leaves the workspace ends here, for people and tests to look at.
//!
//! Three doors on the loopback address: an SMTP server, an HTTP door that answers as Twilio does, and one
//! for webhooks. What arrives is kept in memory in order of arrival. Nothing is ever sent onwards, and no
//! timer runs here: a hanging door hangs until its caller goes away.

mod hooks;
mod mail;
mod record;
mod smtp;
mod twilio;
mod twilio_form;

use std::net::SocketAddr;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use record::Record;
pub use record::{Delivery, DeliveryKind, Door, Fault};

/// The largest e-mail or request that is taken, in bytes.
const LARGEST: usize = 1024 * 1024;

/// What the phones need to run.
pub struct PhonesOptions {
    /// The workspace's time in milliseconds UTC; stamps each arrival.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Port of the SMTP door on 127.0.0.1; 0 takes a free one.
    pub smtp_port: u16,
    /// Port of the HTTP door on 127.0.0.1; 0 takes a free one.
    pub http_port: u16,
    /// The account that the Twilio door knows.
    pub account: TwilioAccount,
}

impl PhonesOptions {
    /// Free ports and the practice account.
    pub fn new(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now), smtp_port: 0, http_port: 0, account: TwilioAccount::default() }
    }
}

/// The account whose name and token the Twilio door asks for.
#[derive(Clone, Debug)]
pub struct TwilioAccount {
    /// `AC` and 32 hexadecimal digits, as in the address.
    pub sid: String,
    /// The token of HTTP basic authentication.
    pub token: SecretString,
}

impl Default for TwilioAccount {
    fn default() -> Self {
        Self { sid: "AC00000000000000000000000000000001".into(), token: SecretString::from("token-of-the-phones") }
    }
}

/// Why the phones did not start.
#[derive(Debug, thiserror::Error)]
pub enum PhonesError {
    /// The port is taken or may not be used.
    #[error(
        "The {door} door of the phones cannot listen on 127.0.0.1:{port}: {source}. Choose another port, or 0 for a free one."
    )]
    Listen {
        /// Which door.
        door: &'static str,
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The phones and inboxes. Clones share them; the doors close when the last clone is gone.
#[derive(Clone)]
pub struct Phones {
    inner: Arc<Doors>,
}

struct Doors {
    record: Arc<Record>,
    smtp: SocketAddr,
    http: SocketAddr,
    account: TwilioAccount,
    closing: CancellationToken,
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl Phones {
    /// Opens the doors.
    ///
    /// # Errors
    /// When a port cannot be listened on.
    pub async fn start(options: PhonesOptions) -> Result<Self, PhonesError> {
        let PhonesOptions { now, smtp_port, http_port, account } = options;
        let record = Arc::new(Record::new(now));
        let (smtp_listener, smtp) = listen("SMTP", smtp_port).await?;
        let (http_listener, http) = listen("HTTP", http_port).await?;
        let closing = CancellationToken::new();

        tokio::spawn(closing.clone().run_until_cancelled_owned(smtp::serve(smtp_listener, record.clone())));
        let routes = twilio::routes(record.clone(), account.clone()).merge(hooks::routes(record.clone()));
        let shut = closing.clone().cancelled_owned();
        tokio::spawn(async move {
            // Hanging requests would keep a graceful close waiting, so the doors close at once.
            tokio::select! {
                outcome = axum::serve(http_listener, routes) => if let Err(error) = outcome {
                    tracing::error!(%error, "the HTTP door of the phones closed");
                },
                () = shut => {}
            }
        });
        Ok(Self { inner: Arc::new(Doors { record, smtp, http, account, closing }) })
    }

    /// Where the SMTP door listens.
    pub fn smtp_addr(&self) -> SocketAddr {
        self.inner.smtp
    }

    /// The base address of the Twilio door and of `/hook/{name}`, without a trailing slash.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.inner.http)
    }

    /// The account the Twilio door knows.
    pub fn account(&self) -> &TwilioAccount {
        &self.inner.account
    }

    /// Everything that arrived, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.inner.record.all()
    }

    /// A number that grows with each arrival.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.record.changes()
    }

    /// Makes the next `count` messages at a door go wrong.
    pub fn fail_next(&self, door: Door, fault: Fault, count: usize) {
        self.inner.record.fail_next(door, fault, count);
    }

    /// How many planned faults have not been met yet.
    pub fn faults_left(&self) -> usize {
        self.inner.record.faults_left()
    }

    /// Refuses an address or a number at every door until [`Phones::accept`].
    pub fn refuse(&self, address: &str) {
        self.inner.record.refuse(address, true);
    }

    /// Takes back [`Phones::refuse`].
    pub fn accept(&self, address: &str) {
        self.inner.record.refuse(address, false);
    }
}

async fn listen(door: &'static str, port: u16) -> Result<(TcpListener, SocketAddr), PhonesError> {
    let fault = |source| PhonesError::Listen { door, port, source };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    Ok((listener, address))
}
