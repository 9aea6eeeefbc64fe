//! What the e-mail channel promises, against a mail server on the wire.

use std::time::Duration;

use super::email::{EmailChannel, EmailConfig, Letter, Security};
use super::smtp_peer::{MailPeer, Script};
use super::{PagingChannel, PagingFault, Receipt, sample_page};

fn config(port: u16) -> EmailConfig {
    EmailConfig {
        host: "127.0.0.1".to_owned(),
        port: Some(port),
        security: Security::Plain,
        user: None,
        password: None,
        from: "Vigie <vigie@example.com>".to_owned(),
        reply_to: Some("on-call@example.com".to_owned()),
    }
}

async fn page_with(script: Script) -> (Result<Receipt, PagingFault>, MailPeer) {
    let peer = MailPeer::start(script).await;
    let channel = EmailChannel::new(&config(peer.port)).unwrap();
    (channel.page(&sample_page("lead@example.com")).await, peer)
}

#[tokio::test]
async fn a_page_arrives_whole_with_a_stable_message_id() {
    let peer = MailPeer::start(Script::default()).await;
    let channel = EmailChannel::new(&config(peer.port)).unwrap();
    let first = channel.page(&sample_page("lead@example.com")).await.unwrap();
    let again = channel.page(&sample_page("lead@example.com")).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(first.note, "the mail server took it: queued as 4Q1");
    let seen = peer.seen();
    assert_eq!(seen.messages.len(), 2);
    assert_eq!(seen.messages[0], seen.messages[1]);
    insta::assert_snapshot!(seen.messages[0], @r"
    Message-ID: <pg_12.22b5ee2b4b2c4504@example.com>
    Date: Fri, 20 Nov 2026 13:30:00 +0000
    From: Vigie <vigie@example.com>
    Subject: [SEV2] checkout returns 500
    MIME-Version: 1.0
    Content-Type: text/plain; charset=utf-8
    Auto-Submitted: auto-generated
    To: lead@example.com
    Reply-To: on-call@example.com
    Importance: high
    X-Priority: 1
    Content-Transfer-Encoding: 7bit

    SEV2 inc_7: checkout returns 500.

    https://example.slack.com/archives/C0123ABC
    ");
    assert!(seen.commands.contains(&"MAIL FROM:<vigie@example.com>".to_owned()));
    assert!(seen.commands.contains(&"RCPT TO:<lead@example.com>".to_owned()));
}

#[tokio::test]
async fn a_server_that_asks_to_come_back_is_tried_again() {
    let script = Script { mail: Some("450 4.3.2 busy, come back"), ..Script::default() };
    let (result, _peer) = page_with(script).await;
    assert!(matches!(&result, Err(PagingFault::Retry { why, .. }) if why.contains("come back")), "{result:?}");
}

#[tokio::test]
async fn an_address_the_server_does_not_know_is_permanent() {
    let script = Script { recipients: vec![("lead@", "550 5.1.1 no such user")], ..Script::default() };
    let (result, peer) = page_with(script).await;
    assert!(
        matches!(&result, Err(PagingFault::Permanent { why })
            if why.contains("lead@example.com") && why.contains("no such user")),
        "{result:?}"
    );
    assert!(peer.seen().messages.is_empty());
}

#[tokio::test]
async fn a_refused_login_names_the_settings_and_not_the_password() {
    let peer = MailPeer::start(Script { auth: Some("535 5.7.8 bad credentials"), ..Script::default() }).await;
    let mut config = config(peer.port);
    config.user = Some("vigie".to_owned());
    config.password = Some("password-of-the-server".into());
    let channel = EmailChannel::new(&config).unwrap();
    let fault = channel.page(&sample_page("lead@example.com")).await.unwrap_err();
    assert!(matches!(fault, PagingFault::Permanent { .. }));
    let printed = format!("{fault} {fault:?} {channel:?} {config:?}");
    assert!(printed.contains("paging.email.password"), "{printed}");
    assert!(!printed.contains("password-of-the-server"), "{printed}");
}

#[tokio::test]
async fn a_good_login_is_used() {
    let peer = MailPeer::start(Script { auth: Some("235 ok"), ..Script::default() }).await;
    let mut config = config(peer.port);
    config.user = Some("vigie".to_owned());
    config.password = Some("password-of-the-server".into());
    let channel = EmailChannel::new(&config).unwrap();
    channel.page(&sample_page("lead@example.com")).await.unwrap();
    assert!(peer.seen().commands.iter().any(|line| line.starts_with("AUTH PLAIN ")));
}

#[tokio::test]
async fn a_break_before_the_message_is_harmless() {
    for verb in ["EHLO", "MAIL", "RCPT", "DATA"] {
        let script = Script { drop_after: Some(verb), ..Script::default() };
        let (result, _peer) = page_with(script).await;
        assert!(matches!(result, Err(PagingFault::Retry { .. })), "{verb}: {result:?}");
    }
}

#[tokio::test]
async fn a_break_after_the_message_leaves_the_outcome_unknown() {
    let script = Script { drop_after_message: true, ..Script::default() };
    let (result, peer) = page_with(script).await;
    assert!(matches!(result, Err(PagingFault::Unknown { .. })), "{result:?}");
    assert_eq!(peer.seen().messages.len(), 1);
}

#[tokio::test]
async fn silence_after_the_message_leaves_the_outcome_unknown() {
    let peer = MailPeer::start(Script { silent_after_message: true, ..Script::default() }).await;
    let channel = EmailChannel::with_timeout(&config(peer.port), Duration::from_secs(3)).unwrap();
    let result = channel.page(&sample_page("lead@example.com")).await;
    assert!(matches!(&result, Err(PagingFault::Unknown { why }) if why.contains("in time")), "{result:?}");
}

#[tokio::test]
async fn a_server_that_dawdles_over_the_goodbye_has_still_answered() {
    for recipients in [vec![], vec![("lead@", "550 5.1.1 no such user")]] {
        let refuses = !recipients.is_empty();
        let peer = MailPeer::start(Script { silent_on_quit: true, recipients, ..Script::default() }).await;
        let channel = EmailChannel::with_timeout(&config(peer.port), Duration::from_secs(3)).unwrap();
        let result = channel.page(&sample_page("lead@example.com")).await;
        match result {
            Ok(_) => assert!(!refuses),
            Err(PagingFault::Permanent { .. }) => assert!(refuses),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_message_the_server_refuses_in_the_end_is_permanent() {
    let script = Script { message: Some("554 5.7.1 looks like spam"), ..Script::default() };
    let (result, _peer) = page_with(script).await;
    assert!(matches!(result, Err(PagingFault::Permanent { .. })), "{result:?}");
}

#[tokio::test]
async fn nobody_at_the_port_is_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let channel = EmailChannel::new(&config(port)).unwrap();
    let result = channel.page(&sample_page("lead@example.com")).await;
    assert!(matches!(result, Err(PagingFault::Retry { .. })), "{result:?}");
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_when_the_server_offers_no_starttls() {
    let peer = MailPeer::start(Script::default()).await;
    let mut config = config(peer.port);
    config.security = Security::Starttls;
    let channel = EmailChannel::new(&config).unwrap();
    let result = channel.page(&sample_page("lead@example.com")).await;
    assert!(
        matches!(&result, Err(PagingFault::Permanent { why }) if why.contains("paging.email.security")),
        "{result:?}"
    );
    assert!(peer.seen().commands.iter().all(|line| !line.starts_with("MAIL")));
}

#[tokio::test]
async fn one_wrong_address_does_not_keep_the_letter_from_the_others() {
    let peer = MailPeer::start(Script {
        recipients: vec![("gone@", "550 5.1.1 no such user"), ("full@", "452 4.2.2 full")],
        ..Script::default()
    })
    .await;
    let channel = EmailChannel::new(&config(peer.port)).unwrap();
    let to =
        ["a@example.com", "gone@example.com", "full@example.com", "no address", "b@example.com"].map(ToOwned::to_owned);
    let letter = Letter {
        id: "msg_3/customers",
        at: 1_795_181_400_000,
        to: &to,
        from: Some("Example support <support@example.com>"),
        subject: "difficulties\r\nBcc: evil@example.com",
        text: "We have difficulties.",
        urgent: false,
    };
    let posted = channel.post(letter).await.unwrap();
    let refused: Vec<(&str, bool)> =
        posted.refused.iter().map(|(to, fault)| (to.as_str(), matches!(fault, PagingFault::Retry { .. }))).collect();
    assert_eq!(refused, [("no address", false), ("gone@example.com", false), ("full@example.com", true)]);
    let message = &peer.seen().messages[0];
    assert!(message.contains("From: \"Example support\" <support@example.com>"), "{message}");
    assert!(!message.contains("a@example.com"), "people see each other:\n{message}");
    assert!(!message.lines().any(|line| line.starts_with("Bcc:")), "{message}");
    assert!(message.contains("To: undisclosed-recipients:;"), "{message}");
    assert!(!message.contains("Importance"), "{message}");
}

#[test]
fn settings_are_checked() {
    let mut wrong = config(25);
    wrong.host = "smtp://mail.example.com".to_owned();
    wrong.password = Some("x".into());
    wrong.from = "Vigie".to_owned();
    let settings: Vec<String> = wrong.validate().into_iter().map(|it| it.setting).collect();
    assert_eq!(settings, ["paging.email.host", "paging.email.security", "paging.email.user", "paging.email.from"]);
    assert!(config(25).validate().is_empty());
}
