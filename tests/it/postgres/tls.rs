//! A server that speaks TLS, by both ways that there are: ours, and that of PostgreSQL's own programs.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use url::Url;
use vigie::incident::approval::Verdict;

use crate::faults::server::Server;
use crate::room::Room;

/// Somebody who vouches for servers, with the file that says so.
struct Authority {
    file: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("there are no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let own = params.self_signed(&key).expect("it can be signed");
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, pem("CERTIFICATE", own.der())).expect("it can be written");
        Self { file, issuer: Issuer::new(params, key) }
    }

    /// Writes what a server called `localhost` needs.
    fn vouch(&self, folder: &Path) {
        let key = KeyPair::generate().expect("a key can be made");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("it is a name");
        let signed: Certificate = params.signed_by(&key, &self.issuer).expect("it can be signed");
        std::fs::write(folder.join("server.crt"), pem("CERTIFICATE", signed.der())).expect("it can be written");
        std::fs::write(folder.join("server.key"), pem("PRIVATE KEY", &key.serialize_der())).expect("it can be written");
    }
}

/// DER as text, as OpenSSL reads it.
fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

fn room(server: &Server, host: &str, root: &Path, backups: &Path) -> Room {
    let address: Url = server.url.parse().expect("it is an address");
    let port = address.port().expect("it has a port");
    let sections = format!(
        "databases: {{ shop: {{ host: {host}, port: {port}, name: postgres, user: vigie, tls: verify_full, \
         root_certificate: \"{}\", backups: \"{}\" }} }}\n",
        root.display(),
        backups.display()
    );
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let check = format!("sql: {{ database: shop, query: {query}, equals: true }}");
    Room::with_sections(&sections, "within: 30s\npostgres: { database: shop, backup: {} }", &check)
}

#[tokio::test]
async fn a_server_is_believed_that_shows_a_certificate_for_its_name_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (known, other) = (Authority::new(folder.path(), "known"), Authority::new(folder.path(), "other"));
    known.vouch(folder.path());
    let server = Server::up_with_certificate(folder.path());

    let good = room(&server, "localhost", &known.file, folder.path());
    let seen = good.looks().await;
    assert_eq!((seen.verdict, seen.value.to_string().as_str()), (Verdict::Pass, "true"), "{seen:?}");
    let ran = good.goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());

    let strange = room(&server, "localhost", &other.file, folder.path());
    let seen = strange.looks().await;
    assert_eq!((seen.verdict, seen.value.key.as_str()), (Verdict::Fail, "reason.certificate_issuer"), "{seen:?}");
    let refusal = strange.refusal().await;
    assert!(refusal.contains("reason.certificate_issuer"), "{refusal}");

    let seen = room(&server, "127.0.0.1", &known.file, folder.path()).looks().await;
    assert_eq!((seen.verdict, seen.value.key.as_str()), (Verdict::Fail, "reason.certificate_name"), "{seen:?}");
}
