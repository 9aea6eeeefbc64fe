//! What can go wrong between Vigie and Slack, in three kinds that the engine treats differently.
//!
//! Nothing here carries a token, a response body or a message's text: a fault may be logged and shown whole.

use std::time::Duration;

use serde_json::Value;
use slack_morphism::errors::SlackClientError;

use crate::incident::words::Words;

/// A call that did not give what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlackFault {
    /// Nothing was done; the same call may work later.
    #[error("{why}")]
    Retry {
        /// Not before this long from now, when Slack (or our own budget) says so.
        after: Option<Duration>,
        /// Slack's word, or ours for what never reached Slack.
        code: String,
        /// A sentence.
        why: String,
    },
    /// Slack said no, and will say no again until a person changes something.
    #[error("{why}")]
    Permanent {
        /// Slack's word.
        code: String,
        /// A sentence with the cure.
        why: String,
    },
    /// The request went out and no usable answer came back: it may have been done.
    #[error("{why}")]
    Unknown {
        /// Our word for it.
        code: String,
        /// A sentence.
        why: String,
    },
}

/// Which of the two tokens a call is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    /// `xoxb-…`, everything but Socket Mode.
    Bot,
    /// `xapp-…`, Socket Mode.
    App,
    /// None: the address itself is the permission (`response_url`, upload addresses).
    None,
}

impl Credential {
    /// The variable a person sets it with.
    const fn variable(self) -> &'static str {
        match self {
            Credential::App => "SLACK_APP_TOKEN",
            Credential::Bot | Credential::None => "SLACK_BOT_TOKEN",
        }
    }
}

impl SlackFault {
    /// Slack's word for the reason, or ours.
    pub fn code(&self) -> &str {
        match self {
            SlackFault::Retry { code, .. } | SlackFault::Permanent { code, .. } | SlackFault::Unknown { code, .. } => {
                code
            }
        }
    }

    /// The reason as a sentence.
    pub fn why(&self) -> &str {
        match self {
            SlackFault::Retry { why, .. } | SlackFault::Permanent { why, .. } | SlackFault::Unknown { why, .. } => why,
        }
    }

    /// The reason for people, who can do nothing about methods and addresses; what can is in the log.
    pub fn words(&self) -> Words {
        reason(self.code())
    }

    /// The call never reached Slack, or Slack says that it did not look at it: nothing can have been done. A server
    /// error says no such thing.
    pub(super) fn is_before_work(&self) -> bool {
        const BEFORE: [&str; 4] = ["budget", "ratelimited", "connect_failed", "no_channel_yet"];
        matches!(self, SlackFault::Retry { code, .. } if BEFORE.contains(&code.as_str()))
    }

    /// Slack said no to this very call with this word.
    pub(super) fn is(&self, code: &str) -> bool {
        matches!(self, SlackFault::Permanent { code: found, .. } if found == code)
    }

    /// Slack said no with one of these words.
    pub(super) fn is_one_of(&self, codes: &[&str]) -> bool {
        matches!(self, SlackFault::Permanent { code, .. } if codes.contains(&code.as_str()))
    }

    pub(super) fn permanent(code: &str, why: impl Into<String>) -> Self {
        SlackFault::Permanent { code: code.to_owned(), why: why.into() }
    }

    pub(super) fn unknown(code: &str, why: impl Into<String>) -> Self {
        SlackFault::Unknown { code: code.to_owned(), why: why.into() }
    }

    pub(super) fn retry(code: &str, after: Option<Duration>, why: impl Into<String>) -> Self {
        SlackFault::Retry { after, code: code.to_owned(), why: why.into() }
    }
}

/// What Slack's word for a refusal, or ours, means to the people in the incident.
pub fn reason(code: &str) -> Words {
    Words::new(match code {
        "budget" | "ratelimited" | "rate_limited" => "slack_fault.limited",
        "timeout" | "connection_lost" | "unreadable_answer" | "request_timeout" => "slack_fault.no_answer",
        "connect_failed" => "slack_fault.unreached",
        "internal_error" | "fatal_error" | "service_unavailable" => "slack_fault.broken",
        code if code.starts_with("http_5") => "slack_fault.broken",
        code if BETWEEN.iter().any(|status| code == format!("http_{status}")) => "slack_fault.between",
        "missing_scope" | "not_allowed_token_type" => "slack_fault.missing_scope",
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => "slack_fault.token",
        "restricted_action" | "cannot_create_channel" | "permission_denied" | "access_denied" => {
            "slack_fault.not_allowed"
        }
        "not_in_channel" => "slack_fault.not_in_channel",
        "channel_not_found" => "slack_fault.channel_not_found",
        "is_archived" => "slack_fault.archived",
        "no_channel" | "no_channel_yet" => "slack_fault.no_channel",
        "messages_tab_disabled" | "user_disabled" | "user_not_found" | "users_not_found" | "no_slack_id" => {
            "slack_fault.person"
        }
        "message_not_found" | "cant_update_message" | "edit_window_closed" => "slack_fault.message_gone",
        "invalid_blocks" | "invalid_blocks_format" | "msg_blocks_too_long" | "msg_too_long" | "not_drawn" => {
            "slack_fault.not_drawn"
        }
        "name_taken" => "slack_fault.name_taken",
        _ => return Words::new("slack_fault.other").with("code", code),
    })
}

/// Words with which Slack refuses a token itself.
pub(super) const TOKEN_REFUSED: [&str; 5] =
    ["invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"];

/// Words with which Slack says that the trouble is its own or passes by itself.
const PASSING: [&str; 9] = [
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "ratelimited",
    "rate_limited",
    "request_timeout",
    "external_channel_migrating",
    "team_added_to_org",
    "update_failed",
];

/// With these a proxy, a firewall or a sign-in page keeps a request from Slack for a while: a redirection that is not for
/// good, a credential that it wants, a refusal. Slack itself says no with 200 and JSON, and with 404 of an address that is
/// used up.
const BETWEEN: [u16; 8] = [302, 303, 307, 401, 403, 407, 421, 451];

/// What an error of the client means, and the answer's body where Slack gave one (for errors told one by one).
pub(super) fn understand(
    method: &str,
    credential: Credential,
    error: &SlackClientError,
) -> (SlackFault, Option<Value>) {
    match error {
        SlackClientError::RateLimitError(limit) => {
            let after = limit.retry_after.unwrap_or(Duration::from_secs(1));
            let why = format!("Slack takes no more calls of {method} for {} s.", after.as_secs());
            (SlackFault::retry("ratelimited", Some(after), why), None)
        }
        SlackClientError::ApiError(refusal) => {
            let body = refusal.http_response_body.as_deref().and_then(|body| serde_json::from_str::<Value>(body).ok());
            let fault = refused(method, credential, &refusal.code, body.as_ref());
            (fault, body)
        }
        SlackClientError::HttpError(http) => (of_status(method, http.status_code.as_u16()), None),
        SlackClientError::HttpProtocolError(protocol) => {
            let cause = protocol.cause.as_deref();
            (of_transport(method, cause), None)
        }
        SlackClientError::ProtocolError(_) => (garbage(method), None),
        SlackClientError::EndOfStream(_)
        | SlackClientError::SystemError(_)
        | SlackClientError::SocketModeProtocolError(_) => (lost(method), None),
    }
}

/// The answer came, and is none.
pub(super) fn garbage(method: &str) -> SlackFault {
    let why = format!("Slack's answer to {method} could not be read; it may have been done.");
    SlackFault::unknown("unreadable_answer", why)
}

/// No answer came in time.
pub(super) fn late(method: &str, limit: Duration) -> SlackFault {
    let why = format!("Slack did not answer {method} within {} s; it may have been done.", limit.as_secs());
    SlackFault::unknown("timeout", why)
}

pub(super) fn lost(method: &str) -> SlackFault {
    let why = format!("The connection broke before Slack answered {method}; it may have been done.");
    SlackFault::unknown("connection_lost", why)
}

fn of_status(method: &str, status: u16) -> SlackFault {
    let code = format!("http_{status}");
    if status >= 500 || status == 408 {
        let why = format!("Slack answered {method} with HTTP {status}.");
        return SlackFault::retry(&code, None, why);
    }
    if BETWEEN.contains(&status) {
        let why = format!(
            "What stands between Vigie and Slack answered {method} with HTTP {status}; check the proxy and the firewall."
        );
        return SlackFault::retry(&code, None, why);
    }
    let why = format!(
        "The server behind SLACK_API_URL answered {method} with HTTP {status}; check that it is Slack's address."
    );
    SlackFault::permanent(&code, why)
}

fn of_transport(method: &str, cause: Option<&(dyn std::error::Error + Send + Sync + 'static)>) -> SlackFault {
    let hyper = cause.and_then(|cause| {
        (cause as &(dyn std::error::Error + 'static)).downcast_ref::<hyper_util::client::legacy::Error>()
    });
    match hyper {
        Some(error) if error.is_connect() => SlackFault::retry(
            "connect_failed",
            None,
            format!(
                "Slack could not be reached for {method}; check the network, SLACK_API_URL and the CA certificates."
            ),
        ),
        _ => lost(method),
    }
}

/// Slack answered `ok: false`.
fn refused(method: &str, credential: Credential, code: &str, body: Option<&Value>) -> SlackFault {
    let why = sentence(method, credential, code, body);
    if PASSING.contains(&code) { SlackFault::retry(code, None, why) } else { SlackFault::permanent(code, why) }
}

/// What Slack's word means here, and what to do about it.
fn sentence(method: &str, credential: Credential, code: &str, body: Option<&Value>) -> String {
    let variable = credential.variable();
    match code {
        "missing_scope" => {
            let needed = body
                .and_then(|body| body.get("needed"))
                .and_then(Value::as_str)
                .unwrap_or("that Slack's page of the method names");
            format!(
                "Slack refused {method}: the app lacks the scope {needed}; add it to the app's manifest and install the app again."
            )
        }
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            format!(
                "Slack refused {method} ({code}): {variable} is wrong or no longer valid; put the app's present token there."
            )
        }
        "not_allowed_token_type" => format!(
            "Slack refused {method}: {variable} holds a token of the wrong kind (bot tokens begin with xoxb-, app-level tokens with xapp-)."
        ),
        "restricted_action" | "cannot_create_channel" | "permission_denied" | "access_denied" => {
            format!(
                "Slack refused {method} ({code}): the workspace's settings do not allow it to this app; a workspace admin can."
            )
        }
        "not_in_channel" => {
            format!("Slack refused {method}: Vigie is not a member of the channel; invite it there with /invite.")
        }
        "channel_not_found" => format!(
            "Slack refused {method}: the channel does not exist, or Vigie cannot see it; if it is private, invite Vigie there."
        ),
        "is_archived" => format!("Slack refused {method}: the channel is archived."),
        "messages_tab_disabled" | "user_disabled" | "user_not_found" | "users_not_found" => {
            format!(
                "Slack refused {method} ({code}): this person cannot be written to; check the Slack id in the contacts."
            )
        }
        "not_enabled" => {
            format!("Slack refused {method}: the Home tab is off; turn it on in the app's settings (App Home).")
        }
        "invalid_blocks" | "invalid_blocks_format" | "msg_blocks_too_long" | "msg_too_long" => {
            format!(
                "Slack refused {method} ({code}): the message's form is not accepted; check the templates that were changed."
            )
        }
        "expired_trigger_id" | "exchanged_trigger_id" | "trigger_expired" | "trigger_exchanged" => {
            format!("Slack refused {method} ({code}): a dialog can only be opened within 3 s, and once.")
        }
        _ => format!("Slack refused {method}: {code}."),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use slack_morphism::errors::{SlackClientApiError, SlackClientEndOfStreamError, SlackRateLimitError};

    use super::*;

    fn api(code: &str, body: &Value) -> SlackFault {
        let error = SlackClientError::ApiError(
            SlackClientApiError::new(code.to_owned()).with_http_response_body(body.to_string()),
        );
        understand("chat.postMessage", Credential::Bot, &error).0
    }

    #[test]
    fn a_missing_scope_is_named_with_its_cure() {
        let fault = api("missing_scope", &json!({"ok": false, "needed": "pins:write"}));
        assert!(fault.is("missing_scope"));
        assert!(fault.why().contains("the scope pins:write"), "{fault}");
    }

    #[test]
    fn a_bad_token_names_the_variable_and_never_the_token() {
        let error = SlackClientError::ApiError(
            SlackClientApiError::new("invalid_auth".into())
                .with_http_response_body(r#"{"ok":false,"token":"xapp-secret"}"#.into()),
        );
        let (fault, _) = understand("apps.connections.open", Credential::App, &error);
        assert!(fault.why().contains("SLACK_APP_TOKEN"), "{fault}");
        assert!(!format!("{fault:?}").contains("secret"));
    }

    #[test]
    fn trouble_of_slacks_own_is_tried_again_and_a_refusal_is_not() {
        for code in ["internal_error", "fatal_error", "service_unavailable", "ratelimited"] {
            assert!(matches!(api(code, &json!({})), SlackFault::Retry { .. }), "{code}");
        }
        for code in ["is_archived", "invalid_blocks", "some_new_word"] {
            assert!(api(code, &json!({})).is(code), "{code}");
        }
    }

    #[test]
    fn what_stands_between_may_let_the_next_call_through() {
        for status in [302, 403, 407] {
            let fault = of_status("chat.postMessage", status);
            assert!(matches!(fault, SlackFault::Retry { .. }), "{status}");
            assert!(fault.why().contains("check the proxy"), "{fault}");
            assert_eq!(fault.words(), Words::new("slack_fault.between"));
        }
    }

    #[test]
    fn slacks_own_waiting_time_is_kept() {
        let limit = SlackRateLimitError::new().with_retry_after(Duration::from_secs(7));
        let (fault, _) = understand("chat.update", Credential::Bot, &SlackClientError::RateLimitError(limit));
        let SlackFault::Retry { after, .. } = fault else {
            panic!("a rate limit is tried again");
        };
        assert_eq!(after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_server_error_is_tried_again_and_a_lost_answer_is_unknown() {
        assert!(matches!(of_status("auth.test", 503), SlackFault::Retry { .. }));
        assert!(matches!(of_status("auth.test", 404), SlackFault::Permanent { .. }));
        let lost = SlackClientError::EndOfStream(SlackClientEndOfStreamError::new());
        let (fault, _) = understand("auth.test", Credential::Bot, &lost);
        assert!(matches!(fault, SlackFault::Unknown { .. }));
    }
}
