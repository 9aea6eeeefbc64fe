//! The actions room without Slack: plans, runs, interrupted runs. Tables of what vendors answer are played here, in
//! milliseconds; the way through the whole bot is `runbook`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use vigie::actions::{Actions, ActionsConfig, Execution, PlanFault};
use vigie::incident::approval::{
    ActionPlan, Approval, ApprovalRule, CheckResult, Choosing, Class, KeepState, Outcome, Risk,
};
use vigie::incident::decision::Report;
use vigie::incident::id::{RunId, UserId};
use vigie::incident::people::Actor;
use vigie::incident::rules::RunbookAction;
use vigie::incident::state::{Mark, Phase, Run};
use vigie::incident::time::{Instant, Millis};

/// The run that everything here belongs to.
pub const RUN: &str = "run_7_1";

/// The fence of its first attempt.
const FIRST: i64 = 7;

/// The room with a configuration of its own.
pub struct Room {
    actions: Actions,
}

/// What became of a run.
pub struct Ran {
    pub outcome: Outcome,
    pub reports: Vec<Report>,
}

impl Ran {
    /// The outcome's kind and its sentence, as key and variables.
    pub fn line(&self) -> String {
        match &self.outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::Stale { found, .. } => format!("stale: {found}"),
            Outcome::Failed { why, .. } => format!("failed: {why}"),
            Outcome::Unknown { why, .. } => format!("unknown: {why}"),
            Outcome::Stopped { done } => format!("stopped: {done}"),
        }
    }

    /// Everything that would be kept and shown.
    pub fn everything(&self) -> String {
        format!("{:?} {:?}", self.outcome, self.reports)
    }
}

impl Room {
    /// `yaml` holds the room's own sections: `actions`, `services`, `limits`.
    pub fn open(yaml: &str) -> Self {
        Self::open_with_path(yaml, "/usr/local/bin:/usr/bin:/bin")
    }

    /// The same where programs are looked for in these folders.
    pub fn open_with_path(yaml: &str, path: &str) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let config: ActionsConfig = serde_saphyr::from_str(yaml).unwrap_or_else(|fault| panic!("{fault}\n{yaml}"));
        let client = vigie::actions::http::client().expect("a client can be made");
        let environment = BTreeMap::from([("PATH".to_owned(), path.to_owned())]);
        let actions = Actions::new(config, client, environment, &[] as &[SecretString]);
        Self { actions: actions.unwrap_or_else(|faults| panic!("{faults:#?}")) }
    }

    /// One action `go` of one step without a verification.
    pub fn with_step(step: &str) -> Self {
        Self::with_step_and_check(step, "command: { argv: [\"true\"] }")
    }

    /// The same with what the service `shop` is looked at by.
    pub fn with_step_and_check(step: &str, check: &str) -> Self {
        Self::with_sections("", step, check)
    }

    /// The same with whole sections besides: `databases`, for instance.
    pub fn with_sections(sections: &str, step: &str, check: &str) -> Self {
        Self::open(&format!("{sections}{}", Self::text(step, check)))
    }

    /// What such a room is configured by.
    pub fn text(step: &str, check: &str) -> String {
        let step = step.trim_end().replace('\n', "\n      ");
        format!(
            "limits: {{ verify_within: 1s, verify_every: 10ms, plan_within: 20s }}
actions:
  go:
    title: Go
    service: shop
    class: urgent
    risk: destructive
    expected: 30s
    verify: [there]
    steps:
    - {step}
services:
  shop:
    - key: there
      {check}
"
        )
    }

    /// Does what is done for git repositories when Vigie starts.
    pub async fn fetches_mirrors(&self) {
        self.actions.fetch_mirrors().await;
    }

    pub async fn plan(&self) -> Result<ActionPlan, PlanFault> {
        self.actions.make_plan("go", None).await
    }

    pub async fn planned(&self) -> ActionPlan {
        self.plan().await.unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// The same with what a person chose.
    pub async fn planned_to(&self, wanted: &str) -> ActionPlan {
        self.actions.make_plan("go", Some(wanted)).await.unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// What a person can choose between.
    pub async fn choices(&self) -> Vec<String> {
        let choices = self.actions.choices("go").await.unwrap_or_else(|fault| panic!("{fault}"));
        choices.into_iter().map(|choice| choice.value).collect()
    }

    /// The plan that takes a done one back.
    pub async fn planned_back(&self, done: &ActionPlan) -> ActionPlan {
        self.actions.plan_back(done, &[0], (id(), Instant(0))).await.unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// The fault of a way back that cannot be planned.
    pub async fn refusal_back(&self, done: &ActionPlan) -> String {
        match self.actions.plan_back(done, &[0], (id(), Instant(0))).await {
            Err(fault) => fault.to_string(),
            Ok(plan) => panic!("there is a way back: {plan:#?}"),
        }
    }

    /// The fault of a plan that cannot be made: key and variables.
    pub async fn refusal(&self) -> String {
        match self.plan().await {
            Err(fault) => fault.to_string(),
            Ok(plan) => panic!("there is a plan: {plan:#?}"),
        }
    }

    /// The same with what a person chose.
    pub async fn refusal_to(&self, wanted: &str) -> String {
        match self.actions.make_plan("go", Some(wanted)).await {
            Err(fault) => fault.to_string(),
            Ok(plan) => panic!("there is a plan: {plan:#?}"),
        }
    }

    /// Plans, and runs what was planned.
    pub async fn goes(&self) -> Ran {
        let plan = self.planned().await;
        self.run(&plan).await
    }

    pub async fn run(&self, plan: &ActionPlan) -> Ran {
        self.resume(plan, None, FIRST).await
    }

    /// Has a person try the run again after it failed.
    pub async fn tried_again(&self, plan: &ActionPlan) -> Ran {
        self.resume(plan, None, FIRST + 1).await
    }

    /// Goes on with a run whose former owner was lost while it did its first step.
    pub async fn taken_up(&self, plan: &ActionPlan) -> Ran {
        self.resume(plan, Some(0), FIRST).await
    }

    /// What the check of the service sees now.
    pub async fn looks(&self) -> CheckResult {
        self.actions.diagnose("shop").await.pop().expect("there is one check")
    }

    async fn resume(&self, plan: &ActionPlan, in_doubt: Option<usize>, attempt: i64) -> Ran {
        let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
        let kept = Arc::clone(&reports);
        let report = move |report: Report| -> futures_util::future::BoxFuture<'_, _> {
            kept.lock().expect("nobody panicked").push(report);
            Box::pin(std::future::ready(Ok(())))
        };
        let nobody_stops = || -> futures_util::future::BoxFuture<'_, _> { Box::pin(std::future::ready(Ok(false))) };
        let nothing_else =
            || -> futures_util::future::BoxFuture<'_, _> { Box::pin(std::future::ready(Ok(BTreeSet::new()))) };
        let execution = Execution {
            fence: attempt,
            attempt,
            ended: Default::default(),
            halted: None,
            in_doubt,
            report: &report,
            stop_asked: &nobody_stops,
            in_use: &nothing_else,
            progress: &|_, _| {},
        };
        let approved = approve(plan).approved_plan().expect("it is approved");
        let outcome = self.actions.execute(&approved, &execution).await.expect("every report is kept");
        let reports = reports.lock().expect("nobody panicked").clone();
        Ran { outcome, reports }
    }
}

fn id() -> RunId {
    RUN.parse().expect("it is a run's name")
}

/// What an approved run of this plan looks like.
fn approve(plan: &ActionPlan) -> Run {
    let mark = Mark { by: Actor::Person(UserId::from("U1")), at: Instant(0) };
    let digest = plan.digest();
    let approval = ApprovalRule { by: vec![], needed: 1, requester_may: false, expires_after: Millis::minutes(15) };
    let action = RunbookAction {
        key: plan.action.clone(),
        title: plan.title.clone(),
        service: plan.service.clone(),
        is_rollback: true,
        class: Class::Urgent,
        risk: Risk::Destructive,
        approval,
        checklist: vec![],
        choosing: Choosing::Nothing,
        drill: None,
        break_glass: None,
        window: None,
        keep_state: KeepState::Off,
    };
    Run {
        id: id(),
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
        settled_by: None,
        handed_to: None,
        glass: None,
        kept: None,
        without_state: false,
        retried: Default::default(),
    }
}
