//! What SMS and voice share: Twilio's REST API, version 2010-04-01.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::http::{Answer, HttpClient};
use super::settings::{is_phone_number, push};
use super::{Delivery, PagingFault, Receipt, SettingFault, checked_url, required, url_setting};
use crate::incident::words::Words;

pub(super) fn default_base_url() -> String {
    "https://api.twilio.com".to_owned()
}

/// Twilio's account, as it stands in the settings under `place`.
pub(super) struct Account<'a> {
    pub place: &'static str,
    pub account_sid: &'a str,
    pub auth_token: &'a SecretString,
    pub base_url: &'a str,
}

impl Account<'_> {
    pub(super) fn validate(&self, faults: &mut Vec<SettingFault>) {
        if !is_account_sid(self.account_sid) {
            push(
                faults,
                &format!("{}.account_sid", self.place),
                "this must be the account's id: AC and 32 hexadecimal digits",
            );
        }
        required(faults, &format!("{}.auth_token", self.place), self.auth_token);
        url_setting(faults, &format!("{}.base_url", self.place), self.base_url);
    }
}

fn is_account_sid(text: &str) -> bool {
    text.strip_prefix("AC").is_some_and(|rest| rest.len() == 32 && rest.chars().all(|digit| digit.is_ascii_hexdigit()))
}

/// A client of one account.
#[derive(Debug)]
pub(super) struct Twilio {
    place: &'static str,
    http: HttpClient,
    base: Url,
    account_sid: String,
    auth_token: SecretString,
}

/// Twilio's answer: a message, a call, or an error (Twilio's page “REST API errors and warnings”).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    sid: Option<String>,
    status: Option<serde_json::Value>,
    code: Option<u32>,
    message: Option<String>,
    error_code: Option<u32>,
    error_message: Option<String>,
    answered_by: Option<String>,
}

impl Body {
    fn status(&self) -> &str {
        self.status.as_ref().and_then(|it| it.as_str()).unwrap_or("accepted")
    }
}

impl Twilio {
    pub(super) fn new(account: &Account<'_>, timeout: Duration) -> Result<Self, Vec<SettingFault>> {
        let fault = |text: String| vec![SettingFault { setting: format!("{}.base_url", account.place), text }];
        let base = checked_url(account.base_url, false).map_err(fault)?;
        let http = HttpClient::new("provider.twilio", &base, timeout).map_err(fault)?;
        Ok(Self {
            place: account.place,
            http,
            base,
            account_sid: account.account_sid.to_owned(),
            auth_token: account.auth_token.clone(),
        })
    }

    /// Creates a `Messages` or `Calls` resource.
    pub(super) async fn create(&self, resource: &str, form: &[(&str, &str)]) -> Result<Receipt, PagingFault> {
        let url = self.address(&format!("{resource}.json"))?;
        let request =
            self.http.post(url).basic_auth(&self.account_sid, Some(self.auth_token.expose_secret())).form(form);
        let answer = self.http.send(request).await?;
        let body: Body = answer.json().unwrap_or_default();
        if !answer.status.is_success() {
            return Err(self.refused(&answer, &body));
        }
        Ok(Receipt { note: self.http.says("receipt.status").with("status", body.status()), provider_id: body.sid })
    }

    /// Reads a `Messages` or `Calls` resource and asks `judge` what its status means.
    pub(super) async fn read(
        &self,
        resource: &str,
        sid: &str,
        judge: fn(&str) -> Fate,
    ) -> Result<Delivery, PagingFault> {
        if !sid.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            return Err(PagingFault::permanent(self.http.says("paging_fault.no_id").with("id", sid)));
        }
        let url = self.address(&format!("{resource}/{sid}.json"))?;
        let request = self.http.get(url).basic_auth(&self.account_sid, Some(self.auth_token.expose_secret()));
        let answer = self.http.send(request).await.map_err(reading_is_harmless)?;
        let body: Body = answer.json().unwrap_or_default();
        if !answer.status.is_success() {
            return Err(self.refused(&answer, &body));
        }
        Ok(delivery(&body, judge(body.status())))
    }

    fn address(&self, path: &str) -> Result<Url, PagingFault> {
        let path = format!("/2010-04-01/Accounts/{}/{path}", self.account_sid);
        self.base.join(&path).map_err(|fault| {
            PagingFault::permanent(self.http.says("paging_fault.no_request").with("why", fault.to_string()))
        })
    }

    fn refused(&self, answer: &Answer, body: &Body) -> PagingFault {
        let message = body.message.clone().unwrap_or_else(|| answer.words());
        let reason = match body.code {
            Some(code) => format!("{message} (Twilio code {code})"),
            None => message,
        };
        if matches!(answer.status.as_u16(), 401 | 403) {
            let settings = format!("{place}.account_sid, {place}.auth_token", place = self.place);
            let words = self.http.says("paging_fault.credentials").with("said", reason);
            return PagingFault::permanent(words.with("settings", settings));
        }
        self.http.refused(answer, &reason)
    }
}

/// Asking changes nothing, so an answer that was lost can simply be asked for again.
fn reading_is_harmless(fault: PagingFault) -> PagingFault {
    match fault {
        PagingFault::Unknown { why } => PagingFault::retry(why),
        other => other,
    }
}

/// What a status word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Underway,
    Reached,
    Missed,
}

fn delivery(body: &Body, fate: Fate) -> Delivery {
    let status = body.status();
    match fate {
        Fate::Underway => Delivery::Underway { note: format!("Twilio: {status}") },
        Fate::Reached => Delivery::Reached {
            note: match &body.answered_by {
                Some(who) => format!("Twilio: {status}, answered by {who}"),
                None => format!("Twilio: {status}"),
            },
        },
        Fate::Missed => Delivery::Missed {
            why: match (&body.error_message, body.error_code) {
                (Some(message), Some(code)) => format!("Twilio: {status}: {message} (code {code})"),
                (_, Some(code)) => format!("Twilio: {status} (code {code})"),
                _ => format!("Twilio: {status}"),
            },
        },
    }
}

/// Refuses an address that is no telephone number before Twilio is asked.
pub(super) fn phone_number(to: &str) -> Result<&str, PagingFault> {
    if is_phone_number(to) {
        Ok(to)
    } else {
        Err(PagingFault::permanent(Words::new("paging_fault.no_number").with("to", to)))
    }
}
