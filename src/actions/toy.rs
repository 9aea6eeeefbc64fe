//! Real peers for this room's tests: a shop with a version switch that can misbehave in every way that matters, and
//! addresses that refuse or stay silent. On loopback only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::kubernetes::Clusters;
use super::postgres::Databases;
use super::provider::{Happened, InUse, StepResult};
use super::run::NotCommitted;
use super::{Actions, ActionsConfig, Redactor, World};
use crate::english::english;
use crate::incident::approval::{
    ActionPlan, Approval, ApprovalRule, ApprovedPlan, Choosing, Class, KeepState, Outcome, Risk, Verification,
};
use crate::incident::decision::Report;
use crate::incident::id::UserId;
use crate::incident::people::Actor;
use crate::incident::rules::RunbookAction;
use crate::incident::state::{Mark, Phase, Run};
use crate::incident::time::{Instant, Millis};
use crate::incident::words::Words;

pub(super) fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    super::http::client().unwrap()
}

pub(super) fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("SLACK_TOKEN".to_owned(), "must-not-be-inherited".to_owned()),
        ("REGION".to_owned(), "eu".to_owned()),
    ])
}

pub(super) fn world() -> World {
    world_with(&[])
}

pub(super) fn world_with(secrets: &[&str]) -> World {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
    World {
        http: client(),
        clusters: Clusters::default(),
        aws: crate::actions::ecs::Sessions::default(),
        databases: Databases::default(),
        environment: environment(),
        redactor: Redactor::new(&secrets),
    }
}

/// An address where nobody listens.
pub(super) async fn refused_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

/// An address that takes connections and never answers, as long as the listener lives.
pub(super) async fn silent_address() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("http://{}/", listener.local_addr().unwrap()), listener)
}

/// How the shop's switch behaves when it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Switches and says so.
    Good,
    /// Switches, but loses its answer.
    LosesAnswer,
    /// Drops the connection and does nothing.
    LosesRequest,
    /// Says yes, and shows the switch only at so many looks later.
    Slow(usize),
    /// Drops the connection, and shows the switch only at so many looks later.
    LosesAnswerAndIsSlow(usize),
    /// Says yes and does nothing.
    Lies,
    /// Switches and answers with this status.
    SwitchesAndSays(u16),
    /// Says that it broke, before doing anything.
    Breaks,
    /// Says no.
    Forbids,
    /// Says that somebody else has switched, which they did.
    Conflicts,
    /// Never answers and does nothing.
    Hangs,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub current: String,
    pub previous: Option<String>,
    pub manner: Manner,
    /// What reading answers instead of the state, with its status.
    pub reading: Option<(u16, String)>,
    /// What was asked for: the headers and the body of each PUT.
    pub sets: Vec<(HeaderMap, Value)>,
    /// The headers of those that it said no to, and did nothing.
    pub refused: Vec<HeaderMap>,
    /// How often the state was read.
    pub reads: usize,
    /// What it will be on, and at which reading.
    coming: Option<(String, usize)>,
    /// The health page's answers: each is given once, the last one for ever.
    pub health: Vec<(u16, Value)>,
}

impl Inner {
    fn switch(&mut self, to: &str) {
        self.previous = Some(std::mem::replace(&mut self.current, to.to_owned()));
    }
}

/// The shop; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    pub url: String,
    state: Arc<Mutex<Inner>>,
}

impl Shop {
    /// A shop on 1.3.0 that had 1.2.3 before.
    pub(crate) async fn open() -> Self {
        let inner = Inner {
            current: "1.3.0".into(),
            previous: Some("1.2.3".into()),
            manner: Manner::Good,
            reading: None,
            sets: Vec::new(),
            refused: Vec::new(),
            reads: 0,
            coming: None,
            health: vec![(200, json!({"status": "ok"}))],
        };
        let state = Arc::new(Mutex::new(inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shop = Self { url: format!("http://{}", listener.local_addr().unwrap()), state };
        let routes = Router::new()
            .route("/version", get(read_version).put(set_version))
            .route("/health", get(health))
            .with_state(shop.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        shop
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    pub(crate) fn behaves(&self, manner: Manner) {
        self.with(|shop| shop.manner = manner);
    }

    pub(super) fn version(&self) -> String {
        self.with(|shop| shop.current.clone())
    }

    fn switch(&self, to: &str) {
        self.with(|shop| shop.switch(to));
    }

    /// It switches when it is looked at for the so-manieth time from now.
    pub(super) fn switches_at_look(&self, to: &str, looks: usize) {
        self.with(|shop| shop.coming = Some((to.to_owned(), shop.reads + looks)));
    }
}

async fn read_version(State(shop): State<Shop>) -> Response {
    shop.with(|shop| {
        shop.reads += 1;
        if let Some((to, _)) = shop.coming.take_if(|(_, at)| *at <= shop.reads) {
            shop.switch(&to);
        }
        if let Some((status, body)) = &shop.reading {
            return (StatusCode::from_u16(*status).unwrap(), body.clone()).into_response();
        }
        Json(json!({
            "current": shop.current,
            "previous": shop.previous,
            "history": [
                {"id": "d3", "version": "1.3.0", "state": "READY"},
                {"id": "d2", "version": "1.2.9", "state": "ERROR"},
                {"id": "d1", "version": "1.2.3", "state": "READY"},
            ],
        }))
        .into_response()
    })
}

async fn set_version(State(shop): State<Shop>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let to = body.get("version").and_then(Value::as_str).unwrap_or_default().to_owned();
    let manner = shop.with(|shop| {
        if shop.manner == Manner::Breaks {
            shop.refused.push(headers.clone());
        }
        shop.sets.push((headers, body));
        shop.manner
    });
    match manner {
        Manner::Good => shop.switch(&to),
        Manner::LosesAnswer => {
            shop.switch(&to);
            drop_connection();
        }
        Manner::LosesRequest => drop_connection(),
        Manner::Slow(looks) => shop.switches_at_look(&to, looks),
        Manner::LosesAnswerAndIsSlow(looks) => {
            shop.switches_at_look(&to, looks);
            drop_connection();
        }
        Manner::SwitchesAndSays(status) => {
            shop.switch(&to);
            return (StatusCode::from_u16(status).unwrap(), "elsewhere").into_response();
        }
        Manner::Lies => {}
        Manner::Breaks => return (StatusCode::INTERNAL_SERVER_ERROR, "<h1>oops</h1>").into_response(),
        Manner::Forbids => return (StatusCode::FORBIDDEN, Json(json!({"error": "read-only key"}))).into_response(),
        Manner::Conflicts => {
            shop.switch("1.4.0");
            return (StatusCode::CONFLICT, Json(json!({"error": "version changed"}))).into_response();
        }
        Manner::Hangs => std::future::pending::<()>().await,
    }
    Json(json!({"ok": true})).into_response()
}

/// Ends the connection's own unit of work without an answer, as a crash would.
fn drop_connection() {
    std::panic::resume_unwind(Box::new("the shop drops the connection"));
}

async fn health(State(shop): State<Shop>) -> Response {
    let (status, body) =
        shop.with(|shop| if shop.health.len() > 1 { shop.health.remove(0) } else { shop.health[0].clone() });
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

/// A room for a configuration in YAML.
pub(super) fn actions(yaml: &str) -> Actions {
    let config: ActionsConfig = serde_saphyr::from_str(yaml).unwrap();
    Actions::new(config, client(), environment(), &[]).unwrap()
}

/// What an approved run of this plan looks like to the action lane.
pub(super) fn approve(plan: &ActionPlan) -> ApprovedPlan {
    let mark = Mark { by: Actor::Person(UserId::from("U1")), at: Instant(0) };
    let digest = plan.digest();
    let action = RunbookAction {
        key: plan.action.clone(),
        title: plan.title.clone(),
        service: plan.service.clone(),
        is_rollback: true,
        class: Class::Urgent,
        risk: Risk::Destructive,
        approval: ApprovalRule { by: vec![], needed: 1, requester_may: false, expires_after: Millis::minutes(15) },
        checklist: vec![],
        choosing: Choosing::Nothing,
        drill: None,
        break_glass: None,
        window: None,
        keep_state: KeepState::Off,
    };
    let run = Run {
        id: "run_7_1".parse().unwrap(),
        action,
        request: Default::default(),
        asked: mark.clone(),
        plan: Some(plan.clone()),
        digest: Some(digest.clone()),
        expires_at: None,
        ticked: Default::default(),
        approvals: vec![Approval { by: mark.by, at: mark.at, digest }],
        phase: Phase::Released,
        fence: None,
        attempt: None,
        started_at: None,
        ended_at: None,
        steps: vec![],
        verification: vec![],
        stop_asked: false,
        output: None,
        halted: None,
        settled: None,
        handed_to: None,
        glass: None,
        kept: None,
        without_state: false,
        retried: Default::default(),
        settled_by: None,
    };
    run.approved_plan().unwrap()
}

/// Collects reports like a store that commits them.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    pub reports: Arc<Mutex<Vec<Report>>>,
    /// Commits so many reports and then fails.
    pub fails_after: Option<usize>,
}

impl Journal {
    pub(super) fn commit(&self, report: Report) -> BoxFuture<'static, Result<(), NotCommitted>> {
        let (reports, fails_after) = (Arc::clone(&self.reports), self.fails_after);
        Box::pin(async move {
            let mut reports = reports.lock().unwrap();
            if fails_after.is_some_and(|most| reports.len() >= most) {
                return Err(NotCommitted("the database is gone".into()));
            }
            reports.push(report);
            Ok(())
        })
    }

    /// The reports in short: `started 0`, `finished 0: note`, `verified pass`, `ended done`.
    pub(super) fn words(&self) -> Vec<String> {
        self.reports.lock().unwrap().iter().map(word).collect()
    }
}

fn word(report: &Report) -> String {
    match report {
        Report::StepStarted { step, .. } => format!("started {step}"),
        Report::StepFinished { step, note, .. } => format!("finished {step}: {}", english(note)),
        Report::RunHalted { step, outcome, .. } => format!("halted {step}: {}", outcome_word(outcome)),
        Report::VerificationStarted { .. } => "verifying".into(),
        Report::VerificationFinished { results, .. } => {
            let verdicts: Vec<String> = results.iter().map(|r| format!("{} {:?}", r.check, r.verdict)).collect();
            format!("verified {}", verdicts.join(", "))
        }
        Report::RunFinished { outcome, .. } => format!("ended {}", outcome_word(outcome)),
        other => format!("{other:?}"),
    }
}

fn outcome_word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".into(),
        Outcome::Stale { step, found } => format!("stale {step}: {}", english(found)),
        Outcome::Failed { step, why } => format!("failed {step:?}: {}", english(why)),
        Outcome::Unknown { step, why } => format!("unknown {step}: {}", english(why)),
        Outcome::Stopped { done } => format!("stopped {done}"),
    }
}

/// Nothing else is planned.
pub(super) struct NothingElse;

#[async_trait]
impl InUse for NothingElse {
    async fn beside(&self, _step: usize) -> Result<BTreeSet<String>, Words> {
        Ok(BTreeSet::new())
    }
}

/// What became of a step, as an English team reads it.
pub(super) fn plain(result: StepResult) -> StepResult {
    match result {
        StepResult::Done { note, output, live } => StepResult::Done { note: note.plain(), output, live },
        StepResult::Stale { found } => StepResult::Stale { found: found.plain() },
        StepResult::Failed { why, output } => StepResult::Failed { why: why.plain(), output },
        StepResult::Unknown { why, output } => StepResult::Unknown { why: why.plain(), output },
    }
}

/// Whether it happened, as an English team reads it.
pub(super) fn plainly(happened: Happened) -> Happened {
    match happened {
        Happened::Yes { note, live } => Happened::Yes { note: note.plain(), live },
        Happened::No { note } => Happened::No { note: note.plain() },
        Happened::Begun { note } => Happened::Begun { note: note.plain() },
        Happened::CannotTell { why } => Happened::CannotTell { why: why.plain() },
    }
}

/// How a run ended, as an English team reads it.
pub(super) fn in_short(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Stale { step, found } => Outcome::Stale { step, found: found.plain() },
        Outcome::Failed { step, why } => Outcome::Failed { step, why: why.plain() },
        Outcome::Unknown { step, why } => Outcome::Unknown { step, why: why.plain() },
        end @ (Outcome::Done | Outcome::Stopped { .. }) => end,
    }
}

/// A verification by its key.
pub(super) fn verification(check: &str) -> Verification {
    Verification::new(check, check)
}
