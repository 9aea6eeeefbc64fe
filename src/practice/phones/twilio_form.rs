//! What callers of the Twilio door send, and the refusals they meet. Codes from Twilio's error dictionary.

use std::collections::HashMap;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::record::{Arrival, DeliveryKind};

/// Twilio's own limit for a message's text, in characters.
const LONGEST_TEXT: usize = 1600;

pub(super) type Fields = HashMap<String, String>;

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// E.164: a plus and up to fifteen digits.
fn number(text: &str) -> Result<String, TwilioError> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    let well_formed = (7..=15).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
    if well_formed { Ok(text.to_owned()) } else { Err(TwilioError::InvalidTo(text.to_owned())) }
}

pub(super) fn message_arrival(fields: &Fields) -> Result<Arrival, TwilioError> {
    let to = number(field(fields, "To").ok_or(TwilioError::Missing(21604, "A 'To' phone number is required."))?)?;
    let from = field(fields, "From").or_else(|| field(fields, "MessagingServiceSid"));
    let from = from.ok_or(TwilioError::Missing(21603, "A 'From' phone number is required."))?;
    let body = field(fields, "Body").ok_or(TwilioError::Missing(21602, "Message body is required."))?;
    if body.chars().count() > LONGEST_TEXT {
        return Err(TwilioError::Missing(21617, "The concatenated message body exceeds the 1600 character limit"));
    }
    Ok(Arrival {
        kind: DeliveryKind::Sms,
        to,
        from: from.to_owned(),
        subject: String::new(),
        body: body.to_owned(),
        status: "delivered",
        raw: format!("{fields:?}"),
    })
}

pub(super) fn call_arrival(fields: &Fields) -> Result<Arrival, TwilioError> {
    let to = number(field(fields, "To").ok_or(TwilioError::Missing(21201, "No 'To' number is specified"))?)?;
    let from = field(fields, "From").ok_or(TwilioError::Missing(21213, "No 'From' number is specified"))?;
    let said = field(fields, "Twiml").map(spoken).or_else(|| field(fields, "Url").map(str::to_owned));
    let body = said.ok_or(TwilioError::Missing(21205, "Url parameter is required."))?;
    Ok(Arrival {
        kind: DeliveryKind::Call,
        to,
        from: from.to_owned(),
        subject: String::new(),
        body,
        status: "answered",
        raw: format!("{fields:?}"),
    })
}

/// What a listener hears of a TwiML document: the text of it, without the tags.
fn spoken(twiml: &str) -> String {
    let mut heard = String::new();
    let mut inside = false;
    for c in twiml.chars() {
        match c {
            '<' => {
                inside = true;
                heard.push(' ');
            }
            '>' => inside = false,
            c if !inside => heard.push(c),
            _ => {}
        }
    }
    let plain = heard
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The refusals that Twilio's callers meet.
#[derive(Debug)]
pub(super) enum TwilioError {
    Authenticate,
    NotFound(String),
    InvalidTo(String),
    Missing(u32, &'static str),
    TooMany,
    Unavailable,
}

impl IntoResponse for TwilioError {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::Authenticate => (401, 20003, "Authenticate".to_owned()),
            Self::NotFound(what) => (404, 20404, format!("The requested resource {what} was not found")),
            Self::InvalidTo(to) => (400, 21211, format!("Invalid 'To' Phone Number: {to}")),
            Self::Missing(code, message) => (400, code, message.to_owned()),
            Self::TooMany => (429, 20429, "Too Many Requests".to_owned()),
            Self::Unavailable => (503, 20503, "Service Unavailable".to_owned()),
        };
        let body = json!({"code": code, "message": message, "more_info": format!("https://www.twilio.com/docs/errors/{code}"), "status": status});
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("7"));
        }
        response
    }
}
