//! Text messages through Twilio (`POST …/Messages.json`).

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;

use super::settings::{is_phone_number, push};
use super::twilio::{self, Account, Fate, Twilio};
use super::{Delivery, Page, PagingChannel, PagingFault, PagingKind, Receipt, SettingFault, TOTAL_TIMEOUT};

const PLACE: &str = "paging.sms";
/// Twilio's limit for `Body`.
const LONGEST: usize = 1600;

/// `paging.sms` in the settings.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmsConfig {
    /// Twilio's account id, `AC…`.
    pub account_sid: String,
    /// Twilio's token for that account.
    #[schemars(with = "String")]
    pub auth_token: SecretString,
    /// The number or the sender's name that messages come from.
    pub from: Option<String>,
    /// A Twilio messaging service, `MG…`, in place of `from`.
    pub messaging_service_sid: Option<String>,
    /// Another address of the API, for tests and for Twilio's regions.
    #[serde(default = "twilio::default_base_url")]
    pub base_url: String,
}

impl SmsConfig {
    /// Every fault, with its cure.
    #[must_use]
    pub fn validate(&self) -> Vec<SettingFault> {
        let mut faults = Vec::new();
        self.account().validate(&mut faults);
        match (&self.from, &self.messaging_service_sid) {
            (None, None) => push(
                &mut faults,
                "paging.sms.from",
                "say which number messages come from, or name a messaging_service_sid",
            ),
            (Some(_), Some(_)) => {
                push(&mut faults, "paging.sms.from", "give either from or messaging_service_sid, not both")
            }
            (Some(from), None) if !is_sender(from) => push(
                &mut faults,
                "paging.sms.from",
                "this must be a number such as +15550100123, or a name of at most 11 letters and digits",
            ),
            (None, Some(sid)) if !sid.starts_with("MG") => push(
                &mut faults,
                "paging.sms.messaging_service_sid",
                "this must be a messaging service's id, which begins with MG",
            ),
            _ => {}
        }
        faults
    }

    fn account(&self) -> Account<'_> {
        Account { place: PLACE, account_sid: &self.account_sid, auth_token: &self.auth_token, base_url: &self.base_url }
    }
}

/// A number, a short code or an alphanumeric sender id.
fn is_sender(text: &str) -> bool {
    let short_code = (3..=6).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit());
    let named = (1..=11).contains(&text.len())
        && text.chars().any(|c| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ');
    let short_code = short_code && !text.starts_with('0');
    is_phone_number(text) || short_code || named
}

/// Sends text messages.
#[derive(Debug)]
pub struct SmsChannel {
    twilio: Twilio,
    /// `From` or `MessagingServiceSid`, and its value.
    sender: (&'static str, String),
}

impl SmsChannel {
    /// Makes the channel.
    ///
    /// # Errors
    /// Every fault in the settings.
    pub fn new(config: &SmsConfig) -> Result<Self, Vec<SettingFault>> {
        Self::with_timeout(config, TOTAL_TIMEOUT)
    }

    pub(crate) fn with_timeout(config: &SmsConfig, timeout: Duration) -> Result<Self, Vec<SettingFault>> {
        let faults = config.validate();
        if !faults.is_empty() {
            return Err(faults);
        }
        let sender = match (&config.messaging_service_sid, &config.from) {
            (Some(sid), _) => ("MessagingServiceSid", sid.clone()),
            (None, from) => ("From", from.clone().unwrap_or_default()),
        };
        Ok(Self { twilio: Twilio::new(&config.account(), timeout)?, sender })
    }

    /// Sends `text` to one number. Twilio takes no idempotency key: a repeat is sent twice.
    pub(crate) async fn text(&self, to: &str, text: &str) -> Result<Receipt, PagingFault> {
        let to = twilio::phone_number(to)?;
        let body = plain_letters(text);
        let (sender, value) = &self.sender;
        let form = [("To", to), (*sender, value.as_str()), ("Body", body.as_str()), ("SmartEncoded", "true")];
        self.twilio.create("Messages", &form).await
    }
}

#[async_trait]
impl PagingChannel for SmsChannel {
    fn kind(&self) -> PagingKind {
        PagingKind::Sms
    }

    async fn page(&self, page: &Page) -> Result<Receipt, PagingFault> {
        self.text(&page.to, &page.text_and_link()).await
    }

    async fn look_up(&self, provider_id: &str) -> Result<Delivery, PagingFault> {
        self.twilio.read("Messages", provider_id, fate).await
    }
}

/// Twilio's page “Message status values”.
fn fate(status: &str) -> Fate {
    match status {
        "delivered" | "read" => Fate::Reached,
        "failed" | "undelivered" | "canceled" => Fate::Missed,
        _ => Fate::Underway,
    }
}

/// Typographic marks in their plain form: one of them would more than halve what fits in a part.
fn plain_letters(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\u{a0}' | '\u{202f}' => plain.push(' '),
            '’' | '‘' => plain.push('\''),
            '“' | '”' | '«' | '»' => plain.push('"'),
            '–' | '—' | '·' | '−' => plain.push('-'),
            '…' => plain.push_str("..."),
            other => plain.push(other),
        }
    }
    if plain.chars().count() > LONGEST {
        plain = plain.chars().take(LONGEST - 3).collect();
        plain.push_str("...");
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Peer, Reply};
    use super::super::{Delivery, sample_page};
    use super::*;
    use serde_json::json;

    const SID: &str = "AC0123456789abcdef0123456789abcdef";

    fn config(base_url: &str) -> SmsConfig {
        SmsConfig {
            account_sid: SID.to_owned(),
            auth_token: "token-of-the-account".into(),
            from: Some("+15550100001".to_owned()),
            messaging_service_sid: None,
            base_url: base_url.to_owned(),
        }
    }

    async fn page_with(reply: Reply) -> (Result<Receipt, PagingFault>, Peer) {
        let peer = Peer::start(vec![reply]).await;
        let channel = SmsChannel::new(&config(&peer.base_url())).unwrap();
        let result = channel.page(&sample_page("+15550100002")).await;
        (result, peer)
    }

    #[tokio::test]
    async fn a_text_message_goes_out_as_twilio_documents_it() {
        let reply = Reply::json(201, json!({"sid": "SM1", "status": "queued"}));
        let (result, peer) = page_with(reply).await;
        let receipt = result.unwrap();
        assert_eq!(receipt.provider_id.as_deref(), Some("SM1"));
        assert_eq!(receipt.note, "Twilio: queued");
        let request = peer.only_request();
        assert_eq!(request.method, "POST");
        assert_eq!(request.path, format!("/2010-04-01/Accounts/{SID}/Messages.json"));
        assert_eq!(
            request.form(),
            [
                ("To", "+15550100002"),
                ("From", "+15550100001"),
                ("Body", "SEV2 inc_7: checkout returns 500.\n\nhttps://example.slack.com/archives/C0123ABC"),
                ("SmartEncoded", "true"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(request.basic_auth(), (SID.to_owned(), "token-of-the-account".to_owned()));
    }

    #[tokio::test]
    async fn a_refusal_of_twilio_is_permanent_with_its_code_and_message() {
        let body = json!({"code": 21211, "message": "Invalid 'To' Phone Number", "status": 400});
        let (result, _peer) = page_with(Reply::json(400, body)).await;
        let fault = result.unwrap_err();
        assert!(matches!(fault, PagingFault::Permanent { .. }), "{fault:?}");
        assert_eq!(*fault.why(), "Twilio answered 400: Invalid 'To' Phone Number (Twilio code 21211)");
    }

    #[tokio::test]
    async fn a_wrong_token_names_the_setting_and_not_the_token() {
        let body = json!({"code": 20003, "message": "Authenticate", "status": 401});
        let (result, _peer) = page_with(Reply::json(401, body)).await;
        let fault = result.unwrap_err();
        assert!(matches!(fault, PagingFault::Permanent { .. }));
        let said = format!("{fault} {fault:?}");
        assert!(said.contains("paging.sms.auth_token"), "{said}");
        assert!(!said.contains("token-of-the-account"), "{said}");
    }

    #[tokio::test]
    async fn too_many_requests_wait_as_long_as_twilio_asks() {
        let reply =
            Reply::json(429, json!({"code": 20429, "message": "Too Many Requests"})).header("retry-after", "12");
        let (result, _peer) = page_with(reply).await;
        assert!(
            matches!(&result, Err(PagingFault::Retry { after: Some(after), .. }) if after.as_secs() == 12),
            "{result:?}"
        );
    }

    #[tokio::test]
    async fn a_failure_of_twilio_itself_is_tried_again() {
        let (result, _peer) = page_with(Reply::text(503, "<html>down</html>")).await;
        assert!(matches!(result, Err(PagingFault::Retry { after: None, .. })), "{result:?}");
    }

    #[tokio::test]
    async fn nobody_at_the_address_is_tried_again() {
        let channel = SmsChannel::new(&config(&Peer::nobody().await)).unwrap();
        let result = channel.page(&sample_page("+15550100002")).await;
        assert!(matches!(result, Err(PagingFault::Retry { .. })), "{result:?}");
    }

    #[tokio::test]
    async fn an_answer_that_is_lost_leaves_the_outcome_unknown() {
        let (result, peer) = page_with(Reply::HangUp).await;
        assert!(matches!(result, Err(PagingFault::Unknown { .. })), "{result:?}");
        assert_eq!(peer.requests().len(), 1);
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_leaves_the_outcome_unknown() {
        let peer = Peer::start(vec![Reply::Silence]).await;
        let channel = SmsChannel::with_timeout(&config(&peer.base_url()), Duration::from_secs(2)).unwrap();
        let result = channel.page(&sample_page("+15550100002")).await;
        assert!(matches!(&result, Err(PagingFault::Unknown { why }) if why.contains("in time")), "{result:?}");
    }

    #[tokio::test]
    async fn a_number_that_is_none_is_refused_without_asking_twilio() {
        let peer = Peer::start(vec![]).await;
        let channel = SmsChannel::new(&config(&peer.base_url())).unwrap();
        let result = channel.page(&sample_page("0155 501")).await;
        assert!(matches!(result, Err(PagingFault::Permanent { .. })), "{result:?}");
        assert!(peer.requests().is_empty());
    }

    async fn look_up(body: serde_json::Value) -> Delivery {
        let peer = Peer::start(vec![Reply::json(200, body)]).await;
        let channel = SmsChannel::new(&config(&peer.base_url())).unwrap();
        let delivery = channel.look_up("SM1").await.unwrap();
        assert_eq!(peer.only_request().path, format!("/2010-04-01/Accounts/{SID}/Messages/SM1.json"));
        delivery
    }

    #[tokio::test]
    async fn the_fate_of_a_message_can_be_asked_for() {
        let missed = json!({"status": "undelivered", "error_code": 30003, "error_message": null});
        assert_eq!(look_up(missed).await, Delivery::Missed { why: "Twilio: undelivered (code 30003)".to_owned() });
        assert!(matches!(look_up(json!({"status": "delivered", "error_code": null})).await, Delivery::Reached { .. }));
        assert!(matches!(look_up(json!({"status": "sent"})).await, Delivery::Underway { .. }));
    }

    #[test]
    fn typographic_marks_do_not_make_a_message_longer() {
        assert_eq!(plain_letters("inc_7\u{a0}: « l’état »… 14\u{202f}min"), "inc_7 : \" l'état \"... 14 min");
        assert_eq!(plain_letters(&"x".repeat(2000)).chars().count(), 1600);
    }

    #[test]
    fn a_sender_must_be_known_and_be_one() {
        let mut both = config("https://api.twilio.com");
        both.messaging_service_sid = Some("MG1".to_owned());
        assert_eq!(both.validate().len(), 1);
        let mut none = config("https://api.twilio.com");
        none.from = None;
        assert_eq!(none.validate().len(), 1);
        assert!(config("https://api.twilio.com").validate().is_empty());
        assert!(is_sender("Vigie") && is_sender("12345") && !is_sender("0033") && !is_sender("+33"));
    }

    #[test]
    fn the_token_is_never_printed() {
        let config = config("https://api.twilio.com");
        rustls::crypto::ring::default_provider().install_default().ok();
        let channel = SmsChannel::new(&config).unwrap();
        let printed = format!("{config:?} {channel:?}");
        assert!(!printed.contains("token-of-the-account"), "{printed}");
    }
}
