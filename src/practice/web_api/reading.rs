//! Reading a call: JSON, form, multipart or query string, and the token wherever it is.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{Method, header};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::BODY_LIMIT;

/// What a body that says it is JSON is told when it is none.
pub(crate) const NOT_JSON: &str = "the body is not a JSON object";

/// A Web API call as it came in.
pub(crate) struct Call {
    pub token: Option<String>,
    /// Query and body together; the body wins.
    pub args: Map<String, Value>,
    /// The query alone.
    pub query: Map<String, Value>,
    /// Whether the body was JSON.
    pub is_json: bool,
}

/// Reads a request.
///
/// # Errors
/// A sentence when the body cannot be read.
pub(crate) async fn read_call(request: Request) -> Result<Call, String> {
    let header_token = bearer(&request);
    let query = pairs(request.uri().query().unwrap_or_default().as_bytes());
    let mut args = query.clone();
    let mut is_json = false;
    if request.method() != Method::GET {
        let kind = content_type(&request);
        if kind.starts_with("multipart/form-data") {
            args.extend(read_multipart(request).await?);
        } else {
            let body = to_bytes(request.into_body(), BODY_LIMIT).await.map_err(|error| error.to_string())?;
            if kind.starts_with("application/json") {
                is_json = !body.is_empty();
                match serde_json::from_slice(&body) {
                    Ok(Value::Object(map)) => args.extend(map),
                    _ if body.is_empty() => {}
                    _ => return Err(NOT_JSON.to_owned()),
                }
            } else {
                args.extend(pairs(&body));
            }
        }
    }
    let body_token = args.get("token").and_then(Value::as_str).map(str::to_owned);
    Ok(Call { token: header_token.or(body_token), args, query, is_json })
}

fn bearer(request: &Request) -> Option<String> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(|token| token.trim().to_owned())
}

fn content_type(request: &Request) -> String {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_ascii_lowercase()
}

/// The pairs of a form or query string.
pub(crate) fn pairs(encoded: &[u8]) -> Map<String, Value> {
    form_urlencoded::parse(encoded).map(|(key, value)| (key.into_owned(), Value::String(value.into_owned()))).collect()
}

async fn read_multipart(request: Request) -> Result<Map<String, Value>, String> {
    let mut parts = Multipart::from_request(request, &()).await.map_err(|error| error.to_string())?;
    let mut args = Map::new();
    while let Some(field) = parts.next_field().await.map_err(|error| error.to_string())? {
        let name = field.name().unwrap_or_default().to_owned();
        let text = field.text().await.map_err(|error| error.to_string())?;
        args.insert(name, Value::String(text));
    }
    Ok(args)
}
