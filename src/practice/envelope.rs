//! What is carried to the app, and what becomes of it.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    Interaction,
    Event,
}

impl Kind {
    pub fn envelope_type(self) -> &'static str {
        match self {
            Self::Command => "slash_commands",
            Self::Interaction => "interactive",
            Self::Event => "events_api",
        }
    }
}

/// What became of a command or interaction.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Acked {
        payload: Option<Value>,
        elapsed: Duration,
    },
    TimedOut {
        elapsed: Duration,
    },
    /// No app is connected, the connection broke, or the app answered with an HTTP error.
    Undelivered {
        why: String,
    },
}

/// Something to deliver.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub kind: Kind,
    pub payload: Value,
    pub accepts_payload: bool,
    pub reply: Option<oneshot::Sender<Answer>>,
    /// 0 for the first delivery.
    pub attempt: u32,
    pub retry_reason: Option<&'static str>,
}
