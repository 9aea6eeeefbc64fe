//! A status page behind any HTTP API, described in the settings.
//!
//! A request's body is JSON whose strings are small templates: they are filled in one by one and written
//! as JSON, so no text can break out of its place. What a page's API answers is kept by one id
//! (`id_pointer`), which later requests may use as `{{remote_id}}`.

use std::collections::BTreeMap;
use std::time::Duration;

use handlebars::Handlebars;
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::{Message, Phase};
use crate::paging::webhook::header_safe;
use crate::paging::{HttpClient, PagingFault, Receipt, SettingFault, checked_url, push};

/// A status page in the settings.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusPageConfig {
    /// Headers of every request, e.g. `authorization`; their values are secrets.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub headers: BTreeMap<String, SecretString>,
    /// The request that opens an entry.
    pub open: RequestConfig,
    /// The request that adds to it; `open` again where there is none.
    pub update: Option<RequestConfig>,
    /// The request that closes it; `update` where there is none.
    pub resolve: Option<RequestConfig>,
    /// Where the answer to `open` holds the entry's id, as a JSON pointer such as `/incident/id`.
    pub id_pointer: Option<String>,
    /// Allows `http://` to another machine, e.g. inside a cluster.
    #[serde(default)]
    pub plain_http: bool,
}

/// One request to a status page. In `url` and in the strings of `body` these can be used: `id`, `at`
/// (milliseconds), `at_rfc3339`, `phase`, `subject`, `text`, `short`, `link`, `locale`, `remote_id`.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestConfig {
    /// `POST`, `PUT` or `PATCH`.
    #[serde(default = "post")]
    pub method: String,
    /// Where it goes; values filled in are encoded.
    pub url: String,
    /// What it carries.
    pub body: Value,
}

fn post() -> String {
    "POST".to_owned()
}

impl RequestConfig {
    fn needs_remote_id(&self) -> bool {
        self.url.contains("remote_id") || self.body.to_string().contains("remote_id")
    }
}

/// A status page that is ready to be written to.
pub(super) struct StatusPage {
    http: HttpClient,
    config: StatusPageConfig,
    body_writer: Handlebars<'static>,
    url_writer: Handlebars<'static>,
}

impl StatusPage {
    /// Makes it, having tried every template once.
    pub(super) fn new(config: &StatusPageConfig, place: &str, timeout: Duration) -> Result<Self, Vec<SettingFault>> {
        let mut faults = Vec::new();
        let body_writer = writer(handlebars::no_escape);
        let url_writer = writer(encoded);
        let requests =
            [("open", Some(&config.open)), ("update", config.update.as_ref()), ("resolve", config.resolve.as_ref())];
        let mut base = None;
        for (name, request) in requests {
            let Some(request) = request else { continue };
            let place = format!("{place}.{name}");
            let url = try_out(request, &place, config, &body_writer, &url_writer, &mut faults);
            base = base.or(url);
        }
        check_headers(config, place, &mut faults);
        if config.open.needs_remote_id() {
            let text = "the entry has no id yet when it is opened; remote_id can be used in update and resolve";
            push(&mut faults, &format!("{place}.open"), text);
        }
        let (Some(base), true) = (base, faults.is_empty()) else {
            return Err(faults);
        };
        match HttpClient::new("provider.status_page", &base, timeout) {
            Ok(http) => Ok(Self { http, config: config.clone(), body_writer, url_writer }),
            Err(text) => {
                push(&mut faults, place, text);
                Err(faults)
            }
        }
    }

    /// Writes the message to the page. The receipt's `provider_id` is the page's id of the entry.
    pub(super) async fn post(
        &self,
        id: &str,
        message: &Message,
        remote_id: Option<&str>,
        locale: &str,
    ) -> Result<Receipt, PagingFault> {
        let chosen = self.request(message.phase, remote_id.is_some());
        let variables = variables(id, message, remote_id, locale);
        let wrong =
            |why: String| PagingFault::Permanent { why: self.http.says("paging_fault.no_request").with("why", why) };
        let url = address(&self.url_writer, chosen, &variables, self.config.plain_http).map_err(wrong)?;
        let body = filled(&self.body_writer, &chosen.body, &variables).map_err(wrong)?;
        let method = method(&chosen.method).map_err(|text| wrong(text.to_owned()))?;
        let mut request = self.http.request(method, url).header("idempotency-key", header_safe(id));
        for (name, value) in &self.config.headers {
            request = request.header(name, value.expose_secret());
        }
        let answer = self.http.send(request.json(&body)).await?;
        let status = answer.status.as_u16();
        if !answer.status.is_success() {
            return Err(self.http.refused(&answer, &answer.words()));
        }
        let known = self.remote_id(&answer.json().unwrap_or_default());
        Ok(Receipt {
            provider_id: known.or_else(|| remote_id.map(ToOwned::to_owned)),
            note: self.http.says("receipt.answered").with("status", status),
        })
    }

    /// The request for a phase; one that needs the entry's id is left out where the id is not known.
    fn request(&self, phase: Phase, id_known: bool) -> &RequestConfig {
        let config = &self.config;
        let candidates = match phase {
            Phase::Open => [None, None],
            Phase::Update => [config.update.as_ref(), None],
            Phase::Resolved => [config.resolve.as_ref(), config.update.as_ref()],
        };
        candidates.into_iter().flatten().find(|request| id_known || !request.needs_remote_id()).unwrap_or(&config.open)
    }

    fn remote_id(&self, answer: &Value) -> Option<String> {
        match answer.pointer(self.config.id_pointer.as_deref()?)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

fn writer(escape: fn(&str) -> String) -> Handlebars<'static> {
    let mut writer = Handlebars::new();
    writer.set_strict_mode(true);
    writer.register_escape_fn(escape);
    writer
}

/// Encodes a value for any part of an address.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn method(word: &str) -> Result<Method, &'static str> {
    match word {
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        _ => Err("the method must be POST, PUT or PATCH"),
    }
}

fn variables(id: &str, message: &Message, remote_id: Option<&str>, locale: &str) -> Map<String, Value> {
    let at = Timestamp::from_millisecond(message.at).unwrap_or_default();
    let fields = [
        ("id", json!(id)),
        ("at", json!(message.at)),
        ("at_rfc3339", json!(at.to_string())),
        ("phase", json!(message.phase.as_str())),
        ("subject", json!(message.subject)),
        ("text", json!(message.text)),
        ("short", json!(message.short)),
        ("link", json!(message.link)),
        ("locale", json!(locale)),
        ("remote_id", json!(remote_id)),
    ];
    Map::from_iter(fields.map(|(name, value)| (name.to_owned(), value)))
}

/// `body` with every string filled in.
fn filled(writer: &Handlebars<'_>, body: &Value, variables: &Map<String, Value>) -> Result<Value, String> {
    Ok(match body {
        Value::String(text) => writer.render_template(text, variables).map_err(|fault| fault.to_string())?.into(),
        Value::Array(items) => {
            let items = items.iter().map(|item| filled(writer, item, variables));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let mut done = Map::new();
            for (name, field) in fields {
                done.insert(name.clone(), filled(writer, field, variables)?);
            }
            Value::Object(done)
        }
        other => other.clone(),
    })
}

fn address(
    writer: &Handlebars<'_>,
    request: &RequestConfig,
    variables: &Map<String, Value>,
    plain_http: bool,
) -> Result<Url, String> {
    let address = writer.render_template(&request.url, variables).map_err(|fault| fault.to_string())?;
    checked_url(&address, plain_http)
}

/// Fills a request in with an example, so that a misspelt name is found at start.
fn try_out(
    request: &RequestConfig,
    place: &str,
    config: &StatusPageConfig,
    body_writer: &Handlebars<'_>,
    url_writer: &Handlebars<'_>,
    faults: &mut Vec<SettingFault>,
) -> Option<Url> {
    let example = Message {
        id: "msg_1".to_owned(),
        at: 0,
        phase: Phase::Open,
        subject: "subject".to_owned(),
        text: "text".to_owned(),
        short: "short".to_owned(),
        link: Some("https://example.com".to_owned()),
    };
    let variables = variables("msg_1/status", &example, Some("1"), "en");
    if let Err(text) = method(&request.method) {
        push(faults, &format!("{place}.method"), text);
    }
    if let Err(text) = filled(body_writer, &request.body, &variables) {
        push(faults, &format!("{place}.body"), text);
    }
    match address(url_writer, request, &variables, config.plain_http) {
        Ok(url) => Some(url),
        Err(text) => {
            push(faults, &format!("{place}.url"), text);
            None
        }
    }
}

fn check_headers(config: &StatusPageConfig, place: &str, faults: &mut Vec<SettingFault>) {
    for (name, value) in &config.headers {
        let well_formed = name.parse::<HeaderName>().is_ok() && HeaderValue::from_str(value.expose_secret()).is_ok();
        if !well_formed {
            let text = "this cannot be the name or the value of an HTTP header";
            push(faults, &format!("{place}.headers.{name}"), text);
        }
    }
    if config.plain_http && !config.headers.is_empty() {
        let text = "credentials must not travel over plain http; use https";
        push(faults, &format!("{place}.headers"), text);
    }
}
