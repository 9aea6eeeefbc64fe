//! The door that answers as Twilio's REST API of 2010-04-01 does: messages and calls.
//!
//! Shapes from Twilio's OpenAPI document; error codes from its error dictionary.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine;
use chrono::DateTime;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::record::{Arrival, Delivery, DeliveryKind, Door, Fault, Record};
use super::twilio_form::{Fields, TwilioError, call_arrival, message_arrival};
use super::{LARGEST, TwilioAccount};

#[derive(Clone)]
struct Twilio {
    record: Arc<Record>,
    account: TwilioAccount,
}

pub(super) fn routes(record: Arc<Record>, account: TwilioAccount) -> Router {
    Router::new()
        .route("/2010-04-01/Accounts/{account}/Messages.json", post(message))
        .route("/2010-04-01/Accounts/{account}/Calls.json", post(call))
        .route("/2010-04-01/Accounts/{account}/Messages/{sid}", get(look))
        .route("/2010-04-01/Accounts/{account}/Calls/{sid}", get(look))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(Twilio { record, account })
}

async fn message(
    State(twilio): State<Twilio>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let checked = twilio.admit(&account, &headers).and_then(|()| message_arrival(&fields));
    twilio.take(Door::Sms, checked).await
}

async fn call(
    State(twilio): State<Twilio>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let checked = twilio.admit(&account, &headers).and_then(|()| call_arrival(&fields));
    twilio.take(Door::Call, checked).await
}

async fn look(
    State(twilio): State<Twilio>,
    Path((account, sid)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = twilio.admit(&account, &headers) {
        return error.into_response();
    }
    let id = sid.strip_suffix(".json").and_then(|sid| sid.get(2..)).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    match id.and_then(|id| twilio.record.find(id)).and_then(|delivery| twilio.resource(&delivery)) {
        Some(resource) => Json(resource).into_response(),
        None => TwilioError::NotFound(sid).into_response(),
    }
}

impl Twilio {
    fn admit(&self, account: &str, headers: &HeaderMap) -> Result<(), TwilioError> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let pair = format!("{}:{}", self.account.sid, self.account.token.expose_secret());
        let wanted = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        if !bool::from(given.as_bytes().ct_eq(wanted.as_bytes())) {
            return Err(TwilioError::Authenticate);
        }
        if account != self.account.sid {
            return Err(TwilioError::NotFound(account.to_owned()));
        }
        Ok(())
    }

    async fn take(&self, door: Door, checked: Result<Arrival, TwilioError>) -> Response {
        let arrival = match checked {
            Ok(arrival) => arrival,
            Err(error) => return error.into_response(),
        };
        let fault = self.record.take_fault(door);
        match fault {
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Unavailable) => return TwilioError::Unavailable.into_response(),
            Some(Fault::TooMany) => return TwilioError::TooMany.into_response(),
            Some(Fault::Refused) => return TwilioError::InvalidTo(arrival.to).into_response(),
            Some(Fault::LostAnswer) | None => {}
        }
        if self.record.refuses(&arrival.to) {
            return TwilioError::InvalidTo(arrival.to).into_response();
        }
        let delivery = self.record.add(arrival);
        if fault == Some(Fault::LostAnswer) {
            std::future::pending::<()>().await;
        }
        (StatusCode::CREATED, Json(self.created(&delivery))).into_response()
    }

    /// The answer to a creation: Twilio has only queued it then.
    fn created(&self, delivery: &Delivery) -> Value {
        let mut resource = self.resource(delivery).unwrap_or_default();
        if let Some(fields) = resource.as_object_mut() {
            fields.insert("status".into(), "queued".into());
        }
        resource
    }

    fn resource(&self, delivery: &Delivery) -> Option<Value> {
        let date = DateTime::from_timestamp_millis(delivery.at_ms).unwrap_or_default().to_rfc2822();
        let account = &self.account.sid;
        match delivery.kind {
            DeliveryKind::Sms => {
                let sid = format!("SM{:032x}", delivery.id);
                let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}");
                Some(json!({
                    "account_sid": account, "api_version": "2010-04-01", "body": delivery.body, "date_created": date, "date_sent": date,
                    "date_updated": date, "direction": "outbound-api", "error_code": null, "error_message": null, "from": delivery.from,
                    "messaging_service_sid": null, "num_media": "0", "num_segments": segments(&delivery.body).to_string(), "price": null,
                    "price_unit": null, "sid": sid, "status": "delivered", "subresource_uris": {"media": format!("{uri}/Media.json")},
                    "to": delivery.to, "uri": format!("{uri}.json"),
                }))
            }
            DeliveryKind::Call => {
                let sid = format!("CA{:032x}", delivery.id);
                Some(json!({
                    "account_sid": account, "answered_by": null, "api_version": "2010-04-01", "caller_name": null, "date_created": date,
                    "date_updated": date, "direction": "outbound-api", "duration": null, "end_time": null, "forwarded_from": null,
                    "from": delivery.from, "from_formatted": delivery.from, "group_sid": null, "parent_call_sid": null,
                    "phone_number_sid": null, "price": null, "price_unit": "USD", "queue_time": "0", "sid": sid, "start_time": null,
                    "status": "completed", "subresource_uris": {}, "to": delivery.to, "to_formatted": delivery.to, "trunk_sid": null,
                    "uri": format!("/2010-04-01/Accounts/{account}/Calls/{sid}.json"),
                }))
            }
            DeliveryKind::Page | DeliveryKind::Email | DeliveryKind::Webhook => None,
        }
    }
}

/// The characters of GSM 03.38 beyond ASCII's letters, digits and spaces; the extension table counts double.
const GSM_BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà";
const GSM_EXTENSION: &str = "^{}\\[~]|€";

/// How many text messages the phone companies make of a text: 160 characters of GSM-7, else 70 of UCS-2.
fn segments(text: &str) -> usize {
    let septets = |c: char| match c {
        c if c.is_ascii_alphanumeric() || GSM_BASIC.contains(c) => Some(1),
        c if GSM_EXTENSION.contains(c) => Some(2),
        _ => None,
    };
    let (units, single, part) = match text.chars().map(septets).sum::<Option<usize>>() {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if units <= single { 1 } else { units.div_ceil(part) }
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture;

    use serde_json::Value;

    use super::super::{DeliveryKind, Door, Fault, Phones, PhonesOptions};
    use super::*;

    fn client() -> reqwest::Client {
        rustls::crypto::ring::default_provider().install_default().ok();
        reqwest::Client::builder().no_proxy().build().expect("a client")
    }

    async fn phones() -> Phones {
        Phones::start(PhonesOptions::new(|| 1_795_160_000_000)).await.expect("free ports")
    }

    async fn post(phones: &Phones, what: &str, token: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let sid = &phones.account().sid;
        let url = format!("{}/2010-04-01/Accounts/{sid}/{what}.json", phones.http_url());
        let answer = client().post(url).basic_auth(sid, Some(token)).form(fields).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// The practice account's.
    const TOKEN: &str = "token-of-the-phones";

    const TEXT: &[(&str, &str)] =
        &[("To", "+15550101"), ("From", "+15550100"), ("Body", "SEV2 · checkout returns 500")];

    #[tokio::test]
    async fn a_text_message_is_queued_then_delivered() {
        let phones = phones().await;
        let (status, answer) = post(&phones, "Messages", TOKEN, TEXT).await;
        assert_eq!((status, &answer["status"], &answer["to"]), (201, &json!("queued"), &json!("+15550101")));
        assert_eq!(answer["date_created"], "Fri, 20 Nov 2026 07:33:20 +0000");
        let inbox = phones.deliveries();
        assert_eq!((inbox[0].kind, inbox[0].body.as_str()), (DeliveryKind::Sms, "SEV2 · checkout returns 500"));

        let url = format!("{}{}", phones.http_url(), answer["uri"].as_str().expect("an address"));
        let later = client().get(url).basic_auth(&phones.account().sid, Some(TOKEN)).send().await.expect("an answer");
        assert_eq!(later.json::<Value>().await.expect("JSON")["status"], "delivered");
    }

    #[tokio::test]
    async fn a_call_says_the_words_of_its_twiml() {
        let phones = phones().await;
        let twiml =
            "<Response><Say>Severity 2.</Say><Pause length=\"1\"/><Say>Tom &amp; Co cannot pay</Say></Response>";
        let (status, _) =
            post(&phones, "Calls", TOKEN, &[("To", "+15550101"), ("From", "+15550100"), ("Twiml", twiml)]).await;
        assert_eq!(status, 201);
        assert_eq!(phones.deliveries()[0].body, "Severity 2. Tom & Co cannot pay");
    }

    #[tokio::test]
    async fn a_wrong_token_is_refused_and_nothing_is_delivered() {
        let phones = phones().await;
        let (status, answer) = post(&phones, "Messages", "wrong", TEXT).await;
        assert_eq!((status, &answer["code"]), (401, &json!(20003)));
        assert_eq!(phones.deliveries(), Vec::new());
    }

    #[tokio::test]
    async fn a_malformed_or_refused_number_is_error_21211() {
        let phones = phones().await;
        let bad = [("To", "abc"), ("From", "+15550100"), ("Body", "x")];
        let (status, answer) = post(&phones, "Messages", TOKEN, &bad).await;
        assert_eq!(
            (status, answer),
            (
                400,
                json!({"code": 21211, "message": "Invalid 'To' Phone Number: abc", "more_info": "https://www.twilio.com/docs/errors/21211", "status": 400})
            )
        );
        phones.refuse("+1 555-0101");
        assert_eq!(post(&phones, "Messages", TOKEN, TEXT).await.1["code"], 21211);
    }

    #[tokio::test]
    async fn missing_fields_have_their_own_codes() {
        let phones = phones().await;
        let code = async |what, fields: &[(&str, &str)]| post(&phones, what, TOKEN, fields).await.1["code"].clone();
        assert_eq!(code("Messages", &[("From", "+15550100"), ("Body", "x")]).await, 21604);
        assert_eq!(code("Messages", &[("To", "+15550101"), ("Body", "x")]).await, 21603);
        assert_eq!(code("Messages", &[("To", "+15550101"), ("From", "+15550100")]).await, 21602);
        assert_eq!(code("Calls", &[("To", "+15550101"), ("From", "+15550100")]).await, 21205);
    }

    #[tokio::test]
    async fn faults_at_one_door_do_not_touch_the_other() {
        let phones = phones().await;
        phones.fail_next(Door::Sms, Fault::Unavailable, 2);
        assert_eq!(post(&phones, "Messages", TOKEN, TEXT).await.0, 503);
        let (call, _) = post(
            &phones,
            "Calls",
            TOKEN,
            &[("To", "+15550101"), ("From", "+15550100"), ("Url", "https://example.com/say")],
        )
        .await;
        assert_eq!(call, 201);
        assert_eq!(post(&phones, "Messages", TOKEN, TEXT).await.0, 503);
        assert_eq!(post(&phones, "Messages", TOKEN, TEXT).await.0, 201);
    }

    #[tokio::test]
    async fn a_lost_answer_is_delivered_all_the_same() {
        let phones = phones().await;
        phones.fail_next(Door::Sms, Fault::LostAnswer, 1);
        let sid = phones.account().sid.clone();
        let url = format!("{}/2010-04-01/Accounts/{sid}/Messages.json", phones.http_url());
        let request = client().post(url).basic_auth(&sid, Some(TOKEN)).form(TEXT).send().into_future();
        let mut changes = phones.changes();
        tokio::select! {
            answer = request => panic!("the answer came: {answer:?}"),
            changed = changes.wait_for(|n| *n == 1) => { changed.expect("phones are there"); }
        }
        assert_eq!(phones.deliveries().len(), 1);
    }

    #[test]
    fn long_texts_and_texts_beyond_gsm_count_as_several_messages() {
        let counts = ["a", &"a".repeat(161), &"é".repeat(160), &"€".repeat(81), &"🔴".repeat(36)].map(segments);
        assert_eq!(counts, [1, 2, 1, 2, 2]);
    }
}
