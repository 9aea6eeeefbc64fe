//! AWS ECS (A1): a service goes back to an earlier revision of its task definition, or gets another number of tasks.
//!
//! What this provider may not do: register a task definition, start a deployment that changes nothing, or take the end of
//! a roll-out for good that ECS itself took back. Credentials come from the configuration or from where AWS's own programs
//! look for them; they are neither shown nor kept.

#[cfg(feature = "ecs")]
mod aws;
#[cfg(not(feature = "ecs"))]
#[path = "no_aws.rs"]
mod aws;
mod client;
mod service;

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

pub use self::aws::Sessions;
use self::client::Client;
use self::service::{Place, Service, ServiceLever, Spec, What};
use super::World;
use super::api::{is_plain, validate_address};
use super::config::{ConfigFault, fault};
use super::length;
use super::lever;
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use crate::incident::approval::{Choice, Choosing, PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// A change to one service: exactly one of back and scale.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ecs {
    /// The region, for example `eu-west-3`.
    pub region: String,
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// Takes it to another revision of its task definition.
    pub back: Option<Back>,
    /// Gives it another number of tasks.
    pub scale: Option<Scale>,
    /// Credentials of our own; where AWS's own programs look for them when it is not said.
    pub keys: Option<Keys>,
    /// A profile in AWS's own files.
    pub profile: Option<String>,
    /// A role that is taken on first.
    pub role: Option<Role>,
    /// Where ECS is; AWS's own address in the region when it is not said.
    pub endpoint: Option<String>,
    /// Where roles are taken on (STS); AWS's own address in the region when it is not said.
    pub sts_endpoint: Option<String>,
    /// How long after ECS's yes nothing need be seen: 5 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub settle: Option<Millis>,
    /// What it can do to the world; reversible when it is not said.
    pub risk: Option<Risk>,
}

/// Which revision is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Back {
    /// Always this one, as `family:revision`; the one before when it is not said.
    pub to: Option<String>,
}

/// How many tasks there shall be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The number.
    pub to: u32,
}

/// An access key.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Its id.
    pub id: String,
    /// Its secret.
    #[schemars(with = "String")]
    pub secret: SecretString,
}

/// A role, perhaps of another account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its whole name: `arn:aws:iam::123456789012:role/vigie`.
    pub arn: String,
    /// What the other account wants to hear.
    pub external_id: Option<String>,
}

#[async_trait]
impl ActionProvider for Ecs {
    fn target(&self) -> Cow<'_, str> {
        let account = self.account().map(|account| format!(", {account}")).unwrap_or_default();
        format!("{} ({}, {}{account})", self.service, self.cluster, self.region).into()
    }

    fn locks(&self) -> Vec<String> {
        let account = self.account().map(|account| format!("{account}/")).unwrap_or_default();
        vec![format!("ecs/{account}{}/{}/{}", self.region, self.cluster, self.service)]
    }

    fn risk(&self) -> Risk {
        self.risk.unwrap_or(Risk::Reversible)
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(15)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        self.keys.iter().map(|keys| &keys.secret).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if cfg!(not(feature = "ecs")) {
            faults.push(fault(path, "this build has no AWS; build it with the feature ecs, or take the step out"));
        }
        if self.back.is_some() == self.scale.is_some() {
            faults.push(fault(path, "say what is done in exactly one way: back or scale"));
        }
        let region: Vec<&str> = self.region.split('-').collect();
        let is_region = region.len() >= 3
            && region
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        if !is_region {
            faults.push(fault(format!("{path}.region"), "this is no region; write for example eu-west-3"));
        }
        for (name, text) in [("cluster", &self.cluster), ("service", &self.service)] {
            if !is_plain(text) {
                faults.push(fault(format!("{path}.{name}"), "write its name, without arn: before it"));
            }
        }
        if self.back.as_ref().and_then(|back| back.to.as_ref()).is_some_and(|to| service::Revision::named(to).is_none())
        {
            faults.push(fault(format!("{path}.back.to"), "write the family and the revision, for example web:41"));
        }
        if self.role.as_ref().is_some_and(|role| !role.arn.starts_with("arn:") || !role.arn.contains(":role/")) {
            let sentence = "write the role's whole name, for example arn:aws:iam::123456789012:role/vigie";
            faults.push(fault(format!("{path}.role.arn"), sentence));
        }
        if self.keys.is_some() && self.profile.is_some() {
            faults
                .push(fault(format!("{path}.profile"), "keys and a profile are two ways of one thing; leave one away"));
        }
        if self.keys.as_ref().is_some_and(|keys| keys.secret.expose_secret().trim().is_empty() || keys.id.is_empty()) {
            faults.push(fault(format!("{path}.keys"), "the key is empty; write for example ${AWS_KEY}"));
        }
        validate_address(self.endpoint.as_deref(), &format!("{path}.endpoint"), faults);
        validate_address(self.sts_endpoint.as_deref(), &format!("{path}.sts_endpoint"), faults);
    }

    fn choosing(&self) -> Choosing {
        if self.back.as_ref().is_some_and(|back| back.to.is_none()) { Choosing::May } else { Choosing::Nothing }
    }

    fn takes_up(&self) -> bool {
        self.scale.is_some()
    }

    fn brings_back(&self, earlier: &PlannedStep) -> bool {
        let scales = |spec: Spec| matches!(spec.what, What::Count { .. });
        self.scale.is_some() && spec_of(earlier).is_ok_and(scales)
    }

    async fn choices(&self, cx: &PlanContext<'_>) -> Result<Vec<Choice>, PlanFault> {
        let client = self.client(cx.world, planning(cx));
        let service = self.read(&client).await?;
        let earlier = self.earlier(&client, &service).await?;
        let choice = |name: String| Choice { label: Words::verbatim(name.as_str()), value: name };
        Ok(earlier.into_iter().map(|revision| choice(revision.to_string())).collect())
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let client = self.client(cx.world, planning(cx));
        let service = self.read(&client).await?;
        let Some(back) = &self.back else {
            let to = self.scale.as_ref().map_or(0, |scale| i64::from(scale.to));
            return self.scaling(&service, self.left(cx.earlier).unwrap_or(service.desired), to, false);
        };
        let to = match back.to.as_deref().or(cx.wanted) {
            Some(name) => name.to_owned(),
            None => {
                self.earlier(&client, &service).await?.into_iter().next().map(|to| to.to_string()).ok_or_else(|| {
                    let why = self.says("ecs.no_earlier").with("at", service.at().to_string());
                    PlanFault::NothingToGoBackTo(why)
                })?
            }
        };
        self.going(&client, &service, &to, false).await
    }

    async fn plan_back(&self, done: &PlannedStep, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let spec: Spec = spec_of(done).map_err(PlanFault::NothingToGoBackTo)?;
        let client = self.client(cx.world, planning(cx));
        let service = self.read(&client).await?;
        match spec.what {
            What::Revision { from, .. } => self.going(&client, &service, &from, true).await,
            What::Count { from, .. } => self.scaling(&service, service.desired, from, true),
        }
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        match self.approved(step) {
            Ok(spec) if cx.begun => lever::throw(&self.lever(step, spec, cx), cx).await,
            Ok(spec) => lever::throw(&self.lever(step, spec, cx).anew(), cx).await,
            Err(found) => StepResult::stale(found),
        }
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        match self.approved(step) {
            Ok(spec) => lever::settled(&self.lever(step, spec, cx), cx).await,
            Err(why) => Happened::CannotTell { why },
        }
    }
}

/// Not all of the time: what does not answer is to be named, and not only the planning that took too long.
fn planning(cx: &PlanContext<'_>) -> Duration {
    cx.within / 2
}

impl Ecs {
    /// The account that the role is of: the same names mean something else in another one.
    fn account(&self) -> Option<&str> {
        self.role.as_ref()?.arn.split(':').nth(4).filter(|account| !account.is_empty())
    }

    /// Who Vigie is there and where there is. Not by which key: keys are changed, and stay in one account.
    fn place(&self) -> Place {
        let role = self.role.as_ref().map(|role| role.arn.clone());
        Place { role, profile: self.profile.clone(), endpoint: self.endpoint.clone() }
    }

    fn client<'a>(&'a self, world: &'a World, within: Duration) -> Client<'a> {
        Client::new(self, world, within)
    }

    fn settle(&self) -> Duration {
        length::duration(self.settle.unwrap_or(Millis::seconds(5)))
    }

    fn lever<'a>(&'a self, step: &'a PlannedStep, spec: Spec, cx: &'a StepContext<'_>) -> ServiceLever<'a> {
        ServiceLever::new(self, self.client(cx.world, cx.within), spec, step)
    }

    /// A sentence about the service.
    fn says(&self, key: &'static str) -> Words {
        Words::new(key).with("service", self.service.as_str())
    }

    /// A sentence about it that cannot be taken for one about another region.
    fn about(&self, key: &'static str) -> Words {
        Words::new(key).with("target", self.target().into_owned())
    }

    fn refused(&self, why: Words) -> PlanFault {
        PlanFault::Refused { target: self.target().into_owned(), why }
    }

    /// The service as it is, if it can be changed at all.
    async fn read(&self, client: &Client<'_>) -> Result<Service, PlanFault> {
        let fault = |trouble: super::api::Trouble| client::as_plan_fault(&trouble, &self.target(), &self.service);
        let service = Service::read(client).await.map_err(fault)?;
        match service.unfit() {
            Some(key) => Err(self.refused(self.says(key))),
            None => Ok(service),
        }
    }

    /// The revisions of its family before the one that runs, the newest first.
    async fn earlier(&self, client: &Client<'_>, service: &Service) -> Result<Vec<service::Revision>, PlanFault> {
        let found = service::earlier(client, service.at()).await;
        found.map_err(|trouble| client::as_plan_fault(&trouble, &self.target(), &service.at().family))
    }

    /// The step to another revision.
    async fn going(
        &self,
        client: &Client<'_>,
        service: &Service,
        to: &str,
        is_back: bool,
    ) -> Result<PlannedStep, PlanFault> {
        let fault = |what: &str, trouble: super::api::Trouble| client::as_plan_fault(&trouble, &self.target(), what);
        let then = service::Definition::read(client, to).await.map_err(|trouble| fault(to, trouble))?;
        let name = then.revision.to_string();
        if !then.is_active {
            return Err(self.refused(self.says("ecs.deregistered").with("at", name)));
        }
        if then.arn == service.primary.task_definition {
            return Err(PlanFault::AlreadyThere { target: self.target().into_owned(), to: name });
        }
        let here = service.primary.task_definition.as_str();
        let now = service::Definition::read(client, here).await.map_err(|trouble| fault(here, trouble))?;
        let (from_shown, to_shown) = (now.revision.to_string(), name);
        let mut diff = now.changes(&then);
        diff.extend(service.rolling().then(|| self.says("ecs.rolling")));
        let what = What::Revision { from: now.arn, to: then.arn };
        let title = self.about("ecs.title_back").with("from", from_shown.as_str()).with("to", to_shown.as_str());
        Ok(self.step(title, service, what, (from_shown, to_shown), diff, is_back))
    }

    /// How many tasks an earlier step of the same plan leaves.
    fn left(&self, earlier: &[PlannedStep]) -> Option<i64> {
        let last = earlier.iter().rev().find(|step| step.locks == self.locks())?;
        match spec_of::<Spec>(last).ok()?.what {
            What::Count { to, .. } => Some(to),
            What::Revision { .. } => None,
        }
    }

    /// The step to another number of tasks.
    fn scaling(&self, service: &Service, from: i64, to: i64, is_back: bool) -> Result<PlannedStep, PlanFault> {
        let shown = |count: i64| format!("desired={count}");
        if from == to {
            return Err(PlanFault::AlreadyThere { target: self.target().into_owned(), to: shown(to) });
        }
        let title = self.about("ecs.title_scale").with("from", from).with("to", to);
        let diff = vec![self.says("ecs.running").with("running", service.running).with("pending", service.pending)];
        Ok(self.step(title, service, What::Count { from, to }, (shown(from), shown(to)), diff, is_back))
    }

    fn step(
        &self,
        title: Words,
        service: &Service,
        what: What,
        (from_shown, to_shown): (String, String),
        diff: Vec<Words>,
        is_back: bool,
    ) -> PlannedStep {
        let known = service.deployments.iter().map(|deployment| deployment.id.clone()).collect();
        let (from, to) = (Some(from_shown.clone()), to_shown.clone());
        let spec = Spec { what, place: self.place(), from_shown, to_shown, known, is_back };
        PlannedStep {
            title,
            target: self.target().into_owned(),
            locks: self.locks(),
            from,
            to,
            diff,
            needs: Vec::new(),
            risk: self.risk(),
            provider: String::new(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
        }
    }

    /// The approved facts, if today's configuration still means the same.
    fn approved(&self, step: &PlannedStep) -> Result<Spec, Words> {
        let spec: Spec = spec_of(step)?;
        let fixed = self.back.as_ref().and_then(|back| back.to.as_ref());
        let meant = match &spec.what {
            What::Revision { .. } => self.back.is_some() && fixed.is_none_or(|to| *to == spec.to_shown),
            What::Count { to, .. } => self.scale.as_ref().is_some_and(|scale| i64::from(scale.to) == *to),
        };
        let is_here = step.locks == self.locks() && spec.place == self.place();
        if (meant || spec.is_back) && is_here { Ok(spec) } else { Err(reconfigured()) }
    }
}
