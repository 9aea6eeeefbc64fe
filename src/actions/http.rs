//! Requests to the team's systems: what to send, what came back, and whether it can have had an effect.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{ConfigFault, fault};
use super::json::FieldRule;
use super::redact::Redactor;
use super::stopwatch::{Stopwatch, within};
use super::template::{Filling, placeholders, placeholders_in, unknown};
use crate::incident::words::Words;
use crate::reason;
use crate::tls::{self, TlsFault};

/// Header fields with their values, which may be credentials.
pub type Headers = BTreeMap<String, SecretString>;

/// How much of an answer is read.
pub const MOST_BODY: usize = 1024 * 1024;

/// The client this room wants: it follows no redirect (a redirected POST becomes a GET elsewhere), sends nothing
/// twice, and gives up on a connection after five seconds.
///
/// # Errors
/// When the operating system's root certificates cannot be used.
pub fn client() -> Result<reqwest::Client, NoClient> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::for_http()?)
        .tls_info(true)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(5))
        .user_agent(concat!("vigie/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    /// Nobody can be trusted.
    #[error(transparent)]
    Trust(#[from] TlsFault),
    /// The library's own reason.
    #[error("the HTTP client could not be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// The methods that can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "they are HTTP's own words")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    fn native(self) -> reqwest::Method {
        match self {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        }
    }
}

/// A request without its credentials: what is approved, and compared before it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Where.
    pub url: String,
    /// The JSON that is sent.
    pub body: Option<Value>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// As much of the body as was read.
    pub body: String,
    /// There was more.
    pub cut: bool,
    /// Its header fields.
    pub headers: HeaderMap,
    /// The certificate that the server showed, as DER, where the connection was encrypted.
    pub certificate: Option<Vec<u8>>,
}

impl Answer {
    /// A header field that is plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// What it is instead.
    pub fn json(&self) -> Result<Value, Words> {
        if self.cut {
            return Err(Words::new("reason.answer_too_long").with("kib", MOST_BODY / 1024));
        }
        serde_json::from_str(&self.body).map_err(|_| no_json())
    }
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The request was certainly not received.
    NotSent(Words),
    /// It may have been received and done.
    Lost(Words),
}

impl NoAnswer {
    /// The reason, whichever it is.
    pub fn why(self) -> Words {
        match self {
            NoAnswer::NotSent(why) | NoAnswer::Lost(why) => why,
        }
    }
}

impl Request {
    /// A request that only reads.
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: Method::Get, url: url.into(), body: None }
    }

    /// For people: `POST https://… {"version":"1.2.3"}`.
    pub fn shown(&self) -> String {
        let body = self.body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
        format!("{} {}{body}", self.method.word(), self.url)
    }

    /// Sends it once and reads at most [`MOST_BODY`] bytes of the answer.
    ///
    /// # Errors
    /// [`NoAnswer`], which says whether it can have had an effect.
    pub async fn send(
        &self,
        client: &reqwest::Client,
        headers: &Headers,
        extra: &[(&'static str, String)],
        within: Duration,
    ) -> Result<Answer, NoAnswer> {
        let request = self.native(client, headers, extra)?.timeout(within);
        let mut response = request.send().await.map_err(no_answer)?;
        let mut coming = Coming::new(&mut response);
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            if !coming.takes(&chunk) {
                break;
            }
        }
        Ok(coming.answer())
    }

    /// Sends it once and listens for so long to an answer that may have no end: what came of it, at most [`MOST_BODY`]
    /// bytes. Nothing where not even its beginning came.
    ///
    /// # Errors
    /// [`NoAnswer`] where it could not be sent, or the answer broke off.
    pub async fn listen(
        &self,
        client: &reqwest::Client,
        headers: &Headers,
        most: Duration,
    ) -> Result<Option<Answer>, NoAnswer> {
        let watch = Stopwatch::start();
        let request = self.native(client, headers, &[])?;
        let Ok(begun) = within(most, request.send()).await else { return Ok(None) };
        let mut response = begun.map_err(no_answer)?;
        let mut coming = Coming::new(&mut response);
        while let Ok(chunk) = within(watch.left_of(most), response.chunk()).await {
            match chunk.map_err(no_answer)? {
                Some(chunk) if coming.takes(&chunk) => {}
                _ => break,
            }
        }
        Ok(Some(coming.answer()))
    }

    fn native(
        &self,
        client: &reqwest::Client,
        headers: &Headers,
        extra: &[(&'static str, String)],
    ) -> Result<reqwest::RequestBuilder, NoAnswer> {
        let headers = native_headers(headers, extra).map_err(|why| NoAnswer::NotSent(Words::verbatim(why)))?;
        let request = client.request(self.method.native(), &self.url);
        let request = match &self.body {
            Some(body) => request.json(body),
            None => request,
        };
        Ok(request.headers(headers))
    }
}

/// An answer whose body is still on its way.
struct Coming {
    status: u16,
    headers: HeaderMap,
    certificate: Option<Vec<u8>>,
    body: Vec<u8>,
    cut: bool,
}

impl Coming {
    fn new(response: &mut reqwest::Response) -> Self {
        let headers = std::mem::take(response.headers_mut());
        let tls = response.extensions().get::<reqwest::tls::TlsInfo>();
        let certificate = tls.and_then(|tls| tls.peer_certificate()).map(<[u8]>::to_vec);
        Self { status: response.status().as_u16(), headers, certificate, body: Vec::new(), cut: false }
    }

    /// Takes a piece of the body; whether more is wanted.
    fn takes(&mut self, chunk: &[u8]) -> bool {
        let room = MOST_BODY - self.body.len();
        self.cut = chunk.len() > room;
        self.body.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
        !self.cut
    }

    fn answer(self) -> Answer {
        let Self { status, headers, certificate, body, cut } = self;
        Answer { status, body: String::from_utf8_lossy(&body).into_owned(), cut, headers, certificate }
    }
}

fn no_answer(error: reqwest::Error) -> NoAnswer {
    let never_left = error.is_connect() || error.is_builder();
    let error = error.without_url();
    let why = match (error.is_timeout(), never_left) {
        (true, true) => Words::new("reason.no_connection"),
        (true, false) => Words::new("reason.no_answer"),
        (false, _) => reason::of_request(&error),
    };
    if never_left { NoAnswer::NotSent(why) } else { NoAnswer::Lost(why) }
}

fn native_headers(headers: &Headers, extra: &[(&'static str, String)]) -> Result<HeaderMap, String> {
    let mut native = HeaderMap::new();
    for (name, value) in extra {
        let value = HeaderValue::from_str(value).map_err(|_| format!("header {name} has an impossible value"))?;
        native.insert(*name, value);
    }
    for (name, value) in headers {
        let (name, value) = native_header(name, value)?;
        native.insert(name, value);
    }
    Ok(native)
}

fn native_header(name: &str, value: &SecretString) -> Result<(HeaderName, HeaderValue), String> {
    let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("“{name}” is not a header's name"))?;
    let mut value =
        HeaderValue::from_str(value.expose_secret()).map_err(|_| format!("header {name} has an impossible value"))?;
    value.set_sensitive(true);
    Ok((key, value))
}

/// Whether a status leaves open that the request was carried out: the server broke while doing it, somebody in between
/// lost its answer (proxies say so with 503, too), or it was done and the result is to be read elsewhere.
pub fn may_have_happened(status: u16) -> bool {
    matches!(status, 300..=303 | 408 | 500 | 502..=599)
}

/// The values of headers that are credentials, for the redactor; those of well-known harmless ones would only tear
/// holes into texts.
pub fn credentials(headers: &Headers) -> Vec<&SecretString> {
    const HARMLESS: [&str; 8] =
        ["accept", "accept-language", "cache-control", "content-type", "host", "if-match", "prefer", "user-agent"];
    let harmless = |name: &str| HARMLESS.contains(&name) || name.ends_with("-version");
    headers.iter().filter(|(name, _)| !harmless(&name.to_ascii_lowercase())).map(|(_, value)| value).collect()
}

/// Adds the faults of an address with placeholders.
pub fn validate_url(url: &str, known: &[&str], path: &str, faults: &mut Vec<ConfigFault>) {
    let path = format!("{path}.url");
    if let Some(sentence) = unknown(&placeholders(url), known) {
        faults.push(fault(path, sentence));
        return;
    }
    let filled = Filling { from: Some("a"), to: "b", target: "c" }.url(url);
    match url::Url::parse(&filled) {
        Ok(parsed) if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() => {
            faults.push(fault(path, "the address must begin with https:// or http:// and name a host"));
        }
        Ok(parsed) if parsed.password().is_some() || !parsed.username().is_empty() => {
            faults.push(fault(path, "credentials do not belong into an address, which people see; use headers"));
        }
        Ok(parsed) if Redactor::default().text(parsed.as_str()) != parsed.as_str() => {
            faults.push(fault(path, "credentials do not belong into an address, which people see; use headers"));
        }
        Ok(_) => {}
        Err(error) => faults.push(fault(
            path,
            format!("this is not an address: {error}; write for example https://shop.example.com/version"),
        )),
    }
}

/// Adds the faults of a body with placeholders.
pub fn validate_body(body: Option<&Value>, known: &[&str], path: &str, faults: &mut Vec<ConfigFault>) {
    let Some(body) = body else { return };
    let path = format!("{path}.body");
    if let Some(sentence) = unknown(&placeholders_in(body), known) {
        faults.push(fault(path.clone(), sentence));
    }
    let shown = body.to_string();
    if Redactor::default().text(&shown) != shown {
        faults.push(fault(path, "credentials do not belong into a body, which people see; use headers"));
    }
}

/// The statuses that mean yes where nothing else is said.
pub fn yes() -> Vec<u16> {
    vec![200, 201, 202, 204]
}

/// The first rule that an answer breaks.
pub fn broken_rule(rules: &[FieldRule], answer: &Answer) -> Option<Words> {
    if rules.is_empty() {
        return None;
    }
    match answer.json() {
        Ok(body) => rules.iter().find_map(|rule| rule.broken_by(&body)),
        Err(why) => Some(why),
    }
}

fn no_json() -> Words {
    Words::new("reason.no_json")
}

/// Adds the faults of header fields.
pub fn validate_headers(headers: &Headers, path: &str, faults: &mut Vec<ConfigFault>) {
    for (name, value) in headers {
        if let Err(sentence) = native_header(name, value) {
            faults.push(fault(format!("{path}.headers.{name}"), sentence));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::toy::{refused_address, silent_address};

    #[tokio::test]
    async fn a_refused_connection_is_known_not_to_have_happened_and_says_why() {
        let client = crate::actions::toy::client();
        let url = refused_address().await;
        let fault = Request::get(url).send(&client, &Headers::new(), &[], Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(&fault, NoAnswer::NotSent(why) if why.key == "reason.refused"), "{fault:?}");
    }

    #[tokio::test]
    async fn a_server_that_takes_the_request_and_stays_silent_may_have_done_it() {
        let client = crate::actions::toy::client();
        let (url, _listener) = silent_address().await;
        let sent = Request::get(url).send(&client, &Headers::new(), &[], Duration::from_millis(100)).await;
        assert_eq!(sent.unwrap_err(), NoAnswer::Lost(Words::new("reason.no_answer")));
    }

    #[test]
    fn credentials_in_an_address_are_refused() {
        let mut faults = Vec::new();
        validate_url("https://ops:hunter2@shop.example.com/{{to}}", &["to"], "a", &mut faults);
        assert_eq!(faults.len(), 1);
        assert!(!faults[0].to_string().contains("hunter2"));
    }
}
