//! The vendors' own descriptions between the providers and the simulators: a proxy (Prism) that refuses what a description
//! does not allow. `VIGIE_TEST_PRISM` names its program; `tests/run` installs it.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::traffic;
use crate::faults::skip;
use crate::platforms::Desk;
use crate::platforms::cloudflare::Cloudflare;
use crate::platforms::github::{Github, REPOSITORY};
use crate::platforms::netlify::{Netlify, SITE};
use crate::platforms::vercel::{DOMAIN, Vercel};
use crate::room::Room;

/// A running proxy.
struct Prism {
    child: Child,
    url: String,
}

impl Prism {
    /// Stands between `upstream` and whoever asks; `None` where there is no such program.
    async fn before(upstream: &str, vendor: &str) -> Option<Self> {
        let Some(program) = std::env::var_os("VIGIE_TEST_PRISM") else {
            skip("requests through a vendor's description: VIGIE_TEST_PRISM names no program");
            return None;
        };
        let description = format!("{}/tests/eyes/specs/{vendor}.json", env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("node")
            .arg(program)
            .args(["proxy", "--errors", "--host", "127.0.0.1", "--port", "0", &description, upstream])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.expect("its output can be read") {
                if let Some((_, url)) = line.split_once("listening on ") {
                    return url.trim().to_owned();
                }
            }
            panic!("prism ended before it listened");
        };
        let url = tokio::time::timeout(Duration::from_secs(120), listening).await.expect("prism listens in time");
        // What it says further is read away, or it would wait for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { child, url })
    }

    async fn ends(mut self) {
        self.child.kill().await.expect("it can be ended");
    }
}

#[tokio::test]
async fn vercel_takes_our_requests() {
    let desk = Desk::open(Vercel::new()).await;
    let Some(prism) = Prism::before(&desk.url, "vercel").await else { return };
    let base = format!(
        "project: prj_shop1, team: team_shop1, token: vercel-token-for-tests, domain: {DOMAIN}, base_url: \"{}\"",
        prism.url
    );
    for operation in ["rollback: {}", "promote: {}", "alias: { domains: [www.shop.example.com] }"] {
        let room = Room::with_step(&format!("within: 1m\nvercel: {{ {base}, {operation} }}"));
        let ran = room.goes().await;
        assert_eq!(ran.line(), "done", "{operation}: {}", ran.everything());
    }
    assert_eq!(desk.writes().len(), 3);
    prism.ends().await;
}

#[tokio::test]
async fn netlify_takes_our_requests() {
    let desk = Desk::open(Netlify::new()).await;
    let Some(prism) = Prism::before(&desk.url, "netlify").await else { return };
    let room = Room::with_step(&format!(
        "within: 1m\nnetlify: {{ site: {SITE}, token: netlify-token-for-tests, base_url: \"{}\", restore: {{}} }}",
        prism.url
    ));
    let ran = room.goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    prism.ends().await;
}

#[tokio::test]
async fn github_takes_our_requests() {
    let desk = Desk::open(Github::new()).await;
    let Some(prism) = Prism::before(&desk.url, "github").await else { return };
    let room = Room::with_step(&format!(
        "within: 1m\ngithub_workflow: {{ repository: {REPOSITORY}, workflow: rollback.yml, ref: main, \
         token: github-token-for-tests, base_url: \"{}\", mark_input: vigie_run }}",
        prism.url
    ));
    let ran = room.goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    prism.ends().await;
}

#[tokio::test]
async fn cloudflare_takes_our_requests() {
    let desk = Desk::open(Cloudflare::new()).await;
    let Some(prism) = Prism::before(&desk.url, "cloudflare").await else { return };
    let step = traffic::step(&prism.url, traffic::WAY, traffic::TOKEN);
    let ran = Room::with_step(&format!("within: 1m\n{step}")).goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    prism.ends().await;
}
