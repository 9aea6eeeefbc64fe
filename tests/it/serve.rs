//! `vigie serve`: the program itself, in a workspace that the test opens, by Socket Mode and by signed HTTP.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::json;
use sha2::Sha256;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use vigie::app::practice::MANIFEST;
use vigie::clock::Clock;
use vigie::practice::{Delivery, NewChannel, NewPerson, Practice, PracticeOptions, Trouble, Workspace};
use vigie::store::Store;

use crate::bot::{Bot, PATIENCE};
use crate::database::{Database, Kind};
use crate::faults::until;
use crate::providers::git::Remote;
use crate::world::{shown, ts};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A workspace, and a folder with a configuration of its team.
struct Site {
    practice: Practice,
    folder: TempDir,
}

impl Site {
    async fn open() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let clock = Clock::system();
        let mut options = PracticeOptions::new(MANIFEST, Arc::new(move || clock.now().0));
        let people = [("U0ONCALL", "oncall"), ("U0LEAD", "lead")];
        options.people = people.map(|(id, handle)| NewPerson::new(id, handle, handle)).to_vec();
        let channel = |id: &str, name: &str| NewChannel {
            id: id.to_owned(),
            name: name.to_owned(),
            is_private: false,
            members: people.map(|(id, _)| id.to_owned()).to_vec(),
            with_bot: true,
        };
        options.channels = vec![channel("C0GENERAL", "general"), channel("C0INCIDENTS", "incidents")];
        let practice = Practice::start(options).await.expect("a free port");
        let site = Self { practice, folder: tempfile::tempdir().expect("a folder") };
        let written = Command::new(env!("CARGO_BIN_EXE_vigie")).arg("init").current_dir(site.path()).output().await;
        assert!(written.expect("the program runs").status.success());
        let config = std::fs::read_to_string(site.path().join("vigie.yml")).expect("vigie init wrote it");
        let ours = config.replace("ID-OF-ON-CALL", "U0ONCALL").replace("ID-OF-LEAD", "U0LEAD");
        let ours = ours.replace("ID-OF-THE-CHANNEL", "C0INCIDENTS");
        std::fs::write(site.path().join("vigie.yml"), ours).expect("the folder can be written to");
        site
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ws(&self) -> &Workspace {
        self.practice.workspace()
    }

    /// What is needed for Socket Mode, with changes: an empty value leaves a variable out.
    fn by_socket(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let usual = [
            ("SLACK_API_URL", self.practice.api_url()),
            ("SLACK_BOT_TOKEN", self.practice.bot_token()),
            ("SLACK_APP_TOKEN", self.practice.app_token()),
        ];
        changed(&usual, changes)
    }

    /// The same for requests by HTTP.
    fn by_http(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let usual = [
            ("SLACK_API_URL", self.practice.api_url()),
            ("SLACK_BOT_TOKEN", self.practice.bot_token()),
            ("SLACK_SIGNING_SECRET", self.practice.signing_secret()),
        ];
        changed(&usual, changes)
    }

    fn command(&self, variables: &[(String, String)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(self.path()).env_clear();
        command.envs(variables.iter().cloned()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Starts the program and waits until it listens.
    async fn serve(&self, variables: &[(String, String)]) -> Bot {
        let mut bot = Bot::begin(self.command(variables));
        bot.listens().await;
        bot
    }

    /// Runs a program that is to refuse; gives its last words.
    async fn refuses(&self, variables: &[(String, String)]) -> String {
        let output = tokio::time::timeout(PATIENCE, self.command(variables).output());
        let output = output.await.expect("it ends by itself").expect("the program runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        self.keeps_its_secrets(variables, &output);
        String::from_utf8(output.stderr).expect("sentences are UTF-8")
    }

    fn keeps_its_secrets(&self, variables: &[(String, String)], output: &Output) {
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let said = String::from_utf8_lossy(&said);
        let secret = |name: &str| name.ends_with("TOKEN") || name.ends_with("SECRET");
        for (name, value) in variables.iter().filter(|(name, _)| secret(name)) {
            assert!(!said.contains(value.as_str()), "{name} is printed: {said}");
        }
    }
}

fn changed(usual: &[(&str, &str)], changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let kept = usual.iter().filter(|(name, _)| changes.iter().all(|(other, _)| other != name));
    let set = changes.iter().filter(|(_, value)| !value.is_empty());
    kept.chain(set).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Starts an incident by command and answers its page by button.
async fn an_incident_works_end_to_end(site: &Site) {
    let (ws, oncall) = (site.ws(), site.ws().person("U0ONCALL"));
    let ack = oncall.command("C0GENERAL", "/incident", "start checkout returns 500").await;
    assert_eq!(ack.failure, None);
    assert!(ack.text().is_some_and(|text| text.contains("being declared")), "{ack:?}");
    let opened = |ws: &Workspace| ws.channel_id("inc-1-checkout-returns-500");
    let channel = ws.wait_for(opened).await.expect("the channel opens");
    ws.wait_for(|ws| (!ws.pins(&channel).is_empty()).then_some(())).await.expect("the card is pinned");
    let dm = oncall.open_dm(&ws.app().bot_user);
    let page = ws.wait_for(|ws| ws.messages(&dm).pop()).await.expect("the page comes");
    assert!(shown(&page).contains("you are paged (level 1 of 2)"), "{}", shown(&page));
    let acted = oncall.click(&dm, &ts(&page), "ack").await.expect("it has a button");
    assert_eq!(acted.failure, None);
    let answered = |ws: &Workspace| shown(&ws.messages(&dm).pop()?).contains("You answered").then_some(());
    ws.wait_for(answered).await.expect("the page is answered");
}

async fn captures_by_pin(site: &Site, bot: &Bot) {
    let (ws, lead) = (site.ws(), site.ws().person("U0LEAD"));
    let channel = ws.channel_id("inc-1-checkout-returns-500").expect("the channel is open");
    lead.join(&channel).expect("it is open to all");
    let said = lead.say(&channel, "the deploy was at two").expect("the lead speaks");
    lead.react(&channel, &said, "pushpin").expect("a reaction");
    let read = |ws: &Workspace| (!ws.calls_of("conversations.replies").is_empty()).then_some(());
    ws.wait_for(read).await.expect("the message is read");
    let ack = lead.command(&channel, "/incident", "timeline").await;
    assert_eq!(ack.failure, None);
    let kept = |ws: &Workspace| {
        ws.ephemerals("U0LEAD").iter().any(|told| shown(told).contains("the deploy was at two")).then_some(())
    };
    ws.wait_for(kept).await.unwrap_or_else(|why| panic!("{why:?} {:#?}", bot.said()));
}

#[tokio::test]
async fn by_socket_mode_an_incident_works_end_to_end_and_a_restart_loses_nothing() {
    let site = Site::open().await;
    let variables = site.by_socket(&[]);
    let bot = site.serve(&variables).await;
    let ready = bot.becomes(StatusCode::OK).await;
    assert_eq!(ready, json!({"database": "ok", "slack": "ok", "engine": "ok"}));
    an_incident_works_end_to_end(&site).await;
    captures_by_pin(&site, &bot).await;
    assert_eq!(bot.get("/healthz").await, (StatusCode::OK, "alive\n".to_owned()));
    let (status, figures) = bot.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for figure in ["vigie_slack_calls_total{method=\"chat.postMessage\",outcome=\"ok\"}", "vigie_inbox_waiting 0"] {
        assert!(figures.contains(figure), "{figure} is not in\n{figures}");
    }
    assert!(site.path().join("vigie.db").exists(), "the database is where it is said to be by default");
    let (status, _) = bot.get("/slack/commands").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "there is no second door");
    let log = bot.stop().await;
    for (name, secret) in variables.iter().filter(|(name, _)| name.ends_with("TOKEN")) {
        assert!(!log.contains(secret.as_str()), "{name} is logged");
    }

    let bot = site.serve(&variables).await;
    bot.becomes(StatusCode::OK).await;
    let lead = site.ws().person("U0LEAD");
    let ack = lead.command("C0GENERAL", "/incident", "list").await;
    assert_eq!(ack.failure, None);
    let listed = |ws: &Workspace| {
        ws.ephemerals("U0LEAD").iter().any(|told| shown(told).contains("checkout returns 500")).then_some(())
    };
    site.ws().wait_for(listed).await.expect("the incident is still known");
    bot.stop().await;
    assert_eq!(site.ws().violations(), []);
}

/// G1 · a whole repository does not fit into the time of a plan, so it is there before the first one is made.
#[tokio::test]
async fn the_mirrors_of_git_are_fetched_when_the_program_starts() {
    let (site, remote) = (Site::open().await, Remote::open());
    let config = std::fs::read_to_string(site.path().join("vigie.yml")).expect("it can be read");
    let (bare, mirror) = (remote.bare(), remote.mirror());
    let check = format!(
        "services:\n  shop:\n    title: Shop\n    checks:\n      - key: last-commits\n        git: {{ repository: \"{}\", mirror: \
         \"{}\", branch: main }}\n",
        bare.display(),
        mirror.display()
    );
    std::fs::write(site.path().join("vigie.yml"), format!("{config}\n{check}")).expect("it can be written");
    let bot = site.serve(&site.by_socket(&[("PATH", "/usr/local/bin:/usr/bin:/bin")])).await;
    let head = remote.at("main");
    let fetched = || std::fs::read_to_string(mirror.join("refs/heads/main")).is_ok_and(|at| at.trim() == head);
    until("the mirror is fetched", PATIENCE, async || fetched().then_some(())).await;
    bot.stop().await;
}

#[tokio::test]
async fn by_http_an_incident_works_end_to_end() {
    let site = Site::open().await;
    let bot = site.serve(&site.by_http(&[])).await;
    assert!(site.ws().verify_url(&bot.address).await, "Slack's challenge is answered");
    assert!(site.ws().check_ssl(&bot.address).await, "Slack's certificate probe is answered");
    site.ws().set_delivery(Delivery::Http { base_url: bot.address.clone() }).expect("a loopback address");
    bot.becomes(StatusCode::OK).await;
    an_incident_works_end_to_end(&site).await;
    captures_by_pin(&site, &bot).await;
    assert_eq!(site.ws().open_sockets(), 0, "no socket is opened");
    bot.stop().await;
    assert_eq!(site.ws().violations(), []);
}

#[tokio::test]
async fn by_http_it_is_said_that_slack_does_not_call_and_no_balancer_keeps_slack_away() {
    let site = Site::open().await;
    let config = std::fs::read_to_string(site.path().join("vigie.yml")).expect("it can be read");
    let watched = format!("{config}\nwatch:\n  canary: C0GENERAL\n");
    std::fs::write(site.path().join("vigie.yml"), watched).expect("it can be written");
    let bot = site.serve(&site.by_http(&[])).await;
    bot.becomes(StatusCode::OK).await;
    // Slack takes what Vigie says, and has no address to bring anything to.
    let is_silent = async || {
        let (status, why) = bot.get("/readyz").await;
        assert_eq!(status, StatusCode::OK, "{why}");
        why.contains("Slack has been silent").then_some(())
    };
    until("it is said", 3 * PATIENCE, is_silent).await;
    bot.stop().await;
}

fn signature(secret: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

async fn knocks(bot: &Bot, path: &str, secret: &str, age_s: i64, body: &str) -> (StatusCode, String) {
    let timestamp = Clock::system().now().0 / 1000 - age_s;
    let request = bot.client.post(format!("{}{path}", bot.address));
    let request = request.header("x-slack-request-timestamp", timestamp.to_string());
    let request = request.header("x-slack-signature", signature(secret, timestamp, body));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
    let answer = request.send().await.expect("the door answers");
    (answer.status(), answer.text().await.expect("a text"))
}

#[tokio::test]
async fn the_http_doors_open_to_what_slack_signed_and_to_nobody_else() {
    let site = Site::open().await;
    let bot = site.serve(&site.by_http(&[("SLACK_SIGNING_SECRET", SECRET)])).await;
    let command =
        "command=%2Fincident&text=start+checkout+returns+500&user_id=U0LEAD&channel_id=C0GENERAL&trigger_id=1.1.a";
    let click = format!(
        "payload={}",
        url::form_urlencoded::byte_serialize(
            json!({"type": "block_actions", "user": {"id": "U0LEAD"}, "trigger_id": "1.1.b", "actions": []})
                .to_string()
                .as_bytes()
        )
        .collect::<String>()
    );
    let event = json!({"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_home_opened"}}).to_string();
    let doors = [("/slack/commands", command), ("/slack/interactions", &click), ("/slack/events", &event)];
    for (path, body) in doors {
        for (secret, age) in [("somebody else's", 0), (SECRET, 400), (SECRET, -400)] {
            assert_eq!(knocks(&bot, path, secret, age, body).await.0, StatusCode::UNAUTHORIZED, "{path} {age}");
        }
        let unsigned = bot.client.post(format!("{}{path}", bot.address)).body(body.to_owned()).send().await;
        assert_eq!(unsigned.expect("the door answers").status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(site.ws().channel_id("inc-1-checkout-returns-500"), None);
    let (status, answer) = knocks(&bot, "/slack/commands", SECRET, 0, command).await;
    assert!(status.is_success() && answer.contains("being declared"), "{status} {answer}");
    let opened = |ws: &Workspace| ws.channel_id("inc-1-checkout-returns-500");
    site.ws().wait_for(opened).await.expect("the channel opens");
    for (path, body) in &doors[1..] {
        assert_eq!(knocks(&bot, path, SECRET, 0, body).await.0, StatusCode::OK, "{path}");
    }
    let challenge = json!({"type": "url_verification", "challenge": "3eZbrw1aB"}).to_string();
    assert_eq!(knocks(&bot, "/slack/events", SECRET, 0, &challenge).await, (StatusCode::OK, "3eZbrw1aB".to_owned()));
    let log = bot.stop().await;
    assert!(!log.contains(SECRET));
}

#[tokio::test]
async fn by_socket_mode_it_is_ready_only_while_slack_is_reached_and_alive_all_the_time() {
    let site = Site::open().await;
    let bot = starts_without_slack(&site, &site.by_socket(&[])).await;
    // It is ready with the first connection; the second one, still on its way, would outlive the others.
    site.ws().wait_for(|ws| (ws.open_sockets() == 2).then_some(())).await.expect("both connections are open");
    site.ws().faults().until_cleared("*", Trouble::ServerError);
    site.ws().abort_sockets();
    let parts = bot.becomes(StatusCode::SERVICE_UNAVAILABLE).await;
    assert_ne!(parts["slack"], "ok", "{parts}");
    site.ws().faults().clear();
    bot.becomes(StatusCode::OK).await;
    site.practice.shutdown();
    bot.becomes(StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(bot.get("/healthz").await.0, StatusCode::OK);
    bot.stop().await;
}

#[tokio::test]
async fn by_http_slacks_calls_are_taken_and_no_balancer_keeps_them_away_while_slack_answers_none() {
    let site = Site::open().await;
    let bot = starts_without_slack(&site, &site.by_http(&[])).await;
    site.ws().set_delivery(Delivery::Http { base_url: bot.address.clone() }).expect("a loopback address");
    let lead = site.ws().person("U0LEAD");
    for (trouble, said) in [
        (Trouble::ServerError, "HTTP 500"),
        (Trouble::RateLimited { retry_after_s: 2 }, "Slack takes no more calls"),
        (Trouble::Slow(3 * PATIENCE), "does not answer"),
    ] {
        site.ws().faults().until_cleared("*", trouble);
        let told = async || {
            let (status, parts) = bot.readiness().await;
            assert_eq!(status, StatusCode::OK, "{parts}");
            parts["slack"].as_str().is_some_and(|slack| slack.contains(said)).then_some(())
        };
        until(said, PATIENCE, told).await;
        let ack = lead.command("C0GENERAL", "/incident", "list").await;
        assert_eq!(ack.failure, None);
        site.ws().faults().clear();
        let good = async || (bot.readiness().await.1["slack"] == "ok").then_some(());
        until("Slack is well again", PATIENCE, good).await;
    }
    site.ws().faults().until_cleared("auth.test", Trouble::Error("token_revoked".to_owned()));
    let parts = bot.becomes(StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(parts["slack"].as_str().is_some_and(|slack| slack.contains("SLACK_BOT_TOKEN")), "{parts}");
    bot.stop().await;
}

/// A bot that is not ready when it starts while Slack is away, waits, and is ready once Slack was reached.
async fn starts_without_slack(site: &Site, variables: &[(String, String)]) -> Bot {
    site.ws().faults().until_cleared("*", Trouble::ServerError);
    let bot = site.serve(variables).await;
    let (status, parts) = bot.readiness().await;
    assert_eq!((status, &parts["database"]), (StatusCode::SERVICE_UNAVAILABLE, &"ok".into()), "{parts}");
    assert_ne!(parts["slack"], "ok", "{parts}");
    assert_eq!(bot.get("/healthz").await.0, StatusCode::OK, "it is alive and waits");
    site.ws().faults().clear();
    bot.becomes(StatusCode::OK).await;
    bot
}

#[tokio::test]
async fn a_bot_that_does_nothing_on_a_restored_database_is_not_ready() {
    let (site, database) = (Site::open().await, Database::of(Kind::Postgres).await);
    let store = Store::open(&database.url).await.expect("several share this database");
    store.set_number("paused", 1).await.expect("it takes a number");
    let bot = site.serve(&site.by_socket(&[("DATABASE_URL", &database.url)])).await;
    let parts = bot.becomes(StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(parts["engine"].as_str().unwrap_or_default().contains("vigie resume"), "{parts}");
    store.resume().await.expect("it goes on");
    bot.becomes(StatusCode::OK).await;
    bot.stop().await;
}

#[tokio::test]
async fn a_process_that_a_newer_release_has_taken_over_from_says_that_it_can_be_stopped() {
    let (site, database) = (Site::open().await, Database::of(Kind::Postgres).await);
    let bot = site.serve(&site.by_socket(&[("DATABASE_URL", &database.url)])).await;
    bot.becomes(StatusCode::OK).await;
    let newer = Store::open(&database.url).await.expect("several share this database");
    newer.set_number("release", 1_000).await.expect("it takes a number");
    let parts = bot.becomes(StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(parts["engine"].as_str().unwrap_or_default().contains("newer vigie"), "{parts}");
    bot.stop().await;
}

#[tokio::test]
async fn wrong_tokens_are_told_at_the_start_each_in_one_sentence_with_its_cure() {
    let site = Site::open().await;
    let (bot, app) = (site.practice.bot_token(), site.practice.app_token());
    let copy_bot = "copy “Bot User OAuth Token” from the app's page “OAuth & Permissions”";
    let make_app = "make an app-level token with connections:write on the app's page “Basic Information”";
    let cases: Vec<(Vec<(String, String)>, String)> = vec![
        (site.by_socket(&[("SLACK_BOT_TOKEN", "")]), format!("environment: SLACK_BOT_TOKEN is not set · {copy_bot}")),
        (
            site.by_socket(&[("SLACK_BOT_TOKEN", app)]),
            format!("environment: SLACK_BOT_TOKEN does not begin with xoxb- · {copy_bot}"),
        ),
        (
            site.by_socket(&[("SLACK_APP_TOKEN", bot)]),
            format!("environment: SLACK_APP_TOKEN does not begin with xapp- · {make_app}"),
        ),
        (
            site.by_socket(&[("SLACK_APP_TOKEN", "")]),
            format!(
                "environment: neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET is set, so Slack cannot reach Vigie · \
                 for Socket Mode {make_app}; for requests over HTTPS copy “Signing Secret” from the app's page “Basic \
                 Information”"
            ),
        ),
        (
            site.by_http(&[("SLACK_SIGNING_SECRET", "hunter2-hunter2-hunter2")]),
            "environment: SLACK_SIGNING_SECRET is not a signing secret · copy “Signing Secret” from the app's page “Basic \
             Information”"
                .to_owned(),
        ),
        (
            site.by_socket(&[("SLACK_API_URL", "http://slack.example.com/api")]),
            "environment: SLACK_API_URL would send the token in the clear · begin it with https://".to_owned(),
        ),
    ];
    for (variables, sentence) in cases {
        let told = site.refuses(&variables).await;
        assert_eq!(told, format!("vigie: this cannot run yet\n{sentence}\n"));
    }

    // What only Slack knows is asked before anything else is done.
    let wrong = "is wrong or no longer valid; put the app's present token there.";
    let asked: Vec<(Vec<(String, String)>, String)> = vec![
        (
            site.by_socket(&[("SLACK_BOT_TOKEN", "xoxb-hunter2")]),
            format!("Slack refused auth.test (invalid_auth): SLACK_BOT_TOKEN {wrong}"),
        ),
        (
            site.by_http(&[("SLACK_BOT_TOKEN", "xoxb-hunter2")]),
            format!("Slack refused auth.test (invalid_auth): SLACK_BOT_TOKEN {wrong}"),
        ),
        (
            site.by_socket(&[("SLACK_APP_TOKEN", "xapp-hunter2")]),
            format!("Slack refused apps.connections.open (invalid_auth): SLACK_APP_TOKEN {wrong}"),
        ),
        (
            site.by_socket(&[("SLACK_API_URL", &format!("http://{}/nowhere", site.practice.address()))]),
            "The server behind SLACK_API_URL answered auth.test with HTTP 404; check that it is Slack's address."
                .to_owned(),
        ),
    ];
    for (variables, sentence) in asked {
        let told = site.refuses(&variables).await;
        assert_eq!(told, format!("vigie: Slack does not let Vigie in: {sentence}\n"));
    }
    assert!(!site.path().join("vigie.db").exists(), "nothing was begun");
}

#[tokio::test]
async fn credentials_may_stand_in_files() {
    let site = Site::open().await;
    let file = |name: &str, text: &str| {
        std::fs::write(site.path().join(name), format!("{text}\n")).expect("the folder can be written to");
    };
    file("bot", site.practice.bot_token());
    file("app", site.practice.app_token());
    file("secret", site.practice.signing_secret());
    file("database", "sqlite://elsewhere.db");
    let none = ("SLACK_BOT_TOKEN", "");
    let files = [none, ("SLACK_BOT_TOKEN_FILE", "bot"), ("DATABASE_URL_FILE", "database")];
    let socket = [files.as_slice(), &[("SLACK_APP_TOKEN", ""), ("SLACK_APP_TOKEN_FILE", "app")]].concat();
    let bot = site.serve(&site.by_socket(&socket)).await;
    bot.becomes(StatusCode::OK).await;
    bot.stop().await;
    let http = [files.as_slice(), &[("SLACK_SIGNING_SECRET", ""), ("SLACK_SIGNING_SECRET_FILE", "secret")]].concat();
    let bot = site.serve(&site.by_http(&http)).await;
    assert!(site.ws().verify_url(&bot.address).await);
    bot.stop().await;
    assert!(site.path().join("elsewhere.db").exists() && !site.path().join("vigie.db").exists());

    let told = site.refuses(&site.by_socket(&[none, ("SLACK_BOT_TOKEN_FILE", "nowhere")])).await;
    assert!(told.contains("environment: SLACK_BOT_TOKEN_FILE: “nowhere” cannot be read: "), "{told}");
    assert!(told.contains(" · check the path and who may read it\n"), "{told}");
    assert_eq!(told.lines().count(), 2, "one fault is one sentence: {told}");
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_told_with_its_cure() {
    let site = Site::open().await;
    std::fs::write(site.path().join("notes.txt"), "these are notes, and no database\n".repeat(200)).expect("written");
    let known = "Use sqlite://vigie.db or postgres://user@host/database";
    let cure = "Check the path in DATABASE_URL and who may write there";
    for (url, begins, ends) in [
        (
            "mysql://vigie:hunter2@db.example.com/vigie",
            "vigie: DATABASE_URL “mysql:…” is not understood: “mysql” is no database that this version knows. ",
            known,
        ),
        ("vigie.db", "vigie: DATABASE_URL “…” is not understood: it does not say which database. ", known),
        ("sqlite://nowhere/vigie.db", "vigie: the database nowhere/vigie.db cannot be opened: No such file", cure),
        ("sqlite://notes.txt", "vigie: the database notes.txt cannot be opened: ", cure),
    ] {
        let told = site.refuses(&site.by_socket(&[("DATABASE_URL", url)])).await;
        assert!(told.starts_with(begins) && told.trim_end().ends_with(ends), "{told}");
        assert!(!told.contains("hunter2") && told.lines().count() == 1, "{told}");
    }
    let notes = std::fs::read_to_string(site.path().join("notes.txt")).expect("it is still there");
    assert!(notes.starts_with("these are notes"), "what is no database is left alone");
}

#[tokio::test]
async fn a_second_process_on_the_same_database_or_port_refuses_with_a_sentence() {
    let site = Site::open().await;
    let variables = site.by_socket(&[]);
    let bot = site.serve(&variables).await;
    let told = site.refuses(&variables).await;
    assert_eq!(
        told,
        "vigie: vigie.db is in use by another vigie process. Stop that one, or give this one another DATABASE_URL\n"
    );
    let address = bot.address.trim_start_matches("http://").to_owned();
    let output = Command::new(env!("CARGO_BIN_EXE_vigie"))
        .args(["serve", "--listen", &address])
        .current_dir(site.path())
        .env_clear()
        .envs(site.by_socket(&[("DATABASE_URL", "sqlite://other.db")]))
        .output();
    let output = output.await.expect("the program runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.starts_with(&format!("vigie: {address} cannot be listened on: ")), "{told}");
    assert!(told.contains("Is something else using it? Give another with --listen"), "{told}");
    an_incident_works_end_to_end(&site).await;
    bot.stop().await;
    let bot = site.serve(&variables).await;
    bot.becomes(StatusCode::OK).await;
    bot.stop().await;
}

#[tokio::test]
async fn sigterm_ends_it_in_good_order_even_while_somebody_is_still_asking() {
    let site = Site::open().await;
    let bot = site.serve(&site.by_socket(&[])).await;
    bot.becomes(StatusCode::OK).await;
    let mut asking =
        tokio::net::TcpStream::connect(bot.address.trim_start_matches("http://")).await.expect("it listens");
    asking.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-half: ").await.expect("half a question");
    an_incident_works_end_to_end(&site).await;
    bot.stop().await;
    let closed = |ws: &Workspace| (ws.open_sockets() == 0).then_some(());
    site.ws().wait_for(closed).await.expect("its sockets are closed");
    assert_eq!(site.ws().violations(), []);
}
