//! GitHub Actions: a workflow is started and followed to its end (G2).
//!
//! A start is never sent twice. GitHub tells the run's number with its yes; when that answer is lost, only a mark in the
//! run's name can tell which run is ours, and without one a person has to say. The mark is of one attempt: whoever tries again
//! after a run failed has another one started.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::World;
use super::api::{Api, Trouble, is_plain, validate_base, validate_credential};
use super::config::{ConfigFault, fault};
use super::http::Method;
use super::length;
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use super::stopwatch::{Stopwatch, pause};
use crate::incident::approval::{PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

const VENDOR: &str = "GitHub";
const BASE: &str = "https://api.github.com";
/// How a run that ended well is shown.
const WELL: &str = "✓";
/// GitHub takes no more.
const MOST_INPUTS: usize = 25;
/// How many of the newest runs are looked through.
const MOST_LISTED: &str = "30";

/// A workflow that is started and followed.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubWorkflow {
    /// `owner/name`.
    pub repository: String,
    /// The workflow's file, `rollback.yml`, or its number.
    pub workflow: String,
    /// The branch or tag that it runs on.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The workflow's inputs, which everybody sees.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// A token that may write Actions.
    #[schemars(with = "String")]
    pub token: SecretString,
    /// An input of the workflow that stands in its `run-name`: tells our run from all others when an answer is lost.
    pub mark_input: Option<String>,
    /// What is done when the workflow runs already; refused when it is not said.
    #[serde(default)]
    pub when_busy: WhenBusy,
    /// Where the API is; GitHub's own when it is not said.
    pub base_url: Option<String>,
    /// What it can do to the world; destructive when it is not said.
    pub risk: Option<Risk>,
    /// How long after GitHub's yes the run need not be seen: 30 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub settle: Option<Millis>,
}

/// What is done when the workflow runs already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenBusy {
    /// Nothing.
    #[default]
    Refuse,
    /// It is started all the same; the workflow's own `concurrency` decides.
    JoinQueue,
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Spec {
    repository: String,
    workflow: String,
    reference: String,
    /// As pairs, so that a name cannot make its value look like a credential.
    inputs: Vec<(String, String)>,
    /// The newest run when the plan was made.
    since: i64,
}

/// One run of the workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    id: i64,
    number: i64,
    title: String,
    event: String,
    branch: Option<String>,
    status: String,
    conclusion: Option<String>,
    link: String,
}

impl Run {
    fn read(value: &Value) -> Result<Self, Trouble> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            id: value.get("id").and_then(Value::as_i64).ok_or(Trouble::Garbled)?,
            number: value.get("run_number").and_then(Value::as_i64).unwrap_or_default(),
            title: [text("display_title"), text("name")].into_iter().flatten().collect::<Vec<_>>().join(" "),
            event: text("event").unwrap_or_default(),
            branch: text("head_branch"),
            status: text("status").ok_or(Trouble::Garbled)?,
            conclusion: text("conclusion"),
            link: text("html_url").unwrap_or_default(),
        })
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.title.split(|c: char| c.is_whitespace() || "()[],:".contains(c))
    }

    fn bears(&self, mark: &str) -> bool {
        self.words().any(|word| word == mark)
    }

    /// It was started by a step of Vigie's: `run_7_1-step-1-0-7`.
    fn bears_a_mark(&self) -> bool {
        self.words().any(|word| word.starts_with("run_") && word.contains("-step-"))
    }

    fn is_over(&self) -> bool {
        self.status == "completed"
    }

    fn is_well(&self) -> bool {
        self.is_over() && self.state() == "success"
    }

    /// In GitHub's own words: how it ended, or how far it is.
    fn state(&self) -> &str {
        self.conclusion.as_deref().filter(|_| self.is_over()).unwrap_or(&self.status)
    }

    /// For people of any language: `#42 ✓`, `#42 failure`.
    fn shown(&self) -> String {
        format!("#{} {}", self.number, if self.is_well() { WELL } else { self.state() })
    }

    fn says(&self, key: &'static str, workflow: &str) -> Words {
        Words::new(key).with("workflow", workflow).with("state", self.state()).with("link", self.link.as_str())
    }
}

#[async_trait]
impl ActionProvider for GithubWorkflow {
    fn target(&self) -> Cow<'_, str> {
        format!("{} {} ({})", self.repository, self.workflow, self.reference).into()
    }

    /// Another branch and other inputs are other work: staging first, for instance, then production.
    fn locks(&self) -> Vec<String> {
        let inputs: Vec<String> = self.inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        vec![format!("github/{}/{}/{}/{}", self.repository, self.workflow, self.reference, inputs.join("&"))]
    }

    fn risk(&self) -> Risk {
        self.risk.unwrap_or(Risk::Destructive)
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(30)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.token]
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if !self.parts().is_some_and(|(owner, name)| is_plain(owner) && is_plain(name)) {
            faults.push(fault(format!("{path}.repository"), "write it as owner/name, for example example/shop"));
        }
        if !is_plain(&self.workflow) {
            let sentence = "write the workflow's file without its folder, for example rollback.yml";
            faults.push(fault(format!("{path}.workflow"), sentence));
        }
        if self.reference.trim().is_empty() {
            faults.push(fault(format!("{path}.ref"), "name the branch or tag that it runs on, for example main"));
        }
        if self.inputs.len() + usize::from(self.mark_input.is_some()) > MOST_INPUTS {
            faults.push(fault(format!("{path}.inputs"), format!("GitHub takes {MOST_INPUTS} inputs at most")));
        }
        if self.mark_input.as_ref().is_some_and(|mark| self.inputs.contains_key(mark)) {
            faults.push(fault(format!("{path}.mark_input"), "Vigie fills this input itself; take it out of inputs"));
        }
        validate_base(self.base_url.as_deref(), path, faults);
        validate_credential(&self.token, path, faults);
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let target = self.target().into_owned();
        // Half of the time: a vendor that does not answer is to be named, and not only the planning that took too long.
        let site = self.site(cx.world, cx.within / 2);
        let runs = site.runs().await.map_err(|trouble| trouble.as_plan_fault(&target, VENDOR, &self.workflow))?;
        if let Some(busy) = self.busy(runs.iter()) {
            return Err(PlanFault::Refused { target, why: busy });
        }
        let last = runs.first();
        let spec = self.spec(last.map_or(0, |run| run.id));
        let mut diff: Vec<Words> =
            spec.inputs.iter().map(|(name, value)| Words::verbatim(format!("{name} = {value}"))).collect();
        let key = |run: &Run| if run.is_over() { "workflow.last" } else { "workflow.standing" };
        diff.extend(last.map(|run| run.says(key(run), &self.workflow)));
        diff.push(Words::new("workflow.no_way_back"));
        if self.mark_input.is_none() {
            diff.push(Words::new("workflow.no_mark"));
        }
        Ok(PlannedStep {
            title: Words::new("workflow.title")
                .with("workflow", self.workflow.as_str())
                .with("ref", self.reference.as_str()),
            locks: self.locks(),
            from: last.map(Run::shown),
            to: format!("{} {WELL}", self.workflow),
            diff,
            needs: Vec::new(),
            risk: self.risk(),
            provider: String::new(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
            target,
        })
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(found) => return StepResult::stale(found),
        };
        let site = self.site(cx.world, cx.within);
        let unread = |trouble: &Trouble| {
            let words = Words::new("step.unread_before").with("target", step.target.as_str());
            StepResult::failed(words.with("why", trouble.words(VENDOR, &self.workflow)))
        };
        let runs = match site.runs().await {
            Ok(runs) => runs,
            Err(trouble) => return unread(&trouble),
        };
        if let Some(ours) = self.marked(&runs, cx) {
            return site.follow(ours.id, cx).await;
        }
        if cx.begun {
            return StepResult::unknown(Words::new("workflow.started_unseen"));
        }
        // What an earlier step of this very run started was followed to its end, whatever a late list says.
        let own = format!("{}-step-", cx.run);
        let others = runs.iter().filter(|run| !run.words().any(|word| word.starts_with(&own)));
        if let Some(busy) = self.busy(others) {
            return StepResult::unchanged(busy);
        }
        // What began since the plan is not ours either.
        let since = runs.first().map_or(spec.since, |run| run.id.max(spec.since));
        site.start(&Spec { since, ..spec }, cx).await
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(why) => return Happened::CannotTell { why },
        };
        let site = self.site(cx.world, cx.within);
        match site.look_for(&spec, cx).await {
            Ok(Found::Ours(run)) if run.is_well() => {
                Happened::Yes { note: run.says("workflow.ended", &self.workflow), live: Some(run.shown()) }
            }
            // One that failed happened, too; executing again takes it up and tells how it ended.
            Ok(Found::Ours(run)) => Happened::Begun { note: run.says("workflow.standing", &self.workflow) },
            Ok(Found::None) => {
                Happened::No { note: Words::new("workflow.not_started").with("workflow", self.workflow.as_str()) }
            }
            Ok(Found::Others(runs)) => {
                let links: Vec<&str> = runs.iter().map(|run| run.link.as_str()).collect();
                Happened::CannotTell { why: Words::new("workflow.which").with("links", links) }
            }
            Err(trouble) => {
                let why = trouble.words(VENDOR, &self.workflow);
                let words = Words::new("step.unread").with("target", step.target.as_str());
                Happened::CannotTell { why: words.with("why", why) }
            }
        }
    }
}

impl GithubWorkflow {
    fn parts(&self) -> Option<(&str, &str)> {
        self.repository.split_once('/')
    }

    fn spec(&self, since: i64) -> Spec {
        Spec {
            repository: self.repository.clone(),
            workflow: self.workflow.clone(),
            reference: self.reference.clone(),
            inputs: self.inputs.clone().into_iter().collect(),
            since,
        }
    }

    /// The approved facts, if today's configuration still means the same.
    fn approved(&self, step: &PlannedStep) -> Result<Spec, Words> {
        let spec: Spec = spec_of(step)?;
        if spec == self.spec(spec.since) { Ok(spec) } else { Err(reconfigured()) }
    }

    fn site<'a>(&'a self, world: &'a World, within: Duration) -> Site<'a> {
        let api = Api::bearer(self.base_url.as_deref().unwrap_or(BASE), &self.token, world, within);
        let api = api.with_header("Accept", "application/vnd.github+json");
        Site { config: self, api: api.with_header("X-GitHub-Api-Version", "2022-11-28") }
    }

    /// Why it is not to be started: it runs already.
    fn busy<'r>(&self, mut runs: impl Iterator<Item = &'r Run>) -> Option<Words> {
        if self.when_busy == WhenBusy::JoinQueue {
            return None;
        }
        let running = runs.find(|run| !run.is_over())?;
        Some(running.says("workflow.busy", &self.workflow))
    }

    /// The run that carries this attempt's mark. One of an attempt before it counts unless it ended badly: it need not be
    /// started again.
    fn marked<'r>(&self, runs: &'r [Run], cx: &StepContext<'_>) -> Option<&'r Run> {
        self.mark_input.as_ref()?;
        let (ours, step) = (cx.attempt_key(), cx.idempotency_key());
        let others = format!("{step}-");
        let is_before = |run: &&Run| run.words().any(|word| word.starts_with(&others));
        let before = || runs.iter().filter(is_before).find(|run| run.is_well() || !run.is_over());
        // Former releases marked all attempts alike.
        runs.iter().find(|run| run.bears(&ours) || run.bears(&step)).or_else(before)
    }
}

/// What was found of a start whose answer was lost.
enum Found {
    None,
    Ours(Run),
    /// Runs of which ours may be one.
    Others(Vec<Run>),
}

/// A workflow at GitHub, for one piece of work.
struct Site<'a> {
    config: &'a GithubWorkflow,
    api: Api<'a>,
}

impl Site<'_> {
    fn path<'p>(&'p self, rest: &[&'p str]) -> Vec<&'p str> {
        let (owner, name) = self.config.parts().unwrap_or_default();
        ["repos", owner, name, "actions"].into_iter().chain(rest.iter().copied()).collect()
    }

    /// The newest runs first.
    async fn runs(&self) -> Result<Vec<Run>, Trouble> {
        let path = self.path(&["workflows", &self.config.workflow, "runs"]);
        let found = self.api.get(&path, &[("per_page", MOST_LISTED)]).await?;
        let list = found.get("workflow_runs").and_then(Value::as_array).ok_or(Trouble::Garbled)?;
        let mut runs = list.iter().map(Run::read).collect::<Result<Vec<_>, _>>()?;
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        Ok(runs)
    }

    fn settle(&self) -> Duration {
        length::duration(self.config.settle.unwrap_or(Millis::seconds(30)))
    }

    async fn run(&self, id: i64) -> Result<Run, Trouble> {
        let id = id.to_string();
        Run::read(&self.api.get(&self.path(&["runs", &id]), &[]).await?)
    }

    /// Starts it, once, and follows it.
    async fn start(&self, spec: &Spec, cx: &StepContext<'_>) -> StepResult {
        let ours = cx.attempt_key();
        let mut inputs: BTreeMap<&str, &str> =
            spec.inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Some(mark) = &self.config.mark_input {
            inputs.insert(mark, &ours);
        }
        let body = json!({"ref": spec.reference, "inputs": inputs, "return_run_details": true});
        let path = self.path(&["workflows", &self.config.workflow, "dispatches"]);
        let id = match self.api.send(Method::Post, &path, &[], Some(body)).await {
            Ok(answer) => answer.get("workflow_run_id").and_then(Value::as_i64),
            Err(trouble) => {
                let why = trouble.words(VENDOR, &self.config.workflow);
                if !trouble.may_have_happened() {
                    return StepResult::unchanged(why);
                }
                let lost = Words::new("step.answer_lost").with("target", self.config.target().into_owned());
                return StepResult::unknown(lost.with("why", why));
            }
        };
        let id = match id {
            Some(id) => id,
            // An older server that says yes and no more.
            None => match self.look_for(spec, cx).await {
                Ok(Found::Ours(run)) => run.id,
                Ok(Found::Others(runs)) if runs.len() == 1 => runs.first().map_or(0, |run| run.id),
                _ => return StepResult::unknown(Words::new("workflow.started_unseen")),
            },
        };
        self.follow(id, cx).await
    }

    /// Follows a run to its end. Right after its start GitHub may not find it yet.
    async fn follow(&self, id: i64, cx: &StepContext<'_>) -> StepResult {
        let workflow = self.config.workflow.as_str();
        let (watch, mut told) = (Stopwatch::start(), None);
        loop {
            let over = self.api.left().is_zero();
            let seen = self.run(id).await;
            let wait = seen.as_ref().err().and_then(Trouble::wait).unwrap_or_default().min(self.api.left());
            match seen {
                Ok(run) if run.is_well() => {
                    let note = run.says("workflow.ended", workflow);
                    return StepResult::Done { note, output: None, live: Some(run.shown()) };
                }
                Ok(run) if run.is_over() => return StepResult::failed(run.says("workflow.ended", workflow)),
                Ok(run) if over => return StepResult::unknown(run.says("workflow.standing", workflow)),
                Ok(run) if told.as_ref() != Some(&run) => {
                    (cx.progress)(run.says("workflow.standing", workflow));
                    told = Some(run);
                }
                Err(trouble) if !over && trouble.is(404) && !watch.left_of(self.settle()).is_zero() => {}
                Err(trouble) if over || !trouble.passes() => {
                    let words = Words::new("step.yes_but_unread").with("target", self.config.target().into_owned());
                    return StepResult::unknown(words.with("why", trouble.words(VENDOR, workflow)));
                }
                Ok(_) | Err(_) => {}
            }
            pause(wait.max(pace(cx.within))).await;
        }
    }

    /// The run of a start whose answer brought no number: by its mark, and else what could be it. GitHub's list is late, so
    /// only after a while it is believed that there is nothing, or no more than what is there. With a mark, too, a run
    /// without one may be ours: the workflow's `run-name` need not show it.
    async fn look_for(&self, spec: &Spec, cx: &StepContext<'_>) -> Result<Found, Trouble> {
        let watch = Stopwatch::start();
        let settle = self.settle().min(cx.within);
        loop {
            let runs = self.runs().await?;
            if let Some(ours) = self.config.marked(&runs, cx) {
                return Ok(Found::Ours(ours.clone()));
            }
            let could_be = |run: &Run| {
                run.id > spec.since
                    && run.event == "workflow_dispatch"
                    && run.branch.as_deref() == Some(short(&spec.reference))
                    && !(self.config.mark_input.is_some() && run.bears_a_mark())
            };
            if watch.left_of(settle).is_zero() {
                let others: Vec<Run> = runs.into_iter().filter(could_be).collect();
                return Ok(if others.is_empty() { Found::None } else { Found::Others(others) });
            }
            pause(pace(settle)).await;
        }
    }
}

/// A branch or tag as GitHub's list of runs names it: `main` for `refs/heads/main`.
fn short(reference: &str) -> &str {
    let bare = reference.strip_prefix("refs/heads/").or_else(|| reference.strip_prefix("refs/tags/"));
    bare.unwrap_or(reference)
}

/// How often it is looked at: often enough for whoever waits, seldom enough for GitHub's limits.
fn pace(within: Duration) -> Duration {
    (within / 60).clamp(Duration::from_millis(20), Duration::from_secs(5))
}
