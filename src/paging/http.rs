//! One HTTP request to a provider, and what its failure means.
//!
//! The rule: as long as no byte can have reached the provider, another attempt is harmless (`Retry`); once
//! the request is out and no answer came, nobody knows (`Unknown`); an answer is an answer.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde::de::DeserializeOwned;
use url::Url;

use super::PagingFault;
use super::fault::said;
use super::settings::is_loopback;
use crate::incident::words::Words;
use crate::reason;
use crate::tls;

/// The most of an answer that is read; providers' answers are far smaller.
const MOST_READ: usize = 64 * 1024;
/// The longest wait a provider can ask for; more than that and the page is better sent another way.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// A client for one provider.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    client: Client,
    /// The label of the provider's name, for sentences.
    provider: &'static str,
}

/// A provider's answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, or nothing where it is something else.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The beginning of the body as one line.
    pub(crate) fn words(&self) -> String {
        said(&String::from_utf8_lossy(&self.body))
    }
}

impl HttpClient {
    /// A client for the provider at `base`. It follows no redirect (credentials must not travel on) and
    /// uses the system's proxy, except towards this very machine.
    pub(crate) fn new(provider: &'static str, base: &Url, timeout: Duration) -> Result<Self, String> {
        let trust = tls::for_http().map_err(|fault| fault.to_string())?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(trust)
            .timeout(timeout)
            .connect_timeout(timeout / 2)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("vigie/", env!("CARGO_PKG_VERSION")));
        if is_loopback(base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|fault| format!("the HTTP client could not be made: {fault}"))?;
        Ok(Self { client, provider })
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    pub(crate) fn request(&self, method: reqwest::Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends the request and reads the answer.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, PagingFault> {
        let response = request.send().await.map_err(|fault| self.failed(fault))?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = read(response).await;
        Ok(Answer { status, retry_after, body })
    }

    /// A sentence about the provider.
    pub(crate) fn says(&self, key: &'static str) -> Words {
        Words::new(key).with("provider", Words::new(self.provider))
    }

    /// What an answer outside 2xx means when the provider gave no better reason than `reason`.
    pub(crate) fn refused(&self, answer: &Answer, reason: &str) -> PagingFault {
        let status = answer.status.as_u16();
        let reason = Some(said(reason)).filter(|reason| !reason.is_empty());
        let why = self.says("paging_fault.answered").with("status", status).with("said", reason);
        match status {
            408 | 425 | 429 | 500..=599 => PagingFault::Retry { after: answer.retry_after, why },
            _ => PagingFault::permanent(why),
        }
    }

    /// What it means that no answer came. The address is left out of the sentence: it may hold a secret.
    fn failed(&self, fault: reqwest::Error) -> PagingFault {
        let fault = fault.without_url();
        let reason = reason::of_request(&fault);
        if fault.is_builder() {
            PagingFault::permanent(self.says("paging_fault.no_request").with("why", reason))
        } else if fault.is_connect() {
            PagingFault::retry(self.says("paging_fault.unreached").with("why", reason))
        } else if fault.is_timeout() {
            PagingFault::unknown(self.says("paging_fault.no_answer"))
        } else {
            PagingFault::unknown(self.says("paging_fault.broke").with("why", reason))
        }
    }
}

/// Reads what there is, up to [`MOST_READ`]. The status has been received: whatever happens to the body
/// does not change the outcome.
async fn read(mut response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MOST_READ.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if chunk.len() >= room {
            break;
        }
    }
    body
}

/// `Retry-After`, in seconds or as a date beside the answer's own `Date` (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let now = http_date(headers.get(DATE)?.to_str().ok()?)?;
            let then = http_date(text)?;
            let seconds = then.as_second().saturating_sub(now.as_second());
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn wait(pairs: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers =
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        retry_after(&headers)
    }

    #[test]
    fn a_wait_may_be_asked_for_in_seconds_or_by_date() {
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(
            wait(&[("date", "Fri, 20 Nov 2026 13:30:00 GMT"), ("retry-after", "Fri, 20 Nov 2026 13:31:30 GMT"),]),
            Some(Duration::from_secs(90))
        );
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn no_provider_can_silence_a_page_for_hours() {
        assert_eq!(wait(&[("retry-after", "86400")]), Some(LONGEST_WAIT));
    }
}
