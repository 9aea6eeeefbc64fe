//! AWS's protocol against moto, a server that checks signatures and rights as AWS does: who signs, with which key, in which
//! region, and by what names it says no. Roll-outs are not its strength; those are played in `ecs`.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::faults::{skip, until};
use crate::room::Room;

/// A running server with an account: users `whole`, who may do everything, `nobody`, and `taker`, who may take on roles.
struct Moto {
    child: Child,
    python: std::ffi::OsString,
    url: String,
    keys: Value,
}

impl Moto {
    /// Nothing where Python has no moto.
    async fn open() -> Option<Self> {
        let Some(python) = std::env::var_os("VIGIE_TEST_PYTHON") else {
            skip("AWS's protocol: VIGIE_TEST_PYTHON names no Python");
            return None;
        };
        let has_moto = Command::new(&python).args(["-c", "import moto, flask_cors"]).output().await.expect("it starts");
        assert!(has_moto.status.success(), "moto is missing: {}", String::from_utf8_lossy(&has_moto.stderr));
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
            listener.local_addr().expect("it has an address").port()
        };
        let child = Command::new(&python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", "1000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("moto starts");
        until("moto listens", Duration::from_secs(120), async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        let mut moto = Self { child, python, url: format!("http://127.0.0.1:{port}"), keys: Value::Null };
        moto.keys = serde_json::from_str(&moto.script(&[]).await).expect("it prints JSON");
        Some(moto)
    }

    async fn script(&self, more: &[&str]) -> String {
        let script = format!("{}/tests/it/providers/moto.py", env!("CARGO_MANIFEST_DIR"));
        let ended = Command::new(&self.python).arg(script).arg(&self.url).args(more).output().await.expect("it starts");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8_lossy(&ended.stdout).trim().to_owned()
    }

    /// What the service in this region runs: `web:2`.
    async fn runs(&self, region: &str) -> String {
        self.script(&[region, &self.keys["whole"].to_string()]).await
    }

    fn step(&self, user: &str, region: &str, more: &str) -> String {
        let key = &self.keys[user];
        let (id, secret) = (key["id"].as_str().expect("an id"), key["secret"].as_str().expect("a secret"));
        format!(
            "within: 3s\necs: {{ region: {region}, cluster: shop, service: web, keys: {{ id: {id}, secret: \"{secret}\" }}, \
             endpoint: \"{url}\", sts_endpoint: \"{url}\", settle: 100ms, {more} }}",
            url = self.url
        )
    }

    fn room(&self, user: &str, region: &str, more: &str) -> Room {
        Room::with_step(&self.step(user, region, more))
    }

    async fn ends(mut self) {
        self.child.kill().await.expect("it can be ended");
    }
}

/// A1 · signed, understood and carried out, in each region for itself.
#[tokio::test]
async fn our_requests_are_signed_understood_and_carried_out_in_each_region() {
    let Some(moto) = Moto::open().await else { return };
    for (region, from, to) in [("eu-west-3", "web:2", "web:1"), ("us-east-1", "web:3", "web:2")] {
        assert_eq!(moto.runs(region).await, from);
        let room = moto.room("whole", region, "back: {}");
        let plan = room.planned().await;
        assert_eq!((plan.steps[0].from.as_deref(), plan.steps[0].to.as_str()), (Some(from), to));
        let ran = room.run(&plan).await;
        // This server takes the order and begins no deployment: its yes is not believed.
        assert!(ran.line().contains("step.still_at"), "{}", ran.everything());
        assert_eq!(moto.runs(region).await, to);
    }
    moto.ends().await;
}

/// A1 · a role is taken on by whoever may do nothing else, and its own key signs.
#[tokio::test]
async fn an_assumed_role_signs_with_its_own_key() {
    let Some(moto) = Moto::open().await else { return };
    let bare = moto.room("taker", "eu-west-3", "back: {}").refusal().await;
    assert!(bare.contains("ecs.denied"), "{bare}");
    let role = "back: {}, role: { arn: \"arn:aws:iam::123456789012:role/vigie\", external_id: shop }";
    let room = moto.room("taker", "eu-west-3", role);
    let step = room.planned().await.steps.remove(0);
    // The same names may stand for another service in another account.
    assert_eq!((step.to.as_str(), step.target.as_str()), ("web:1", "web (shop, eu-west-3, 123456789012)"));
    assert!(step.locks()[0].contains("123456789012"), "{:?}", step.locks());
    // The role trusts one user only.
    let refusal = moto.room("nobody", "eu-west-3", role).refusal().await;
    assert!(refusal.contains("ecs.no_role") && refusal.contains("role/vigie"), "{refusal}");
    moto.ends().await;
}

/// A1 · by the names that AWS has for it.
#[tokio::test]
async fn a_wrong_key_and_what_is_not_there_are_refused_by_name() {
    let Some(moto) = Moto::open().await else { return };
    let step = moto.step("whole", "eu-west-3", "back: {}");
    let secret = moto.keys["whole"]["secret"].as_str().expect("a secret");
    let id = moto.keys["whole"]["id"].as_str().expect("an id");
    for (from, to, wanted) in [
        (secret, "another-secret-for-tests", "ecs.unknown_us"),
        (id, "AKIAUNKNOWN", "ecs.unknown_us"),
        ("cluster: shop", "cluster: shed", "ClusterNotFoundException"),
        ("service: web", "service: wob", "ecs.absent"),
        ("back: {}", "back: { to: \"web:77\" }", "Unable to describe task definition"),
        ("eu-west-3", "eu-north-1", "ClusterNotFoundException"),
    ] {
        let refusal = Room::with_step(&step.replace(from, to)).refusal().await;
        assert!(refusal.contains(wanted), "{to}: {refusal}");
        assert!(!refusal.contains(secret) && !refusal.contains("another-secret"), "{refusal}");
    }
    let refusal = moto.room("nobody", "eu-west-3", "back: {}").refusal().await;
    assert!(refusal.contains("ecs.denied"), "{refusal}");
    moto.ends().await;
}
