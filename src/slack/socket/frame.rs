//! The frames of Socket Mode, read leniently (platform facts 1.2 and 2.1).

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::inbound::{Delivery, Kind};

/// A text frame from Slack.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    envelope_id: String,
    payload: Value,
    accepts_response_payload: bool,
    retry_attempt: Value,
    retry_reason: Value,
    reason: String,
}

/// What a frame says.
#[derive(Debug)]
pub(super) enum Frame {
    /// The connection is ready.
    Hello,
    /// Slack will close this connection.
    Goodbye(Farewell),
    /// Something for us.
    Envelope(Envelope),
    /// Something that Vigie does not know, but that wants an acknowledgement.
    Strange {
        /// The envelope.
        envelope: String,
    },
    /// Nothing to do about it.
    Nothing,
}

/// Why Slack closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// As it does every few hours; a new one is to be opened first.
    Refresh,
    /// Socket Mode was switched off: a new connection is refused until it is on again.
    Disabled,
}

/// Something for us.
#[derive(Debug)]
pub(super) struct Envelope {
    pub id: String,
    pub delivery: Delivery,
    pub takes_answer: bool,
}

impl Frame {
    /// Reads a frame. What cannot be read is logged by its type, never by its content.
    pub fn read(text: &str) -> Self {
        let raw: Raw = match serde_json::from_str(text) {
            Ok(raw) => raw,
            Err(cause) => {
                tracing::error!(
                    line = cause.line(),
                    column = cause.column(),
                    bytes = text.len(),
                    "a frame of Slack's could not be read"
                );
                return Frame::Nothing;
            }
        };
        match raw.kind.as_str() {
            "hello" => return Frame::Hello,
            "disconnect" => return Frame::Goodbye(farewell(&raw.reason)),
            _ => {}
        }
        if raw.envelope_id.is_empty() {
            tracing::warn!(kind = raw.kind, "a frame that Vigie does not know");
            return Frame::Nothing;
        }
        let kind = match raw.kind.as_str() {
            "slash_commands" => Kind::Command,
            "interactive" => Kind::Interaction,
            "events_api" => Kind::Event,
            kind => {
                tracing::warn!(kind, "an envelope that Vigie does not know was acknowledged");
                return Frame::Strange { envelope: raw.envelope_id };
            }
        };
        if raw.retry_attempt.as_i64().is_some_and(|attempt| attempt > 0) {
            tracing::warn!(kind = raw.kind, attempt = %raw.retry_attempt, reason = %raw.retry_reason, "Slack delivers again");
        }
        Frame::Envelope(Envelope {
            delivery: Delivery { kind, payload: raw.payload, id: raw.envelope_id.clone() },
            id: raw.envelope_id,
            takes_answer: raw.accepts_response_payload,
        })
    }
}

fn farewell(reason: &str) -> Farewell {
    match reason {
        "link_disabled" => Farewell::Disabled,
        "too_many_websockets" => {
            tracing::warn!(
                "Slack closes a connection, for this app has more than the ten that it allows; let fewer processes use the app's token"
            );
            Farewell::Refresh
        }
        reason => {
            tracing::info!(reason, "Slack will close a connection");
            Farewell::Refresh
        }
    }
}

/// The acknowledgement of an envelope, with an answer where Slack takes one.
pub(super) fn acknowledgement(envelope: &str, answer: Option<Value>) -> String {
    match answer {
        Some(answer) => json!({"envelope_id": envelope, "payload": answer}),
        None => json!({"envelope_id": envelope}),
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_even_if_slack_leaves_half_of_it_out() {
        let frame = Frame::read(r#"{"type":"slash_commands","envelope_id":"e1","payload":{"text":"status"}}"#);
        let Frame::Envelope(envelope) = frame else { panic!("{frame:?}") };
        assert_eq!((envelope.id.as_str(), envelope.delivery.kind, envelope.takes_answer), ("e1", Kind::Command, false));
    }

    #[test]
    fn what_vigie_does_not_know_is_acknowledged_if_it_can_be() {
        assert!(
            matches!(Frame::read(r#"{"type":"holograms","envelope_id":"e2"}"#), Frame::Strange { envelope } if envelope == "e2")
        );
        assert!(matches!(Frame::read(r#"{"type":"holograms"}"#), Frame::Nothing));
        assert!(matches!(Frame::read("not json"), Frame::Nothing));
        assert!(matches!(Frame::read("[]"), Frame::Nothing));
    }

    #[test]
    fn a_switched_off_app_is_told_from_a_refresh() {
        let goodbye = |reason: &str| Frame::read(&json!({"type": "disconnect", "reason": reason}).to_string());
        assert!(matches!(goodbye("warning"), Frame::Goodbye(Farewell::Refresh)));
        assert!(matches!(goodbye("refresh_requested"), Frame::Goodbye(Farewell::Refresh)));
        assert!(matches!(goodbye("too_many_websockets"), Frame::Goodbye(Farewell::Refresh)));
        assert!(matches!(goodbye("link_disabled"), Frame::Goodbye(Farewell::Disabled)));
    }
}
