//! Kubernetes, in a control plane of its own: from the click that approves a roll-back to the first change that reaches the
//! API server, and a whole roll-back through the bot beside `kubectl rollout undo && kubectl rollout status`.
//!
//! Both run on the same cluster in turn, on Deployments that are alike. The bot's time begins with the click and ends
//! when the step's end is kept; between them it also tells the channel, waits until the workspace has taken that, and
//! writes its journal.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant as Moment};

use serde_json::{Value, json};
use tokio::process::Command;
use vigie::app::practice::CONFIG;
use vigie::clock::Clock;
use vigie::incident::id::{IncidentId, RunId};
use vigie::incident::timeline::{Entry, Fact};
use vigie::store::Store;

use crate::bot::Bot;
use crate::clock::pass;
use crate::database::{self, Database};
use crate::floor;
use crate::table::{Row, Table};
use crate::team::{GENERAL, Team};

/// Roll-backs whose first change is waited for, in turn in so many places: while the cards of one wait for the fifty edits a
/// minute that Slack takes, the lead of the next one clicks.
const WRITES: u32 = 120;
const PLACES: u32 = 4;
/// Clicks for the workspace's own part.
const OWN: u32 = 40;
/// Whole roll-backs of each.
const UNDOS: u32 = 15;
const PODS: u32 = 3;
/// How long whoever approves reads.
const READING: Duration = Duration::from_millis(1_500);
/// Nothing takes longer, unless it never ends.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn first_write(table: &mut Table) {
    let mut places = Vec::new();
    for number in 1..=PLACES {
        let Some(place) = Place::open(&format!("first-write-{number}")).await else { return };
        places.push(place);
    }
    let mut took = Vec::new();
    for number in 1..=WRITES / PLACES {
        for place in &places {
            let (clicked, run) = place.approves(number).await;
            place.step_ended(run).await;
            let written = place.written(run);
            took.push(Duration::from_millis(u64::try_from(written - clicked).expect("the change follows the click")));
        }
    }
    for place in places {
        place.close().await;
    }
    let figure = "click to first change in the cluster".to_owned();
    let besides = "the workspace's own time is in it".to_owned();
    let vigie = Row { figure: figure.clone(), bot: "Vigie".into(), took, besides };
    let (bot, besides) = ("acknowledges, tells the channel, changes nothing".to_owned(), String::new());
    table.add(Row { figure, bot, took: workspaces_own().await, besides });
    table.add(vigie);
}

/// What the workspace takes for itself: from the click, through its acknowledgement, until the message that the channel gets
/// before anything is changed is posted.
async fn workspaces_own() -> Vec<Duration> {
    let team = Team::open().await;
    let mut client = floor::Client::connect(&team).await;
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let post = async |body: Value| {
        let call =
            http.post(format!("{}/chat.postMessage", team.practice.api_url())).bearer_auth(team.practice.bot_token());
        let answer: Value = call.json(&body).send().await.expect("an answer").json().await.expect("JSON");
        assert_eq!(answer["ok"], true, "{answer}");
        text(&answer, "ts")
    };
    let button = json!({"type": "button", "text": {"type": "plain_text", "text": "Approve"}, "action_id": "approve"});
    let card = json!({"channel": GENERAL, "text": "a plan", "blocks": [{"type": "actions", "elements": [button]}]});
    let told = "Rollback in progress: the web goes back to the version before. Expected back within a minute.";
    let mut took = Vec::new();
    for _ in 0..OWN {
        let ts = post(card.clone()).await;
        pass(READING).await;
        let person = team.ws().person("U0LEAD");
        let began = Moment::now();
        let announced = async {
            client.acknowledges().await;
            post(json!({"channel": GENERAL, "text": told})).await;
            began.elapsed()
        };
        let (length, clicked) = tokio::join!(announced, person.click(GENERAL, &ts, "approve"));
        clicked.unwrap_or_else(|why| panic!("{why}"));
        took.push(length);
        pass(READING).await;
    }
    took
}

pub async fn undo(table: &mut Table) {
    let Some(place) = Place::open("undo").await else { return };
    let (mut bot, mut by_hand) = (Vec::new(), Vec::new());
    for number in 1..=UNDOS {
        // Now one goes first, now the other, and each after the same rest.
        let hand_first = number % 2 == 0;
        if hand_first {
            by_hand.push(place.undone_by_hand().await);
        }
        let (clicked, run) = place.approves(number).await;
        let ended = place.step_ended(run).await;
        bot.push(Duration::from_millis(u64::try_from(ended - clicked).expect("the end follows the click")));
        if !hand_first {
            by_hand.push(place.undone_by_hand().await);
        }
    }
    let figure = format!("whole roll-back, {PODS} pods");
    table.add(Row { figure: figure.clone(), bot: "kubectl".into(), took: by_hand, besides: String::new() });
    table.add(Row { figure, bot: "Vigie".into(), took: bot, besides: String::new() });
    place.close().await;
}

/// A namespace with two Deployments that are alike, and a bot that may roll one of them back.
struct Place {
    plane: PathBuf,
    namespace: String,
    team: Team,
    bot: Bot,
    database: Database,
    store: Store,
    clock: Clock,
}

impl Place {
    /// Nothing where this machine can have no control plane.
    async fn open(name: &str) -> Option<Self> {
        let Some(plane) = std::env::var_os("VIGIE_BENCH_KUBE").map(PathBuf::from) else {
            eprintln!("{name} is left out: VIGIE_BENCH_KUBE names no control plane; benches/run starts one");
            return None;
        };
        let namespace = format!("bench-{name}");
        let admin = async |words: &[&str]| told(&plane, "default", words).await;
        admin(&["create", "namespace", &namespace]).await.expect("a namespace can be made");
        let binding = format!("vigie-{name}");
        let bind = ["create", "clusterrolebinding", &binding, "--clusterrole=cluster-admin", "--user=vigie"];
        admin(&bind).await.expect("a role can be bound");
        for web in ["web", "api"] {
            deployed(&plane, &namespace, web).await;
        }
        let (team, database) = (Team::open().await, Database::fresh(database::Kind::Sqlite).await);
        let bot = Bot::vigie(&team, &database, &configuration(&plane, &namespace)).await;
        team.is_heard(PATIENCE).await;
        let store = Store::open_to_read(&database.url).await.expect("the database can be read");
        let place = Self { plane, namespace, team, bot, database, store, clock: Clock::system() };
        Some(place)
    }

    async fn says(&self, who: &str, line: &str) {
        let ack = self.team.ws().person(who).command(GENERAL, "/incident", line).await;
        assert_eq!(ack.failure, None, "/incident {line}");
    }

    /// Has a roll-back planned in an incident of its own and approves it by its button: the moment of the click, in
    /// milliseconds, and the run.
    async fn approves(&self, number: u32) -> (i64, RunId) {
        let run = RunId { incident: IncidentId(i64::from(number)), number: 1 };
        // The one before is verified by then, and what waited for Slack's limit of edits a minute stands: the plan would wait
        // behind it.
        self.bot.rests().await;
        if number > 1 {
            self.says("U0ONCALL", &format!("resolve --in inc_{} it works again", number - 1)).await;
        }
        self.says("U0ONCALL", "start sev2 the web fails").await;
        self.bot.rests().await;
        self.says("U0ONCALL", &format!("run undo-web --in {}", run.incident)).await;
        let button = format!("approve {run}");
        let plan = self.shown(&button).await;
        // The state before is kept by then, and nothing waits to be said. Whoever approves reads the plan first, for longer
        // than Slack wants between two messages of one channel.
        self.bot.rests().await;
        pass(READING).await;
        let (channel, ts) = (text(&plan, "channel"), text(&plan, "ts"));
        let clicked = self.clock.now().0;
        let person = self.team.ws().person("U0LEAD");
        person.click(&channel, &ts, "approve").await.unwrap_or_else(|why| panic!("{why}"));
        (clicked, run)
    }

    /// The message with this button.
    async fn shown(&self, button: &str) -> Value {
        let mut again = tokio::time::interval(Duration::from_millis(5));
        let found = async {
            loop {
                again.tick().await;
                let channels = self.team.ws().channels();
                let messages = channels.iter().flat_map(|channel| {
                    let id = channel.id.clone();
                    self.team.ws().messages(&channel.id).into_iter().map(move |mut message| {
                        message["channel"] = Value::from(id.clone());
                        message
                    })
                });
                if let Some(found) = messages.into_iter().find(|message| message.to_string().contains(button)) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the plan is shown")
    }

    /// When the end of the run's step was kept.
    async fn step_ended(&self, wanted: RunId) -> i64 {
        // What counts is the moment that was kept; to look more often would take the bot its time.
        let mut again = tokio::time::interval(Duration::from_millis(100));
        let ended = async {
            loop {
                again.tick().await;
                let timeline = self.store.timeline(wanted.incident).await.expect("the database can be read");
                let is_it = |entry: &&Entry| matches!(entry.fact, Fact::StepFinished { run, .. } if run == wanted);
                if let Some(entry) = timeline.iter().find(is_it) {
                    return entry.at.0;
                }
                let failed =
                    timeline.iter().find(|entry| matches!(entry.fact, Fact::RunFinished { run, .. } if run == wanted));
                assert!(failed.is_none(), "the roll-back failed: {failed:?}");
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("the roll-back ends")
    }

    /// When the API server received the run's change, by its own record, in milliseconds.
    fn written(&self, run: RunId) -> i64 {
        let record = std::fs::read_to_string(self.plane.join("audit.log")).expect("the server keeps a record");
        let mark = format!("{run}-step-1");
        let entries = record.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut own = entries.filter(|entry| {
            entry["verb"] == "patch"
                && entry["objectRef"]["namespace"] == self.namespace.as_str()
                && !text(entry, "requestURI").contains("dryRun")
                && entry["requestObject"].to_string().contains(&mark)
        });
        let received = text(&own.next().expect("the change is on record"), "requestReceivedTimestamp");
        let received: jiff::Timestamp = received.parse().expect("a time");
        received.as_millisecond()
    }

    async fn undone_by_hand(&self) -> Duration {
        self.bot.rests().await;
        pass(READING).await;
        let began = Moment::now();
        self.kubectl(&["rollout", "undo", "deployment/api"]).await;
        self.kubectl(&["rollout", "status", "deployment/api"]).await;
        began.elapsed()
    }

    async fn kubectl(&self, words: &[&str]) {
        told(&self.plane, &self.namespace, words).await.unwrap_or_else(|why| panic!("kubectl {words:?}: {why}"));
    }

    async fn close(self) {
        self.store.close().await;
        self.bot.stop().await;
        drop(self.database);
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// A Deployment whose former revision is one back.
async fn deployed(plane: &Path, namespace: &str, name: &str) {
    let kubectl = |words: Vec<String>| async move {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        told(plane, namespace, &words).await.unwrap_or_else(|why| panic!("kubectl {words:?}: {why}"));
    };
    let words = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    kubectl(words(format!("create deployment {name} --image=example/web:1 --replicas={PODS}"))).await;
    kubectl(words(format!("rollout status deployment/{name} --timeout=60s"))).await;
    kubectl(words(format!("set image deployment/{name} web=example/web:2"))).await;
    kubectl(words(format!("rollout status deployment/{name} --timeout=60s"))).await;
}

/// What an administrator does.
async fn told(plane: &Path, namespace: &str, words: &[&str]) -> Result<(), String> {
    let mut command = Command::new(plane.join("bin/kubectl"));
    command.arg("--kubeconfig").arg(plane.join("admin.kubeconfig")).args(["--namespace", namespace]).args(words);
    let done = command.stdin(Stdio::null()).output().await.map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

fn configuration(plane: &Path, namespace: &str) -> String {
    let bot = plane.join("bot.kubeconfig");
    let own = format!(
        "clusters:\n  production: {{ kubeconfig: \"{}\" }}\nactions:\n  undo-web:\n    title: Roll the web back\n    service: shop\n    \
         rollback: true\n    class: urgent\n    risk: reversible\n    expected: 1m\n    approval: {{ by: [lead, dba], needed: 1 }}\n    \
         steps:\n      - kubernetes:\n          cluster: production\n          namespace: {namespace}\n          \
         undo: {{ workloads: [deployment/web] }}\n    verify: [health]\n",
        bot.display()
    );
    CONFIG.replacen("actions:\n", &own, 1)
}
