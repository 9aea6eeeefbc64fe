//! A certificate that is good, through the whole bot (H1): how long it is good stands in the diagnostic.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use vigie::incident::approval::{CheckResult, Verdict};

use crate::bot::Bot;
use crate::database::Database;
use crate::faults::town::Town;
use crate::faults::until;
use crate::runbook::Sheet;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ndate: Thu, 26 Nov 2026 12:00:00 GMT\r\ncontent-length: 0\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(60);

/// A certificate for many years, and who vouches for it as a file reads it.
pub fn identity(name: &str) -> (TlsAcceptor, String) {
    let issuer_key = KeyPair::generate().expect("a key can be made");
    let mut issuer = CertificateParams::default();
    issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    issuer.distinguished_name.push(DnType::CommonName, "Vigie's tests");
    let root = issuer.self_signed(&issuer_key).expect("it can be signed");
    let key = KeyPair::generate().expect("a key can be made");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("it is a name");
    let shown = params.signed_by(&key, &Issuer::from_params(&issuer, &issuer_key)).expect("it can be signed");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("they are known").with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = config.with_single_cert(vec![shown.der().clone()], key).expect("they fit");
    let root = STANDARD.encode(root.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{root}\n-----END CERTIFICATE-----\n");
    (TlsAcceptor::from(Arc::new(config)), pem)
}

/// A site called `localhost`; its port, and who vouches for it as a file reads it.
async fn site() -> (u16, String) {
    let (acceptor, root) = identity("localhost");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            answers(&acceptor, stream).await;
        }
    });
    (port, root)
}

async fn answers(acceptor: &TlsAcceptor, stream: TcpStream) {
    // Whoever does not trust the certificate breaks off.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut asked = [0; 4096];
    if stream.read(&mut asked).await.is_ok() {
        stream.write_all(ANSWER).await.ok();
        stream.shutdown().await.ok();
    }
}

/// What the diagnostic of the app shows, and its card.
async fn diagnosed(town: &Town) -> (CheckResult, String) {
    let says = async |line: &str| {
        let ack = town.ws().person("U0ONCALL").command("C0GENERAL", "/incident", line).await;
        assert_eq!(ack.failure, None, "/incident {line}");
    };
    let incident = async || town.store.incident("inc_1".parse().expect("an id")).await.ok().flatten();
    until("the bot hears", PATIENCE, async || (town.ws().open_sockets() > 0).then_some(())).await;
    says("start sev2 the page does not open").await;
    until("the incident", PATIENCE, async || incident().await?.channel).await;
    says("diagnose --in inc_1 app").await;
    let result = until("the round", PATIENCE, async || {
        let incident = incident().await?;
        let (_, round) = incident.last_diagnostic()?;
        round.results.as_ref()?.first().cloned()
    });
    let result = result.await;
    let channel = incident().await.and_then(|incident| incident.channel).expect("it has a channel");
    let card = until("the card", PATIENCE, async || {
        let messages = town.ws().messages(&channel.id.0);
        messages.iter().map(crate::world::shown).find(|text| text.contains("*Live:*"))
    });
    (result, card.await)
}

#[tokio::test]
async fn a_good_certificate_passes_and_one_that_nobody_vouches_for_does_not() {
    let (port, root) = site().await;
    let check =
        format!("http:\n  url: https://localhost:{port}/health\n  certificate: {{ warn_below: 21d, fail_below: 7d }}");
    let configuration = Sheet {
        check: &check,
        steps: "- command: { target: t, argv: [\"true\"], to: done, risk: reversible }\n",
        ..Sheet::default()
    }
    .configuration();
    for is_vouched_for in [true, false] {
        let database = Database::fresh().await;
        let town = Town::open_as(&database.url, &configuration).await;
        let file = town.path().join("root.pem");
        std::fs::write(&file, &root).expect("it can be written");
        let trust = format!("SSL_CERT_FILE={}", file.display());
        let words = if is_vouched_for { vec!["env", trust.as_str()] } else { vec!["env"] };
        let mut bot = Bot::begin(town.command_by(&words, "127.0.0.1:0"));
        bot.listens().await;
        let (result, card) = diagnosed(&town).await;
        let wanted = if is_vouched_for { Verdict::Pass } else { Verdict::Fail };
        assert_eq!(result.verdict, wanted, "{result:?}");
        assert!(card.contains("certificate"), "{card}");
        bot.stop().await;
    }
}
