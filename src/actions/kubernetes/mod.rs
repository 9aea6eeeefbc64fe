//! Kubernetes: what a team does by hand with `kubectl`, with a plan that says everything beforehand (K1–K14).
//!
//! An operation is one file here and one line in the table below. Most of them change objects that are there, one request
//! each: `change` does that, and at most once; `follow` waits for the pods; `deed` says what is compared and what is sent.
//!
//! What this provider may not do: run `kubectl` or anything else on the host but the program that a kubeconfig names for
//! its credentials; put a value of an environment or a secret into a plan; send a change that could happen twice.

mod applied;
mod apply;
mod back;
mod call;
mod change;
mod cluster;
mod deed;
mod delete;
mod earlier;
mod ending;
mod flags;
mod follow;
mod image;
mod job;
mod keep;
mod kinds;
mod logs;
mod look;
mod manifests;
mod object;
mod part;
mod pausing;
mod pods;
mod prove;
mod recreate;
mod restart;
mod revision;
mod rights;
mod roles;
mod scale;
mod secret;
mod select;
mod undo;
mod users;
mod wait;
mod workloads;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use self::apply::Apply;
use self::call::{Site, Trouble};
pub use self::cluster::{ClusterConfig, Clusters, Impersonation};
use self::delete::Delete;
use self::flags::Flags;
use self::image::SetImage;
use self::job::RunJob;
use self::kinds::is_label;
pub use self::look::KubernetesCheck;
use self::pausing::{Pause, Resume};
pub use self::prove::ClusterSeen;
use self::recreate::RecreatePods;
use self::restart::Restart;
use self::rights::{Allowed, Right};
pub use self::roles::{Needs, Subject};
use self::scale::{Scale, ScaleBack};
use self::secret::RestoreSecret;
use self::select::Select;
use self::undo::Undo;
use self::wait::Wait;
use super::World;
use super::config::{ConfigFault, fault};
use super::keep::State;
use super::provider::{ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured};
use crate::incident::approval::{Choice, Choosing, PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// One kind of change in a namespace.
#[async_trait]
trait Operation: fmt::Debug + Send + Sync {
    /// What it changes, as people write it: `deployment/web`. Others keep off meanwhile.
    fn names(&self) -> Vec<String>;

    /// The worst it can do when the step says nothing else.
    fn risk(&self) -> Risk;

    /// What must be allowed: asked before the plan, and printed as a role.
    fn rights(&self) -> Vec<Right>;

    /// Adds every fault of its configuration.
    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>);

    /// What of its configuration decides how it is done, and stands neither in its names nor in its facts. A plan is approved
    /// for these.
    fn settings(&self) -> Value {
        Value::Null
    }

    /// Whether a person says where it goes.
    fn choosing(&self) -> Choosing {
        Choosing::Nothing
    }

    /// It goes on from what an earlier step of the same plan leaves, or does the same whatever that is.
    fn takes_up(&self) -> bool {
        false
    }

    /// The same for one of its names.
    fn goes_on_from(&self, _name: &str) -> bool {
        self.takes_up()
    }

    /// Where it can go, for a person to choose.
    async fn choices(&self, _site: &Site<'_>) -> Result<Vec<Choice>, NoDraft> {
        Ok(Vec::new())
    }

    /// What it would do. Only reads, and lets the server rehearse.
    async fn plan(&self, site: &Site<'_>) -> Result<Draft, NoDraft>;

    /// What would take it back, from how the cluster is now.
    async fn plan_back(&self, _facts: &Value, _site: &Site<'_>) -> Result<Draft, NoDraft> {
        Err(NoDraft::Nothing(Words::new("step.no_way_back")))
    }

    /// Does what was planned, or takes up what this step has begun.
    async fn execute(&self, facts: &Value, site: &Site<'_>, cx: &StepContext<'_>) -> StepResult;

    /// Whether it happened, and whether it is over.
    async fn check(&self, facts: &Value, site: &Site<'_>, cx: &StepContext<'_>) -> Happened;

    /// Takes away what it left lying, once its end is kept. May be lost.
    async fn tidy(&self, _site: &Site<'_>, _cx: &StepContext<'_>) {}
}

/// What an operation would do.
struct Draft {
    title: Words,
    from: Option<String>,
    to: String,
    diff: Vec<Words>,
    /// The operation's own absolute facts.
    facts: Value,
    /// What is changed besides the names of the configuration, as people write it.
    also: Vec<String>,
}

/// Why there is nothing to be planned.
#[derive(Debug)]
enum NoDraft {
    /// It cannot work, for this reason.
    Refused(Words),
    /// There is no earlier state.
    Nothing(Words),
    /// It is there already.
    Already(String),
    /// A step before it in the same plan changes this, and it cannot tell what is left of it.
    Taken(String),
    /// It could not be read, or the server refuses; the right is what was tried.
    Trouble(Trouble, Right),
}

impl NoDraft {
    /// A refusal of the server is its last word; other trouble only means that something could not be read.
    fn fault(self, site: &Site<'_>, target: &str) -> PlanFault {
        let target = target.to_owned();
        match self {
            NoDraft::Refused(why) => PlanFault::Refused { target, why },
            NoDraft::Nothing(why) => PlanFault::NothingToGoBackTo(why),
            NoDraft::Already(to) => PlanFault::AlreadyThere { target, to },
            NoDraft::Taken(name) => PlanFault::SameTarget(name),
            NoDraft::Trouble(trouble, right) => {
                let why = trouble.words(site, &right);
                if trouble.passes() || matches!(trouble, Trouble::NoAccess(_)) {
                    PlanFault::Unreadable { target, why }
                } else {
                    PlanFault::Refused { target, why }
                }
            }
        }
    }
}

/// Makes the configuration from the table of operations: each is a field, exactly one of which is set.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident: $operation:ty),* $(,)?) => {
        /// A change in one namespace of one cluster.
        #[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Kubernetes {
            /// The cluster, by its key under `clusters`.
            pub cluster: String,
            /// The namespace.
            pub namespace: String,
            /// What it can do to the world; each operation has its own when it is not said.
            pub risk: Option<Risk>,
            /// Labels of the pods whose logs are kept before anything is changed (K15), each as `app=web`; those of the
            /// workloads that the step names when nothing is said.
            #[serde(default)]
            pub keep_logs: Vec<String>,
            $($(#[$doc])* pub $name: Option<Box<$operation>>,)*
        }

        impl Kubernetes {
            const OPERATIONS: &'static [&'static str] = &[$(stringify!($name)),*];

            fn set(&self) -> Vec<(&'static str, &dyn Operation)> {
                let mut set: Vec<(&'static str, &dyn Operation)> = Vec::new();
                $(if let Some(operation) = &self.$name {
                    set.push((stringify!($name), operation.as_ref()));
                })*
                set
            }
        }
    };
}

operations! {
    /// Goes back to the revision before the one that runs (K1).
    undo: Undo,
    /// Waits until roll-outs are complete (K3).
    wait: Wait,
    /// Stops a roll-out where it is (K4).
    pause: Pause,
    /// Lets a paused roll-out go on (K4).
    resume: Resume,
    /// Makes all pods anew (K5).
    restart: Restart,
    /// Sets containers to known images (K6).
    set_image: SetImage,
    /// Changes how many pods there are; the cluster remembers the former number (K7).
    scale: Scale,
    /// Goes back to the number of pods that the cluster remembers (K7).
    scale_back: ScaleBack,
    /// Switches Services to another set of pods (K8).
    select: Select,
    /// Sets keys of a ConfigMap and restarts what reads it (K9).
    flags: Flags,
    /// Puts a Secret back from a saved copy (K10).
    put_secret_back: RestoreSecret,
    /// Applies a folder of saved manifests (K11).
    apply: Apply,
    /// Deletes Jobs, Pods or volume claims (K12).
    delete: Delete,
    /// Deletes pods so that they are made anew (K13).
    recreate_pods: RecreatePods,
    /// Runs something once (K14).
    job: RunJob,
}

#[async_trait]
impl ActionProvider for Kubernetes {
    fn target(&self) -> Cow<'_, str> {
        let names: Vec<String> = self.set().iter().flat_map(|(_, operation)| operation.names()).collect();
        format!("{} ({}, {})", names.join(", "), self.namespace, self.cluster).into()
    }

    fn risk(&self) -> Risk {
        let own = || self.operation().map_or(Risk::Destructive, |(_, operation)| operation.risk());
        self.risk.unwrap_or_else(own)
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(10)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        self.job.iter().flat_map(|job| job.secrets.values()).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if !is_label(&self.namespace) {
            faults.push(fault(format!("{path}.namespace"), "this is no name of a namespace; write for example shop"));
        }
        for (index, label) in self.keep_logs.iter().enumerate() {
            if label.trim().is_empty() {
                let sentence = "the logs of all pods would be meant; write for example app=web";
                faults.push(fault(format!("{path}.keep_logs[{index}]"), sentence));
            }
        }
        let set = self.set();
        if set.len() != 1 {
            let sentence = format!("a step in a cluster is exactly one of {}", Self::OPERATIONS.join(", "));
            faults.push(fault(path, sentence));
        }
        for (name, operation) in set {
            operation.validate(&format!("{path}.{name}"), faults);
        }
    }

    fn choosing(&self) -> Choosing {
        self.operation().map_or(Choosing::Nothing, |(_, operation)| operation.choosing())
    }

    fn takes_up(&self) -> bool {
        self.operation().is_some_and(|(_, operation)| operation.takes_up())
    }

    fn brings_back(&self, earlier: &PlannedStep) -> bool {
        match earlier.spec["operation"].as_str() {
            Some("scale") => self.scale_back.is_some(),
            Some("pause") => self.resume.is_some(),
            _ => false,
        }
    }

    async fn choices(&self, cx: &PlanContext<'_>) -> Result<Vec<Choice>, PlanFault> {
        let target = self.target().into_owned();
        let site = self.site(cx.world, cx.within / 2);
        let site = site.map_err(|why| PlanFault::Unreadable { target: target.clone(), why })?;
        match self.operation() {
            Some((_, operation)) => operation.choices(&site).await.map_err(|why| why.fault(&site, &target)),
            None => Ok(Vec::new()),
        }
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let target = self.target().into_owned();
        let refused = |why: Words| PlanFault::Refused { target: target.clone(), why };
        let (name, operation) = self.operation().ok_or_else(|| refused(reconfigured()))?;
        // Half of the time: a cluster that does not answer is to be named, and not only the planning that took too long.
        let site = self.site(cx.world, cx.within / 2);
        let mut site = site.map_err(|why| PlanFault::Unreadable { target: target.clone(), why })?;
        site.wanted = cx.wanted;
        let here = self.lock(cx.world, "");
        let is_here = |step: &&PlannedStep| step.locks().iter().any(|lock| lock.starts_with(&here));
        let earlier: Vec<&PlannedStep> = cx.earlier.iter().filter(is_here).collect();
        site.earlier = earlier.iter().map(|step| &step.spec["facts"]).collect();
        let taken = earlier.iter().flat_map(|step| step.locks()).filter_map(|lock| lock.strip_prefix(&here));
        site.taken = taken.map(str::to_owned).collect();
        let draft = operation.plan(&site);
        self.planned(&site, (name, operation), draft, target.clone(), cx.world).await
    }

    async fn plan_back(&self, done: &PlannedStep, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let target = self.target().into_owned();
        let (operation, facts) = self.approved(done, cx.world).map_err(PlanFault::NothingToGoBackTo)?;
        let site = self.site(cx.world, cx.within / 2);
        let site = site.map_err(|why| PlanFault::Unreadable { target: target.clone(), why })?;
        let name = self.operation().map_or("", |(name, _)| name);
        self.planned(&site, (name, operation), operation.plan_back(facts, &site), target, cx.world).await
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        match self.held(step, cx).await {
            Ok(((operation, _), _)) if step.spec["settings"] != json!(fingerprint(operation)) => {
                StepResult::stale(reconfigured())
            }
            Ok(((operation, facts), site)) => operation.execute(facts, &site, cx).await,
            Err(why) => StepResult::stale(why),
        }
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        match self.held(step, cx).await {
            Ok(((operation, facts), site)) => operation.check(facts, &site, cx).await,
            Err(why) => Happened::CannotTell { why },
        }
    }

    fn keeps_state_of(&self) -> Option<String> {
        Some(format!("kubernetes/{}/{}", self.cluster, self.namespace))
    }

    async fn keep_state(&self, steps: &[&PlannedStep], cx: &PlanContext<'_>) -> State {
        let site = match self.site(cx.world, cx.within) {
            Ok(site) => site,
            Err(why) => return State { files: Vec::new(), missed: vec![why] },
        };
        let here = self.lock(cx.world, "");
        let locks = steps.iter().flat_map(|step| step.locks());
        let mut names: Vec<String> = locks.filter_map(|lock| lock.strip_prefix(&here)).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        keep::keep(&site, &format!("{}-{}", self.cluster, self.namespace), &self.keep_logs, &names).await
    }

    async fn tidy(&self, cx: &StepContext<'_>) {
        if let (Some((_, operation)), Ok(site)) = (self.operation(), self.site(cx.world, cx.within)) {
            operation.tidy(&site, cx).await;
        }
    }
}

impl Kubernetes {
    fn operation(&self) -> Option<(&'static str, &dyn Operation)> {
        self.set().into_iter().next()
    }

    fn lock(&self, world: &World, name: &str) -> String {
        format!("kubernetes/{}/{}/{name}", world.clusters.place(&self.cluster), self.namespace)
    }

    /// What both this step and an earlier one of the same plan change, where this one cannot go on from what that leaves.
    pub(super) fn clashes_with(&self, earlier: &Self) -> Option<String> {
        if (&self.cluster, &self.namespace) != (&earlier.cluster, &earlier.namespace) {
            return None;
        }
        let (_, operation) = self.operation()?;
        let taken = earlier.operation().map(|(_, operation)| operation.names()).unwrap_or_default();
        operation.names().into_iter().find(|name| taken.contains(name) && !operation.goes_on_from(name))
    }

    /// What nobody else may change meanwhile, in the words of every operation on the same things.
    fn locks(&self, world: &World, operation: &dyn Operation) -> Vec<String> {
        operation.names().iter().map(|name| self.lock(world, name)).collect()
    }

    fn site<'a>(&'a self, world: &'a World, within: Duration) -> Result<Site<'a>, Words> {
        let cluster = world.clusters.get(&self.cluster).ok_or_else(reconfigured)?;
        Ok(Site::new(cluster, &self.namespace, world, within))
    }

    /// The step that a draft comes to, if it will be allowed.
    async fn planned(
        &self,
        site: &Site<'_>,
        (name, operation): (&str, &dyn Operation),
        draft: impl Future<Output = Result<Draft, NoDraft>> + Send,
        target: String,
        world: &World,
    ) -> Result<PlannedStep, PlanFault> {
        let rights = operation.rights();
        let (allowed, draft) = tokio::join!(rights::check(site, &rights), draft);
        let needs = match allowed {
            Allowed::All(needs) => needs,
            Allowed::Unsaid => vec![Words::new("kubernetes.rights_unsaid")],
            Allowed::Lacks(why) => return Err(PlanFault::Refused { target, why }),
        };
        let draft = draft.map_err(|why| why.fault(site, &target))?;
        let server = site.server().await.map_err(|why| NoDraft::Trouble(why, Right::all("get", kinds::PODS)));
        let server = server.map_err(|why| why.fault(site, &target))?;
        let also = draft.also.iter().map(|name| self.lock(world, name));
        Ok(PlannedStep {
            title: draft.title,
            locks: self.locks(world, operation).into_iter().chain(also).collect(),
            target,
            from: draft.from,
            to: draft.to,
            diff: draft.diff,
            needs,
            risk: self.risk(),
            provider: String::new(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            spec: json!({
                "operation": name,
                "settings": fingerprint(operation),
                "server": server,
                "facts": draft.facts,
            }),
        })
    }

    /// What was approved, if today's configuration still means the same and the cluster is the same. Whether it is cannot be
    /// told where there is no way to it, and then whatever is asked of it says so.
    async fn held<'s>(&'s self, step: &'s PlannedStep, cx: &'s StepContext<'_>) -> Result<Held<'s>, Words> {
        let found = self.approved(step, cx.world)?;
        let mut site = self.site(cx.world, cx.within)?;
        site.tells = Some(cx.progress);
        site.held_to = step.spec["server"].as_str();
        match site.server().await {
            Ok(server) if site.held_to.is_some_and(|wanted| wanted != server) => Err(site.is_another()),
            _ => Ok((found, site)),
        }
    }

    /// The operation with its approved facts, if today's configuration still means the same.
    fn approved<'s>(&'s self, step: &'s PlannedStep, world: &World) -> Result<(&'s dyn Operation, &'s Value), Words> {
        let (name, operation) = self.operation().ok_or_else(reconfigured)?;
        let is_same = step.spec["operation"] == name && step.locks.starts_with(&self.locks(world, operation));
        if is_same { Ok((operation, &step.spec["facts"])) } else { Err(reconfigured()) }
    }
}

/// The operation of a step with its approved facts, and the place where it is carried out.
type Held<'s> = ((&'s dyn Operation, &'s Value), Site<'s>);

/// Of the operation's settings, where it has any.
fn fingerprint(operation: &dyn Operation) -> Option<String> {
    let settings = operation.settings();
    (!settings.is_null()).then(|| hex::encode(Sha256::digest(settings.to_string())))
}

#[cfg(test)]
mod tests;
