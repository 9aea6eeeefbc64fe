//! Slack's own Python libraries against the practice workspace: `tests/eyes/bolt_app.py` is the app, this plays the people.
//!
//! Takes the interpreter (with slack_bolt and slack_sdk) from `VIGIE_TEST_PYTHON`.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use vigie::practice::{Practice, SubmitOutcome, Workspace};

use crate::practice::app::{HandClock, options, real_clock};

struct BoltApp {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl BoltApp {
    async fn start(practice: &Practice) -> Self {
        let python = std::env::var_os("VIGIE_TEST_PYTHON").expect(
            "set VIGIE_TEST_PYTHON to a Python interpreter that has slack_bolt and slack_sdk, to test with Slack's own clients",
        );
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/eyes/bolt_app.py");
        let mut child = Command::new(python)
            .arg(script)
            .env("SLACK_API_URL", practice.api_url())
            .env("SLACK_BOT_TOKEN", practice.bot_token())
            .env("SLACK_APP_TOKEN", practice.app_token())
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("VIGIE_TEST_PYTHON names a program that starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut app = Self { child, lines: BufReader::new(stdout).lines() };
        assert_eq!(app.line().await.as_deref(), Some("listening"));
        app
    }

    async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.expect("its output can be read")
    }

    /// Ends the app and gives everything it complained about.
    async fn complaints(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let mut all = Vec::new();
        while let Some(line) = self.line().await {
            all.push(line);
        }
        all
    }
}

async fn modal_of(ws: &Workspace, user: &str) -> String {
    let view = ws.wait_for(|ws| ws.top_view(user)).await.expect("the app opens a modal");
    view["id"].as_str().expect("a view has an id").to_owned()
}

fn card(ws: &Workspace) -> Option<Value> {
    ws.messages("inc-1-checkout").into_iter().find(|message| message["metadata"]["event_type"] == "card")
}

#[tokio::test]
async fn bolt_declares_acknowledges_and_answers() {
    let mut options = options(&HandClock::new());
    // Slack's client ends its sockets by real time, so this world has real time too.
    options.now = real_clock();
    let practice = Practice::start(options).await.expect("the workspace opens");
    let ws = practice.workspace();
    let app = BoltApp::start(&practice).await;
    let lead = ws.person("U0LEAD");

    let ack = lead.command("ops", "/incident", "start sev2 checkout").await;
    assert_eq!((ack.failure.as_deref(), ack.text()), (None, Some("Opening the form")));
    let view = modal_of(ws, "U0LEAD").await;
    let refused = lead.submit(&view, json!({"Title": "500"})).await.expect("an outcome");
    assert!(
        matches!(&refused, SubmitOutcome::Errors(errors) if errors["title"] == "Say a little more."),
        "{refused:?}"
    );
    let closed = lead.submit(&view, json!({"Title": "checkout returns 500"})).await;
    assert_eq!(closed, Ok(SubmitOutcome::Closed));

    ws.wait_for(|ws| ws.home("U0LEAD")).await.expect("the app publishes a Home at the end");
    let found = card(ws).expect("the card was posted");
    let ts = found["ts"].as_str().expect("a message has a ts").to_owned();
    assert_eq!(ws.pins("inc-1-checkout").len(), 1);
    assert_eq!(found["reactions"][0]["name"], "fire");
    assert_eq!(ws.bookmarks("inc-1-checkout")[0]["link"], "https://example.com/runbook");
    assert_eq!(ws.files().first().map(|file| file.bytes.clone()), Some(b"14:02 declared\n".to_vec()));
    assert!(ws.members("inc-1-checkout").contains(&"U0LEAD".to_owned()));

    let clicked = lead.click("inc-1-checkout", &ts, "Acknowledge").await.expect("the button is there");
    assert_eq!(clicked.failure, None);
    ws.wait_for(|ws| (ws.thread("inc-1-checkout", &ts).len() == 2).then_some(())).await.expect("the app replies");
    assert_eq!(card(ws).map(|card| card["text"].clone()), Some(json!("Acknowledged by <@U0LEAD>")));
    let thanks = |ws: &Workspace| ws.ephemerals("U0LEAD").into_iter().find(|message| message["text"] == "Thank you");
    ws.wait_for(thanks).await.expect("the response_url works");

    let said = lead.say("ops", "@vigie are you there?").expect("said");
    ws.wait_for(|ws| (ws.thread("ops", &said).len() == 2).then_some(())).await.expect("the app answers a mention");
    lead.open_home().expect("there is a Home tab");
    let violations = ws.violations();
    assert!(violations.is_empty(), "{violations:?}");
    assert_eq!(app.complaints().await, Vec::<String>::new());
}
