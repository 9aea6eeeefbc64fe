//! What a broadcast promises, against peers on the wire.

use std::collections::BTreeSet;

use serde_json::json;

use super::{AudienceKind, Comms, CommsConfig, Earlier, Message, Outcome, Phase, Sent};
use crate::paging::smtp_peer::{MailPeer, Script};
use crate::paging::wire::{Peer, Reply};
use crate::paging::{PagingConfig, PagingFault, SettingFault};

fn message(phase: Phase) -> Message {
    Message {
        id: "msg_3".to_owned(),
        at: 1_795_181_400_000,
        phase,
        subject: "Example: difficulties in progress".to_owned(),
        text: "We have \"difficulties\" {{text}}\nwith: checkout.".to_owned(),
        short: "We have difficulties.".to_owned(),
        link: Some("https://status.example.com".to_owned()),
    }
}

fn paging(mail_port: u16, twilio: &str) -> PagingConfig {
    let yaml = format!(
        "email: {{host: 127.0.0.1, port: {mail_port}, security: plain, from: vigie@example.com}}\n\
         sms: {{account_sid: AC0123456789abcdef0123456789abcdef, auth_token: t, from: '+15550100001', base_url: '{twilio}'}}\n"
    );
    serde_saphyr::from_str(&yaml).unwrap()
}

fn try_build(comms: &str, paging: &PagingConfig) -> Result<Comms, Vec<SettingFault>> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let config: CommsConfig = serde_saphyr::from_str(comms).unwrap_or_else(|fault| panic!("{fault}"));
    config.build(paging)
}

fn build(comms: &str, paging: &PagingConfig) -> Comms {
    try_build(comms, paging).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// Sends to every destination of the customers, one after another.
async fn everywhere(comms: &Comms, message: &Message) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for destination in &comms.audience("customers").unwrap().destinations {
        outcomes.push(comms.deliver("customers", &destination.name, message, &Earlier::default()).await.unwrap());
    }
    outcomes
}

/// One customer audience with one destination written in YAML.
fn one(destination: &str) -> String {
    format!("audiences: {{customers: {{kind: customer, locale: fr, destinations: [{destination}]}}}}")
}

const PAGE: &str = "{name: page, status_page: {
    headers: {authorization: 'OAuth key-of-the-page'},
    id_pointer: /incident/id,
    open: {url: 'BASE/pages/1/incidents', body: {incident: {name: '{{subject}}', status: investigating, body: '{{text}}', at: '{{at_rfc3339}}'}}},
    update: {method: PATCH, url: 'BASE/pages/1/incidents/{{remote_id}}', body: {incident: {status: identified, body: '{{text}}'}}},
    resolve: {method: PATCH, url: 'BASE/pages/1/incidents/{{remote_id}}', body: {incident: {status: resolved, body: '{{text}}'}}}}}";

fn status_page(peer: &Peer) -> Comms {
    build(&one(&PAGE.replace("BASE", &peer.base_url())), &PagingConfig::default())
}

#[tokio::test]
async fn a_status_page_is_opened_with_the_text_in_its_place() {
    let peer = Peer::start(vec![Reply::json(201, json!({"incident": {"id": "k7/x"}}))]).await;
    let outcomes = everywhere(&status_page(&peer), &message(Phase::Open)).await;
    assert_eq!(outcomes[0].id, "msg_3/page");
    let Sent::Here { taken, missed } = &outcomes[0].result else {
        panic!("{outcomes:?}");
    };
    assert!(missed.is_empty());
    assert_eq!(taken[0].receipt.provider_id.as_deref(), Some("k7/x"));
    let request = peer.only_request();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/pages/1/incidents"));
    assert_eq!(request.header("authorization"), "OAuth key-of-the-page");
    assert_eq!(request.header("idempotency-key"), "msg_3/page");
    assert_eq!(
        request.json(),
        json!({"incident": {
            "name": "Example: difficulties in progress",
            "status": "investigating",
            "body": "We have \"difficulties\" {{text}}\nwith: checkout.",
            "at": "2026-11-20T13:30:00Z",
        }})
    );
}

#[tokio::test]
async fn later_messages_go_to_the_entry_that_was_opened() {
    let peer = Peer::start(vec![Reply::text(200, ""), Reply::text(200, "")]).await;
    let comms = status_page(&peer);
    let earlier = Earlier { remote_id: Some("k7/x".to_owned()), ..Earlier::default() };
    for phase in [Phase::Update, Phase::Resolved] {
        let outcome = comms.deliver("customers", "page", &message(phase), &earlier).await.unwrap();
        let Sent::Here { taken, .. } = &outcome.result else {
            panic!("{outcome:?}");
        };
        assert_eq!(taken[0].receipt.provider_id.as_deref(), Some("k7/x"));
    }
    let requests = peer.requests();
    assert!(requests.iter().all(|it| it.method == "PATCH"));
    assert!(requests.iter().all(|it| it.path == "/pages/1/incidents/k7%2Fx"));
    assert_eq!(requests[1].json()["incident"]["status"], "resolved");
}

#[tokio::test]
async fn an_update_to_an_entry_nobody_knows_opens_one() {
    let peer = Peer::start(vec![Reply::text(200, "{}")]).await;
    everywhere(&status_page(&peer), &message(Phase::Update)).await;
    assert_eq!(peer.only_request().method, "POST");
}

#[tokio::test]
async fn a_status_page_that_fails_says_so_without_its_key() {
    let peer = Peer::start(vec![Reply::text(503, "down"), Reply::text(401, "bad key")]).await;
    let comms = status_page(&peer);
    let outcomes = everywhere(&comms, &message(Phase::Open)).await;
    assert!(!outcomes[0].is_whole());
    assert_eq!(outcomes[0].worth_retrying(), BTreeSet::from(["page".to_owned()]));
    let outcomes = everywhere(&comms, &message(Phase::Open)).await;
    let fault = &outcomes[0].missed()[0].fault;
    assert!(matches!(fault, PagingFault::Permanent { .. }), "{fault:?}");
    assert_eq!(*fault.why(), "the status page answered 401: bad key");
    assert!(outcomes[0].worth_retrying().is_empty());
    let printed = format!("{comms:?} {outcomes:?}");
    assert!(!printed.contains("key-of-the-page"), "{printed}");
}

#[tokio::test]
async fn every_destination_reports_for_itself() {
    let mail = MailPeer::start(Script {
        recipients: vec![("gone@", "550 no such user"), ("full@", "452 full")],
        ..Script::default()
    })
    .await;
    let twilio = Peer::start(vec![
        Reply::json(201, json!({"sid": "SM1", "status": "queued"})),
        Reply::json(201, json!({"sid": "SM2", "status": "queued"})),
    ])
    .await;
    let hook = Peer::start(vec![Reply::text(200, "")]).await;
    let comms = build(
        &format!(
            "audiences:
  customers:
    kind: customer
    from: Support <support@example.com>
    destinations:
      - {{name: channel, slack: C0123ABC}}
      - {{name: list, email: [a@example.com, gone@example.com, full@example.com]}}
      - {{name: phones, sms: ['+15550100002', '+15550100003']}}
      - {{name: hook, webhook: {{url: '{}/in', secret: 0123456789abcdef}}}}
",
            hook.base_url()
        ),
        &paging(mail.port, &twilio.base_url()),
    );
    assert_eq!(comms.audience("customers").unwrap().kind, AudienceKind::Customer);
    let reach: Vec<(&str, usize)> =
        comms.audience("customers").unwrap().destinations.iter().map(|it| (it.kind(), it.reach())).collect();
    assert_eq!(reach, [("slack", 1), ("email", 3), ("sms", 2), ("webhook", 1)]);

    let outcomes = everywhere(&comms, &message(Phase::Open)).await;
    let ids: Vec<&str> = outcomes.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["msg_3/channel", "msg_3/list", "msg_3/phones", "msg_3/hook"]);
    assert_eq!(outcomes[0].result, Sent::BySlackRoom { channel: "C0123ABC".to_owned() });
    assert_eq!(outcomes[1].missed().len(), 2);
    assert_eq!(outcomes[1].worth_retrying(), BTreeSet::from(["full@example.com".to_owned()]));
    assert!(outcomes[2].is_whole() && outcomes[3].is_whole());
    assert_eq!(twilio.requests().len(), 2);
    let body = hook.only_request().json();
    assert_eq!(body["kind"], "message");
    assert_eq!(body["audience_kind"], "customer");
    assert_eq!(body["phase"], "open");
    let mail = mail.seen();
    assert!(mail.messages[0].contains("From: Support <support@example.com>"));
    assert!(mail.messages[0].contains("Message-ID: <msg_3-list."));
}

#[tokio::test]
async fn a_whatsapp_list_gives_each_number_its_own_id() {
    let meta = Peer::start(vec![
        Reply::json(200, json!({"messages": [{"id": "wamid.1"}]})),
        Reply::json(400, json!({"error": {"message": "No", "code": 131_026}})),
    ])
    .await;
    let paging: PagingConfig = serde_saphyr::from_str(&format!(
        "whatsapp: {{phone_number_id: '1', access_token: t, template: news, base_url: '{}'}}",
        meta.base_url()
    ))
    .unwrap();
    let comms = build(&one("{name: phones, whatsapp: ['+15550100002', '+15550100003']}"), &paging);
    let outcomes = everywhere(&comms, &message(Phase::Open)).await;
    assert_eq!(outcomes[0].missed().len(), 1);
    let ids: BTreeSet<String> =
        meta.requests().iter().map(|it| it.json()["biz_opaque_callback_data"].to_string()).collect();
    assert_eq!(
        ids,
        BTreeSet::from(["\"msg_3/phones/+15550100002\"".to_owned(), "\"msg_3/phones/+15550100003\"".to_owned(),])
    );
    assert_eq!(meta.requests()[0].json()["template"]["language"]["code"], "fr");
}

#[tokio::test]
async fn a_second_attempt_writes_only_to_those_who_were_missed() {
    let mail = MailPeer::start(Script::default()).await;
    let comms = build(
        &one("{name: list, email: [a@example.com, full@example.com]}"),
        &paging(mail.port, "https://api.twilio.com"),
    );
    let earlier = Earlier { only: BTreeSet::from(["full@example.com".to_owned()]), ..Earlier::default() };
    let outcome = comms.deliver("customers", "list", &message(Phase::Open), &earlier).await.unwrap();
    assert!(outcome.is_whole());
    let recipients: Vec<String> = mail.seen().commands.into_iter().filter(|line| line.starts_with("RCPT")).collect();
    assert_eq!(recipients, ["RCPT TO:<full@example.com>"]);
}

#[tokio::test]
async fn a_mail_server_that_is_down_misses_everybody_for_now() {
    let comms = build(
        &one("{name: list, email: [a@example.com, b@example.com]}"),
        &paging(closed_port().await, "https://api.twilio.com"),
    );
    let outcomes = everywhere(&comms, &message(Phase::Open)).await;
    assert_eq!(outcomes[0].worth_retrying().len(), 2);
}

async fn closed_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_place_that_is_gone_from_the_settings_is_named_with_those_there_are() {
    let comms = build(&one("{name: channel, slack: C0123ABC}"), &PagingConfig::default());
    let sent = message(Phase::Open);
    let gone = comms.deliver("customers", "page", &sent, &Earlier::default()).await.unwrap_err();
    assert_eq!(gone.0, "the audience “customers” has no destination “page”; it has: channel");
    let nobody = comms.audience("clients").unwrap_err();
    assert_eq!(nobody.0, "there is no audience “clients”; there are: customers");
}

fn faults(destinations: &str) -> Vec<String> {
    let faults = try_build(&one(destinations), &PagingConfig::default()).unwrap_err();
    let place = "comms.audiences.customers.destinations";
    faults.into_iter().map(|fault| fault.setting.replace(place, "") + ": " + &fault.text).collect()
}

#[test]
fn every_fault_in_the_settings_is_told_with_its_place() {
    assert_eq!(faults(""), [": an audience needs at least one destination"]);
    assert_eq!(
        faults(
            "{name: 'A b', slack: general}, {name: two, slack: C0123ABC, webhook: {url: 'https://example.com', secret: 0123456789abcdef}}"
        ),
        [
            "[0].name: a name has small letters, digits, - and _ only",
            "[0].slack: this must be a channel's id such as C0123ABC (in Slack: channel details, at the bottom)",
            "[1]: a destination has exactly one of slack, email, sms, whatsapp, webhook, status_page",
        ]
    );
    assert_eq!(
        faults("{name: list, sms: ['0155']}"),
        [
            "[0].sms: set up paging.sms first; this list is sent through it",
            "[0].sms: “0155” is no telephone number such as +15550100123",
        ]
    );
}

#[test]
fn a_status_page_s_templates_are_tried_at_start() {
    let found = faults(
        "{name: page, status_page: {open: {method: GET, url: 'http://status.example.com/{{idd}}', body: {a: ['{{subjekt}}']}}}}",
    );
    let places: Vec<&str> = found.iter().filter_map(|it| it.split(':').next()).collect();
    assert_eq!(places, ["[0].status_page.open.method", "[0].status_page.open.body", "[0].status_page.open.url",]);
    let found =
        faults("{name: page, status_page: {open: {url: 'https://status.example.com/{{remote_id}}', body: {}}}}");
    assert!(found[0].contains("has no id yet"), "{found:?}");
}
