//! How long the certificate that a server shows is still good (row H1).
//!
//! “Now” is the server's own time, from its answer: this room has no clock.

use jiff::fmt::rfc2822;
use serde::Deserialize;
use x509_parser::parse_x509_certificate;

use crate::actions::check::Seen;
use crate::actions::config::{ConfigFault, fault};
use crate::actions::http::Answer;
use crate::actions::length;
use crate::incident::approval::Verdict;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// How long a server's certificate has to be good yet. One that has ended is no matter of limits: nobody connects.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateRule {
    /// Worth a look when it is good for less.
    #[serde(default, deserialize_with = "length::read_some")]
    pub warn_below: Option<Millis>,
    /// Bad when it is good for less.
    #[serde(default, deserialize_with = "length::read_some")]
    pub fail_below: Option<Millis>,
}

impl CertificateRule {
    pub(super) fn judge(&self, answer: &Answer) -> Seen {
        match left(answer) {
            Ok(left) => {
                let below = |limit: Option<Millis>| limit.is_some_and(|limit| left < limit);
                let verdict = match (below(self.fail_below), below(self.warn_below)) {
                    (true, _) => Verdict::Fail,
                    (false, true) => Verdict::Warn,
                    (false, false) => Verdict::Pass,
                };
                let days = |length: Millis| Words::new("look.days").with("count", length.0 / DAY.0);
                let limit = self.fail_below.or(self.warn_below).map(days);
                Seen::new(verdict, Words::new("look.certificate").with("left", days(left)))
                    .with_limit(limit.map(|least| Words::new("look.at_least").with("least", least)))
            }
            Err(why) => Seen::new(Verdict::Warn, why),
        }
    }

    pub(super) fn validate(&self, url: &str, path: &str, faults: &mut Vec<ConfigFault>) {
        if !url.starts_with("https:") {
            faults.push(fault(path, "only an address with https shows a certificate"));
        }
        match (self.warn_below, self.fail_below) {
            (None, None) => faults.push(fault(path, "say how long it has to be good yet, for example fail_below: 7d")),
            (Some(warn), Some(fail)) if warn < fail => {
                faults.push(fault(path, "warn_below must not be shorter than fail_below"));
            }
            _ => {}
        }
    }
}

const DAY: Millis = Millis::minutes(24 * 60);

/// How long the certificate is still good.
fn left(answer: &Answer) -> Result<Millis, Words> {
    let shown = answer.certificate.as_deref().ok_or_else(|| Words::new("look.no_certificate"))?;
    let (_, certificate) = parse_x509_certificate(shown).map_err(|_| Words::new("look.no_certificate"))?;
    let date = answer.header("date").and_then(|date| rfc2822::parse(date).ok());
    let now = date.ok_or_else(|| Words::new("look.no_date"))?.timestamp().as_second();
    let ends = certificate.validity().not_after.timestamp();
    Ok(Millis(ends.saturating_sub(now).saturating_mul(1_000)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::actions::World;
    use crate::actions::check::Check as _;
    use crate::actions::check::http::HttpCheck;
    use crate::actions::toy::world;
    use crate::english::english;
    use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsAcceptor;

    /// A server with a certificate for `name` that ends with this year, which says that it is `date`; and its issuer.
    async fn server(name: &str, last_year: i32, date: &str) -> (String, Certificate) {
        let issuer_key = KeyPair::generate().unwrap();
        let mut issuer = CertificateParams::default();
        issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        issuer.distinguished_name.push(DnType::CommonName, uuid::Uuid::now_v7().to_string());
        let root = issuer.self_signed(&issuer_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(last_year, 12, 31);
        let shown = params.signed_by(&key, &Issuer::from_params(&issuer, &issuer_key)).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![shown.der().clone()], key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        let answer = format!("HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: 0\r\n\r\n");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(&acceptor, stream, &answer).await;
            }
        });
        (url, root)
    }

    async fn serve(acceptor: &TlsAcceptor, stream: TcpStream, answer: &str) {
        // Whoever does not trust the certificate breaks off.
        let Ok(mut stream) = acceptor.accept(stream).await else { return };
        let mut asked = [0; 4096];
        if stream.read(&mut asked).await.is_ok() {
            stream.write_all(answer.as_bytes()).await.ok();
            stream.shutdown().await.ok();
        }
    }

    async fn seen(name: &str, last_year: i32, date: &str) -> (Verdict, String) {
        let (url, root) = server(name, last_year, date).await;
        look(&url, &root).await
    }

    async fn look(url: &str, trusted: &Certificate) -> (Verdict, String) {
        let rule = json!({"warn_below": "21d", "fail_below": "7d"});
        let check: HttpCheck = serde_json::from_value(json!({"url": url, "certificate": rule})).unwrap();
        let root = reqwest::Certificate::from_der(trusted.der()).unwrap();
        let world = world();
        let http = reqwest::Client::builder().tls_certs_only([root]).tls_info(true).build().unwrap();
        let seen = check.look(&World { http, ..world }, Duration::from_secs(10)).await;
        (seen.verdict, english(&seen.value))
    }

    #[tokio::test]
    async fn a_certificate_that_ends_soon_is_worth_a_look() {
        for (date, verdict, days) in [
            ("Thu, 29 Oct 2099 00:00:00 GMT", Verdict::Pass, 63),
            ("Fri, 11 Dec 2099 00:00:00 GMT", Verdict::Warn, 20),
            ("Mon, 28 Dec 2099 00:00:00 GMT", Verdict::Fail, 3),
        ] {
            let (judged, value) = seen("localhost", 2099, date).await;
            assert_eq!(judged, verdict, "{value}");
            assert!(value.starts_with("200 in "), "{value}");
            assert!(value.ends_with(&format!(" · certificate good for {days} days")), "{value}");
        }
    }

    #[tokio::test]
    async fn a_certificate_that_has_ended_or_is_not_to_be_trusted_is_named_as_the_reason() {
        let date = "Thu, 29 Oct 2099 00:00:00 GMT";
        let ended = seen("localhost", 2020, date).await;
        assert_eq!(ended, (Verdict::Fail, "the server’s certificate has ended".to_owned()));
        let other = seen("shop.example.com", 2099, date).await;
        assert_eq!(other, (Verdict::Fail, "the server’s certificate is for another name".to_owned()));
        let (url, _) = server("localhost", 2099, date).await;
        let (_, somebody_else) = server("localhost", 2099, date).await;
        let unknown = look(&url, &somebody_else).await;
        assert_eq!(unknown, (Verdict::Fail, "nobody known here vouches for the server’s certificate".to_owned()));
    }

    #[tokio::test]
    async fn a_server_that_does_not_say_the_time_is_worth_a_look() {
        let (verdict, value) = seen("localhost", 2099, "soon").await;
        assert_eq!(verdict, Verdict::Warn);
        assert!(value.ends_with("the server does not say what time it is"), "{value}");
    }

    #[test]
    fn only_an_encrypted_address_has_a_certificate() {
        let mut faults = Vec::new();
        let check = json!({"url": "http://shop.example.com", "certificate": {"fail_below": "7d"}});
        serde_json::from_value::<HttpCheck>(check).unwrap().validate("a", &mut faults);
        assert!(faults.iter().any(|fault| fault.to_string().contains("https")), "{faults:?}");
    }
}
