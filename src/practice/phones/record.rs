//! What arrived, and what is to go wrong next. Shared by the doors; knows no protocol.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

/// The way a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryKind {
    /// A page: a webhook whose name begins with `page`.
    Page,
    /// A text message.
    Sms,
    /// A telephone call.
    Call,
    /// An e-mail.
    Email,
    /// Any other webhook.
    Webhook,
}

/// One message as its addressee finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// 1 for the first arrival, then counting up.
    pub id: u64,
    /// When it arrived, milliseconds UTC.
    pub at_ms: i64,
    /// The way it came.
    pub kind: DeliveryKind,
    /// Address, number, or the webhook's name.
    pub to: String,
    /// The sender's address or number; empty for a webhook.
    pub from: String,
    /// An e-mail's subject or a webhook's title; may be empty.
    pub subject: String,
    /// The text, decoded; a webhook's JSON.
    pub body: String,
    /// What the sender was told, in one or two words.
    pub status: String,
    /// The message as it came over the wire.
    #[serde(skip)]
    pub raw: String,
}

/// A message that has not been numbered yet.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub kind: DeliveryKind,
    pub to: String,
    pub from: String,
    pub subject: String,
    pub body: String,
    pub status: &'static str,
    pub raw: String,
}

/// Where a message comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The SMTP server.
    Smtp,
    /// Twilio's messages.
    Sms,
    /// Twilio's calls.
    Call,
    /// Webhooks, pages among them.
    Hook,
}

/// What goes wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// HTTP 503, SMTP 421 and a closed connection. Not delivered.
    Unavailable,
    /// HTTP 429 with `Retry-After: 7`, SMTP 451. Not delivered.
    TooMany,
    /// HTTP 400 (Twilio error 21211), SMTP 550 for the recipient. Not delivered.
    Refused,
    /// No answer at all. Not delivered.
    Hang,
    /// Delivered, but the answer never comes: the sender cannot know.
    LostAnswer,
}

pub(super) struct Record {
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
    kept: Mutex<Kept>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    deliveries: Vec<Delivery>,
    faults: VecDeque<(Door, Fault)>,
    refused: BTreeSet<String>,
}

impl Record {
    pub fn new(now: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        Self { now, kept: Mutex::default(), changes: watch::Sender::new(0) }
    }

    // A panic elsewhere leaves whole values behind: every change here is a single push or remove.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now_ms(&self) -> i64 {
        (self.now)()
    }

    pub fn add(&self, arrival: Arrival) -> Delivery {
        let at_ms = self.now_ms();
        let delivery = {
            let mut kept = self.kept();
            let Arrival { kind, to, from, subject, body, status, raw } = arrival;
            let id = kept.deliveries.last().map_or(1, |last| last.id + 1);
            let delivery = Delivery { id, at_ms, kind, to, from, subject, body, status: status.into(), raw };
            kept.deliveries.push(delivery.clone());
            delivery
        };
        self.changes.send_modify(|n| *n += 1);
        delivery
    }

    pub fn all(&self) -> Vec<Delivery> {
        self.kept().deliveries.clone()
    }

    pub fn find(&self, id: u64) -> Option<Delivery> {
        self.kept().deliveries.iter().find(|d| d.id == id).cloned()
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn fail_next(&self, door: Door, fault: Fault, count: usize) {
        self.kept().faults.extend(std::iter::repeat_n((door, fault), count));
    }

    /// Takes the next fault meant for this door.
    pub fn take_fault(&self, door: Door) -> Option<Fault> {
        let mut kept = self.kept();
        let at = kept.faults.iter().position(|(d, _)| *d == door)?;
        kept.faults.remove(at).map(|(_, fault)| fault)
    }

    pub fn faults_left(&self) -> usize {
        self.kept().faults.len()
    }

    pub fn refuse(&self, address: &str, on: bool) {
        let address = plain(address);
        let mut kept = self.kept();
        if on {
            kept.refused.insert(address);
        } else {
            kept.refused.remove(&address);
        }
    }

    pub fn refuses(&self, address: &str) -> bool {
        self.kept().refused.contains(&plain(address))
    }
}

/// `+1 555-0101` and `+15550101` are one number; addresses do not mind capitals.
fn plain(address: &str) -> String {
    let number = address.starts_with('+');
    let filler = |c: char| c.is_whitespace() || (number && matches!(c, '-' | '(' | ')'));
    address.chars().filter(|c| !filler(*c)).collect::<String>().to_lowercase()
}
