//! Running something once in the cluster (K14): a Job that is named after the step, so that one attempt never makes two. Its log
//! is followed on the card, and its exit code is the step's end. Whoever tries again after it failed has it run again.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::config::{ConfigFault, fault};
use super::super::provider::{Happened, StepContext, StepResult};
use super::super::redact::{self, Redactor};
use super::super::stopwatch::{Stopwatch, pause, within};
use super::call::{Site, Trouble};
use super::change::facts_of;
use super::earlier::with_new_template;
use super::kinds::{EVENTS, JOBS, PODS, Thing};
use super::logs::{Lines, Logged};
use super::object::{MARK, Object};
use super::pods::{ContainerEnd, container_ends, has_ended, not_made, why_not};
use super::rights::Right;
use super::workloads::validate;
use super::{Draft, NoDraft, Operation, apply};
use crate::incident::approval::Risk;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// Between two looks at the Job.
const AGAIN: Duration = Duration::from_millis(500);
/// Without a pod for so long it is asked why there is none.
const PODLESS: Millis = Millis::seconds(2);
/// A request that a frozen server still holds may be carried out so long after it seemed lost.
const HELD: Duration = Duration::from_secs(2);
/// The lines of the log that are kept, when nothing is said.
const LOG_LINES: u32 = 50;
/// The longest of them, in bytes.
const MOST_LOG: usize = 64 * 1024;
/// The container of a Job that is like no other.
const OWN: &str = "job";
/// On a Job: the execution that made it, by its fence.
const MADE_BY: &str = "vigie/made-by";
/// A Job that nobody tidied up goes by itself after a day.
const KEPT_SECONDS: u32 = 86_400;

/// What is run once.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunJob {
    /// A workload whose container it is like, with the same image, environment and volumes: `deployment/web`. Where an earlier
    /// step rolls it back or sets its image, it is like what comes of that.
    pub like: Option<String>,
    /// Which of its containers; the only one when it is not said.
    pub container: Option<String>,
    /// An image, in place of `like`.
    pub image: Option<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables besides, shown with the plan.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables whose values nobody may see; they are taken out of the log too.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub secrets: BTreeMap<String, SecretString>,
    /// The Job stays when it has ended well: false.
    #[serde(default)]
    pub keep: bool,
    /// How many of the last lines of its log are kept: 50.
    pub log_lines: Option<u32>,
}

/// What was approved. Without the template: its environment may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    /// The uid of what it is like, and the fingerprint of what runs in its pods.
    like: Option<(String, String)>,
    image: String,
    /// The container that runs it; webhooks may put others beside it.
    #[serde(default)]
    container: String,
    command: Vec<String>,
}

/// How far a Job is.
enum State {
    Runs,
    Ended(Ended),
}

/// What there is of a step's Job before it is made.
enum Found {
    Nothing,
    /// It is made, and is followed.
    Ours,
    /// It ended badly in an attempt before this one.
    Failed(String),
    /// It is gone, and so many of its pods are not.
    Ending(usize),
    /// Another one has its name.
    Another,
}

/// How it ended, as its own container says; what stands beside that one decides nothing.
struct Ended {
    is_good: bool,
    code: Option<i64>,
    is_cut: bool,
    /// The other containers of its pod that still run, or ended badly.
    beside: Vec<Value>,
}

#[async_trait]
impl Operation for RunJob {
    fn names(&self) -> Vec<String> {
        vec![format!("job {}", self.command.join(" "))]
    }

    fn risk(&self) -> Risk {
        Risk::Destructive
    }

    fn takes_up(&self) -> bool {
        self.like.is_some()
    }

    /// The same twice in one plan is one too many.
    fn goes_on_from(&self, _: &str) -> bool {
        false
    }

    fn rights(&self) -> Vec<Right> {
        let own = ["create", "get", "delete"].map(|verb| Right::all(verb, JOBS));
        let like = self.thing().map(|thing| Right::one("get", thing.kind(), &thing.name));
        let pods = [Right::all("list", PODS), Right::part("get", PODS, "log"), Right::all("list", EVENTS).extra()];
        own.into_iter().chain(like).chain(pods).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.like.is_some() == self.image.is_some() {
            faults.push(fault(path, "say what it runs in exactly one way; like: deployment/web, or image: name:tag"));
        }
        if let Some(like) = &self.like {
            validate(std::slice::from_ref(like), &format!("{path}.like"), faults);
        }
        if self.container.is_some() && self.like.is_none() {
            faults.push(fault(format!("{path}.container"), "an image has no containers; leave it out"));
        }
        for name in self.env.keys() {
            let place = format!("{path}.env.{name}");
            if self.secrets.contains_key(name) {
                faults.push(fault(place, "it stands under secrets too; once is enough"));
            } else if Redactor::default().text(&format!("{name}=something")).contains(redact::MARK) {
                faults.push(fault(place, "by its name it holds a credential; put it under secrets"));
            }
        }
        if self.command.first().is_none_or(|program| program.trim().is_empty()) {
            let sentence = "nothing would run; write for example command: [npm, run, \"migrate:down\"]";
            faults.push(fault(format!("{path}.command"), sentence));
        }
    }

    fn settings(&self) -> Value {
        json!({"container": self.container, "env": self.env, "secrets": self.tag_of_secrets(), "keep": self.keep})
    }

    async fn plan(&self, site: &Site<'_>) -> Result<Draft, NoDraft> {
        if let Some(taken) = self.names().into_iter().find(|name| site.taken.contains(name)) {
            return Err(NoDraft::Taken(taken));
        }
        if let Some(like) =
            self.like.as_ref().filter(|like| site.earlier.iter().any(|facts| apply::changes(facts, like)))
        {
            return Err(NoDraft::Refused(Words::new("kubernetes.like_applied").with("name", like.as_str())));
        }
        let (facts, pod) = self.drafted(site).await?;
        let job = self.job("vigie-rehearsal", ("rehearsal", 0), pod, site);
        let rehearsed = site.create(JOBS, &job, true).await;
        rehearsed.map_err(|why| NoDraft::Trouble(why, Right::all("create", JOBS)))?;
        let command = self.command.join(" ");
        let names: Vec<String> = self.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let secrets: Vec<&str> = self.secrets.keys().map(String::as_str).collect();
        let like = self.like.as_ref().map(|like| Words::new("kubernetes.diff_like").with("name", like.as_str()));
        let has_env = !(names.is_empty() && secrets.is_empty());
        let env = has_env.then(|| Words::new("kubernetes.diff_env").with("names", names).with("secrets", secrets));
        Ok(Draft {
            title: Words::new("kubernetes.title_job")
                .with("command", command.as_str())
                .with("image", facts.image.as_str()),
            from: None,
            to: format!("{command} · {}", facts.image),
            diff: like.into_iter().chain(env).collect(),
            also: Vec::new(),
            facts: json!(facts),
        })
    }

    async fn execute(&self, facts: &Value, site: &Site<'_>, cx: &StepContext<'_>) -> StepResult {
        let facts: Facts = match facts_of(facts) {
            Ok(facts) => facts,
            Err(why) => return StepResult::stale(why),
        };
        match self.begun(site, &facts, cx).await {
            Ok(()) => self.followed(site, &job_name(cx), &facts.container, cx).await,
            Err(result) => result,
        }
    }

    async fn check(&self, _: &Value, site: &Site<'_>, cx: &StepContext<'_>) -> Happened {
        let name = job_name(cx);
        let mut looked_twice = false;
        loop {
            match site.get(JOBS, &name).await {
                // What came of it is told when it is taken up.
                Ok(_) => return Happened::Begun { note: Words::new("kubernetes.job_runs").with("name", name) },
                Err(trouble) if !trouble.is_absent() => {
                    return Happened::CannotTell { why: trouble.words(site, &Right::one("get", JOBS, &name)) };
                }
                Err(_) if looked_twice => {
                    return Happened::No { note: Words::new("kubernetes.gone").with("name", name) };
                }
                Err(_) => {}
            }
            looked_twice = true;
            pause(HELD).await;
        }
    }

    async fn tidy(&self, site: &Site<'_>, cx: &StepContext<'_>) {
        let name = job_name(cx);
        if self.keep {
            return;
        }
        let gone = match site.get(JOBS, &name).await {
            Ok(job) => site.delete(JOBS, &name, Object(job).uid(), false).await,
            Err(trouble) => Err(trouble),
        };
        if let Err(trouble) = gone {
            tracing::warn!(?trouble, name, "a job that has ended stays; the cluster takes it away in a day");
        }
    }
}

/// `vigie-run-7-1-step-1`.
fn job_name(cx: &StepContext<'_>) -> String {
    format!("vigie-{}", cx.idempotency_key().replace('_', "-"))
}

impl RunJob {
    fn thing(&self) -> Option<Thing> {
        Thing::workload(self.like.as_ref()?)
    }

    /// Tells other secrets from these, and so little of them that no value can be tried against it: 16 bits of all together.
    fn tag_of_secrets(&self) -> String {
        let mut hash = Sha256::new();
        for (name, value) in &self.secrets {
            for text in [name, value.expose_secret()] {
                hash.update(text.len().to_be_bytes());
                hash.update(text);
            }
        }
        hex::encode(hash.finalize().iter().take(2).copied().collect::<Vec<u8>>())
    }

    /// What would run, and the pod that does it.
    async fn drafted(&self, site: &Site<'_>) -> Result<(Facts, Value), NoDraft> {
        let Some(thing) = self.thing() else {
            let image = self.image.clone().unwrap_or_default();
            let pod = self.alone(json!({"containers": [{"name": OWN, "image": image}]}), OWN);
            let (container, command) = (OWN.to_owned(), self.command.clone());
            return Ok((Facts { like: None, image, container, command }, pod));
        };
        let workload = with_new_template(site, &thing).await?;
        let known: Vec<&str> = workload
            .containers()
            .into_iter()
            .filter(|(list, ..)| *list == "containers")
            .map(|(.., name)| name)
            .collect();
        let container = match (self.container.as_deref(), known.as_slice()) {
            (Some(wanted), known) if known.contains(&wanted) => wanted,
            (None, [only]) => only,
            (wanted, known) => {
                let why = Words::new("kubernetes.no_container").with("name", thing.name.as_str());
                return Err(NoDraft::Refused(
                    why.with("wanted", wanted.unwrap_or_default()).with("known", known.to_vec()),
                ));
            }
        };
        let image = workload.image_of(container).unwrap_or_default().to_owned();
        let pod = workload.template().get("spec").cloned().unwrap_or_default();
        let like = Some((workload.uid().to_owned(), workload.fingerprint_of_pods()));
        let pod = self.alone(pod, container);
        Ok((Facts { like, image, container: container.to_owned(), command: self.command.clone() }, pod))
    }

    /// A pod with this container alone, running our program to its end.
    fn alone(&self, mut pod: Value, name: &str) -> Value {
        let of = |container: &Value| container.get("name").and_then(Value::as_str) == Some(name);
        let containers = pod.get("containers").and_then(Value::as_array).into_iter().flatten();
        let mut container = containers.into_iter().find(|one| of(one)).cloned().unwrap_or_default();
        if let Some(fields) = container.as_object_mut() {
            for field in ["args", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports"] {
                fields.remove(field);
            }
            let mut env: Vec<Value> = fields.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
            let own = self.env.iter().map(|(name, value)| (name, value.as_str()));
            let own: BTreeMap<&String, &str> =
                own.chain(self.secrets.iter().map(|(name, value)| (name, value.expose_secret()))).collect();
            let is_own = |name: &str| own.keys().any(|known| *known == name);
            env.retain(|one| !one.get("name").and_then(Value::as_str).is_some_and(is_own));
            env.extend(own.iter().map(|(name, value)| json!({"name": name, "value": value})));
            fields.insert("env".to_owned(), Value::Array(env));
            fields.insert("command".to_owned(), json!(self.command));
        }
        if let Some(fields) = pod.as_object_mut() {
            fields.remove("initContainers");
            fields.insert("containers".to_owned(), json!([container]));
            fields.insert("restartPolicy".to_owned(), "Never".into());
        }
        pod
    }

    fn job(&self, name: &str, (key, fence): (&str, i64), pod: Value, site: &Site<'_>) -> Value {
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "annotations": {MARK: key, MADE_BY: fence.to_string()}},
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": site.within().as_secs().max(1),
                "ttlSecondsAfterFinished": KEPT_SECONDS,
                "template": {"metadata": {"annotations": {MARK: key}}, "spec": pod},
            },
        })
    }

    /// Makes the Job, once whatever becomes of the answers: its name is the step's own. One of an attempt before this that ended
    /// badly goes first, for trying again is running again.
    async fn begun(&self, site: &Site<'_>, facts: &Facts, cx: &StepContext<'_>) -> Result<(), StepResult> {
        let (name, key) = (job_name(cx), cx.idempotency_key());
        let mut may_have_happened = false;
        loop {
            let (trouble, right) = match self.found(site, &facts.container, cx).await {
                Ok(Found::Ours) => return Ok(()),
                Ok(Found::Another) => {
                    return Err(StepResult::stale(Words::new("kubernetes.replaced").with("name", name)));
                }
                // Somebody has deleted what was begun, and it may have done its work by then.
                Ok(Found::Nothing | Found::Ending(_)) if cx.begun => {
                    return Err(StepResult::unknown(Words::new("kubernetes.gone").with("name", name)));
                }
                Ok(Found::Ending(pods)) => {
                    let says = |key| Words::new(key).with("name", name.as_str()).with("pods", pods);
                    if site.left().is_zero() {
                        let why = says("kubernetes.not_ended");
                        return Err(StepResult::unchanged(why));
                    }
                    (cx.progress)(says("kubernetes.still_ending"));
                    pause(AGAIN).await;
                    continue;
                }
                Ok(Found::Failed(uid)) => match site.delete(JOBS, &name, &uid, false).await {
                    Err(trouble) if !trouble.is_absent() => (trouble, Right::all("delete", JOBS)),
                    _ if site.left().is_zero() => {
                        let why = Words::new("kubernetes.being_deleted").with("name", name);
                        return Err(StepResult::unchanged(why));
                    }
                    _ => {
                        pause(AGAIN).await;
                        continue;
                    }
                },
                Ok(Found::Nothing) => {
                    let job = self.job(&name, (&key, cx.fence), self.still_as(site, facts).await?, site);
                    match site.create(JOBS, &job, false).await {
                        Ok(_) => return Ok(()),
                        Err(trouble) => {
                            may_have_happened |= trouble.may_have_happened();
                            (trouble, Right::all("create", JOBS))
                        }
                    }
                }
                Err(trouble) => trouble,
            };
            if !(trouble.is_conflict() || trouble.passes()) || site.left().is_zero() {
                return Err(failed(site, &trouble, &right).after(may_have_happened));
            }
            site.tell(&trouble);
            pause(AGAIN).await;
        }
    }

    /// What there is of this step's Job, and of its pods.
    async fn found(&self, site: &Site<'_>, container: &str, cx: &StepContext<'_>) -> Result<Found, (Trouble, Right)> {
        let name = job_name(cx);
        let job = match site.get(JOBS, &name).await {
            Ok(job) => Object(job),
            Err(trouble) if trouble.is_absent() => {
                let pods = site.list(PODS, &format!("job-name={name}")).await;
                let pods = pods.map_err(|trouble| (trouble, Right::all("list", PODS)))?;
                let pods = pods.into_iter().map(Object).filter(|pod| !has_ended(pod)).count();
                return Ok(if pods == 0 { Found::Nothing } else { Found::Ending(pods) });
            }
            Err(trouble) => return Err((trouble, Right::one("get", JOBS, &name))),
        };
        if job.mark() != Some(&cx.idempotency_key()) {
            return Ok(Found::Another);
        }
        // What was begun is taken up, and so is what this very execution has made although the answer was lost.
        if cx.begun || job.annotation(MADE_BY) == Some(&cx.fence.to_string()) {
            return Ok(Found::Ours);
        }
        match self.look(site, &name, container, &mut None).await {
            Ok(State::Ended(end)) if !end.is_good => Ok(Found::Failed(job.uid().to_owned())),
            Ok(_) => Ok(Found::Ours),
            Err(trouble) => Err((trouble, Right::one("get", JOBS, &name))),
        }
    }

    /// The pod that does it, if what it is like is as it was approved.
    async fn still_as(&self, site: &Site<'_>, facts: &Facts) -> Result<Value, StepResult> {
        let (now, pod) = match self.drafted(site).await {
            Ok(drafted) => drafted,
            Err(NoDraft::Trouble(trouble, right)) => return Err(failed(site, &trouble, &right)),
            Err(other) => {
                return Err(StepResult::stale(other.fault(site, self.like.as_deref().unwrap_or(OWN)).words()));
            }
        };
        if now == *facts {
            return Ok(pod);
        }
        let like = self.like.as_deref().unwrap_or_default();
        let moved = Words::new("kubernetes.moved").with("name", like).with("who", Value::Null);
        Err(StepResult::stale(moved.with("at", now.image.as_str())))
    }

    /// Follows it to its end, its newest line on the card.
    async fn followed(&self, site: &Site<'_>, name: &str, container: &str, cx: &StepContext<'_>) -> StepResult {
        let mut lines: Option<Lines> = None;
        let mut pod: Option<Object> = None;
        let mut asked_why = Stopwatch::start();
        let mut newest = Words::new("kubernetes.job_runs").with("name", name);
        loop {
            match self.look(site, name, container, &mut pod).await {
                Ok(State::Ended(end)) => {
                    let output = self.last_lines(site, pod.as_ref(), container).await;
                    return ended(name, end, output);
                }
                Ok(State::Runs) if site.was_silent() => (cx.progress)(newest.clone()),
                Ok(State::Runs) => {}
                Err(trouble) if trouble.is_absent() => {
                    return StepResult::failed(Words::new("kubernetes.gone").with("name", name));
                }
                Err(trouble) if !trouble.passes() || site.left().is_zero() => {
                    return StepResult::unknown(trouble.words(site, &Right::one("get", JOBS, name)));
                }
                Err(_) => {}
            }
            if site.left().is_zero() {
                return self.too_long(site, name, pod.as_ref(), container).await;
            }
            if pod.is_none() && asked_why.took() >= PODLESS {
                if let Some(why) = unmade(site, name).await {
                    (cx.progress)(why);
                }
                asked_why = Stopwatch::start();
            }
            if lines.is_none()
                && let Some(pod) = pod.as_ref().filter(|pod| pod.text("/status/phase") == "Running")
            {
                lines = match site.follow_log(Logged { pod: pod.name(), container, previous: false }, 1).await {
                    Ok(lines) => Some(lines),
                    Err(trouble) => {
                        tracing::debug!(?trouble, "the log is not followed yet");
                        None
                    }
                };
            }
            match &mut lines {
                None => pause(AGAIN).await,
                Some(told) => match within(AGAIN, told.next()).await {
                    Ok(Some(Ok(line))) => {
                        newest = Words::verbatim(site.redactor.short(&line, 200));
                        (cx.progress)(newest.clone());
                    }
                    Ok(_) => lines = None,
                    Err(_) => {}
                },
            }
        }
    }

    async fn look(
        &self,
        site: &Site<'_>,
        name: &str,
        container: &str,
        pod: &mut Option<Object>,
    ) -> Result<State, Trouble> {
        let job = Object(site.look(JOBS, name).await?);
        let pods = site.list(PODS, &format!("job-name={name}")).await?;
        let own = pods.into_iter().map(Object).find(|pod| pod.belongs_to(job.uid()));
        *pod = own.or(pod.take());
        let is =
            |kind: &str| job.condition(kind).and_then(|one| one.get("status")).and_then(Value::as_str) == Some("True");
        let containers = pod.as_ref().map(container_ends).unwrap_or_default();
        let code = containers.iter().find(|one| one.name == container).and_then(|one| one.code);
        let others = || containers.iter().filter(|one| one.name != container);
        // A proxy that was put beside it may never end, and then the Job does not either.
        let is_over = is("Complete") || is("Failed") || (code.is_some() && others().any(|one| one.runs));
        if !is_over {
            return Ok(State::Runs);
        }
        let reason = job.condition("Failed").and_then(|one| one.get("reason")?.as_str());
        Ok(State::Ended(Ended {
            is_good: code.map_or(is("Complete"), |code| code == 0),
            code,
            is_cut: code.is_none() && reason == Some("DeadlineExceeded"),
            beside: others().filter_map(ContainerEnd::words).collect(),
        }))
    }

    /// It has neither ended nor will anybody wait for it: it is stopped, so that it does not begin later.
    async fn too_long(&self, site: &Site<'_>, name: &str, pod: Option<&Object>, container: &str) -> StepResult {
        let output = self.last_lines(site, pod, container).await;
        let job = site.get(JOBS, name).await.map(Object);
        let reasons = match (pod, &job) {
            (None, Ok(job)) => not_made(site, job).await.into_iter().map(Value::from).collect(),
            (pod, _) => pod.map(|pod| why_not(std::slice::from_ref(pod))).unwrap_or_default(),
        };
        let why = Words::new("kubernetes.job_stopped").with("name", name).with("reasons", reasons);
        let stopped = match job {
            Ok(job) => site.delete(JOBS, name, job.uid(), false).await,
            Err(trouble) => Err(trouble),
        };
        match stopped {
            Ok(()) => StepResult::Failed { why, output },
            Err(trouble) if trouble.is_absent() => StepResult::Failed { why, output },
            Err(trouble) => StepResult::Unknown { why: trouble.words(site, &Right::all("delete", JOBS)), output },
        }
    }

    async fn last_lines(&self, site: &Site<'_>, pod: Option<&Object>, container: &str) -> Option<String> {
        let logged = Logged { pod: pod?.name(), container, previous: false };
        let lines = i64::from(self.log_lines.unwrap_or(LOG_LINES));
        match site.last_lines(logged, lines, MOST_LOG).await {
            Ok(end) if !end.text.trim().is_empty() => Some(site.redactor.text(&end.text)),
            Ok(_) => None,
            Err(trouble) => {
                tracing::debug!(?trouble, "there is no log");
                None
            }
        }
    }
}

/// Why it has no pod, as far as the cluster tells.
async fn unmade(site: &Site<'_>, name: &str) -> Option<Words> {
    match site.look(JOBS, name).await {
        Ok(job) => not_made(site, &Object(job)).await,
        Err(trouble) => {
            tracing::debug!(?trouble, "the job could not be looked at");
            None
        }
    }
}

fn ended(name: &str, end: Ended, output: Option<String>) -> StepResult {
    if end.is_cut {
        return StepResult::Failed { why: Words::new("kubernetes.job_cut").with("name", name), output };
    }
    let words = Words::new("kubernetes.job_ended").with("name", name).with("code", end.code).with("beside", end.beside);
    match end.is_good {
        true => StepResult::Done { note: words, output, live: None },
        false => StepResult::Failed { why: words, output },
    }
}

fn failed(site: &Site<'_>, trouble: &Trouble, right: &Right) -> StepResult {
    StepResult::unchanged(trouble.words(site, right))
}
