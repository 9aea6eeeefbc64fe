//! Any other system with an HTTP API: one typed request (row X3).
//!
//! With a probe — an address that says whether the thing is done — the plan knows where it stands, and a lost
//! answer can be settled by looking. Without one, a lost answer is for a person to settle.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::World;
use super::config::{ConfigFault, fault};
use super::http::{
    Headers, Method, NoAnswer, Request, broken_rule, credentials, may_have_happened, validate_body, validate_headers,
    validate_url, yes,
};
use super::json::{FieldRule, pointer, same, shown};
use super::length;
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use super::stopwatch::Patience;
use super::template::Filling;
use crate::incident::approval::{PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// One request and what must come back.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCall {
    /// What it changes, named so that nothing else can be meant.
    pub target: String,
    /// What is so afterwards, in words: `maintenance page is on`. `{{to}}` in the request stands for it.
    pub to: String,
    /// What it can do to the world; destructive when it is not said, because nobody knows.
    pub risk: Option<Risk>,
    /// The address.
    pub url: String,
    /// POST when it is not said.
    #[serde(default = "post")]
    pub method: Method,
    /// Header fields, for instance `Authorization`.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub headers: Headers,
    /// The JSON to send.
    pub body: Option<Value>,
    /// The statuses that mean yes: 200, 201, 202 and 204 when it is not said.
    #[serde(default = "yes")]
    pub expect: Vec<u16>,
    /// What the answer's fields must be, too.
    #[serde(default)]
    pub fields: Vec<FieldRule>,
    /// Where to look whether it is done.
    pub probe: Option<Probe>,
}

/// Where to look whether a request was carried out.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The address that is read.
    pub url: String,
    /// Header fields, for instance `Authorization`.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub headers: Headers,
    /// JSON pointer to the field that says it.
    pub field: String,
    /// The field's value once it is done.
    pub equals: Value,
    /// How long it may take until the field says so: 10 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub settle: Option<Millis>,
}

const fn post() -> Method {
    Method::Post
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Spec {
    /// What the probe found while planning.
    found: Option<Value>,
    request: Request,
}

#[async_trait]
impl ActionProvider for HttpCall {
    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.target)
    }

    fn risk(&self) -> Risk {
        self.risk.unwrap_or(Risk::Destructive)
    }

    fn usually_within(&self) -> Millis {
        Millis(30_000 + self.probe.as_ref().map_or(0, |probe| probe.settle().0))
    }

    fn secrets(&self) -> Vec<&SecretString> {
        let probe = self.probe.iter().flat_map(|probe| credentials(&probe.headers));
        credentials(&self.headers).into_iter().chain(probe).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let known = ["to", "target"];
        validate_url(&self.url, &known, path, faults);
        validate_headers(&self.headers, path, faults);
        if self.to.trim().is_empty() {
            faults.push(fault(format!("{path}.to"), "say what is so afterwards, for example “maintenance page is on”"));
        }
        validate_body(self.body.as_ref(), &known, path, faults);
        if self.expect.is_empty() {
            faults.push(fault(format!("{path}.expect"), "name at least one status that means yes, for example 200"));
        }
        for (index, rule) in self.fields.iter().enumerate() {
            rule.validate(&format!("{path}.fields[{index}]"), faults);
        }
        if let Some(probe) = &self.probe {
            let path = format!("{path}.probe");
            validate_url(&probe.url, &[], &path, faults);
            validate_headers(&probe.headers, &path, faults);
            pointer(&probe.field, &format!("{path}.field"), faults);
        }
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let found = match &self.probe {
            Some(probe) => Some(
                probe
                    .look(cx.world, cx.within)
                    .await
                    .map_err(|why| PlanFault::Unreadable { target: self.target.clone(), why })?,
            ),
            None => None,
        };
        if self.is_done(found.as_ref()) {
            return Err(PlanFault::AlreadyThere { target: self.target.clone(), to: self.to.clone() });
        }
        let spec = Spec { found, request: self.request() };
        Ok(PlannedStep {
            title: self.says("step.title_to").with("to", self.to.as_str()),
            target: self.target.clone(),
            locks: Vec::new(),
            from: spec.found.as_ref().map(shown),
            to: self.to.clone(),
            diff: vec![Words::verbatim(spec.request.shown())],
            needs: Vec::new(),
            risk: self.risk(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            provider: String::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
        })
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(found) => return StepResult::stale(found),
        };
        if let Some(probe) = &self.probe {
            match probe.look(cx.world, cx.within).await {
                Err(why) => {
                    return StepResult::failed(self.says("step.unread_before").with("why", why));
                }
                Ok(found) if self.is_done(Some(&found)) => {
                    return StepResult::done(self.says("step.already_so").with("to", self.to.as_str()));
                }
                Ok(found) if spec.found.as_ref() != Some(&found) => {
                    return StepResult::stale(self.says("step.is_at").with("at", shown(&found)));
                }
                Ok(_) => {}
            }
        }
        self.call(&spec.request, cx).await
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        let (spec, probe) = match (self.approved(step), &self.probe) {
            (Ok(spec), Some(probe)) => (spec, probe),
            (Err(why), _) => return Happened::CannotTell { why },
            (_, None) => {
                return Happened::CannotTell { why: self.says("step.no_probe") };
            }
        };
        match probe.settled(cx).await {
            Ok(found) if same(&found, &probe.equals) => {
                Happened::Yes { note: self.says("step.is_at").with("at", shown(&found)), live: None }
            }
            Ok(found) if spec.found.as_ref() == Some(&found) => {
                Happened::No { note: self.says("step.still_at").with("at", shown(&found)) }
            }
            Ok(found) => Happened::CannotTell { why: self.says("step.elsewhere").with("at", shown(&found)) },
            Err(why) => Happened::CannotTell { why: self.says("step.unread").with("why", why) },
        }
    }
}

impl HttpCall {
    /// A sentence about what it changes.
    fn says(&self, key: &'static str) -> Words {
        Words::new(key).with("target", self.target.as_str())
    }

    fn request(&self) -> Request {
        let filling = Filling { from: None, to: &self.to, target: &self.target };
        Request {
            method: self.method,
            url: filling.url(&self.url),
            body: self.body.as_ref().map(|body| filling.json(body)),
        }
    }

    fn approved(&self, step: &PlannedStep) -> Result<Spec, Words> {
        let spec: Spec = spec_of(step)?;
        if spec.request == self.request() { Ok(spec) } else { Err(reconfigured()) }
    }

    fn is_done(&self, found: Option<&Value>) -> bool {
        self.probe.as_ref().zip(found).is_some_and(|(probe, found)| same(found, &probe.equals))
    }

    async fn call(&self, request: &Request, cx: &StepContext<'_>) -> StepResult {
        let extra = [
            ("idempotency-key", cx.idempotency_key()),
            ("vigie-run", cx.run.to_string()),
            ("vigie-fence", cx.fence.to_string()),
        ];
        (cx.progress)(self.says("step.calling").with("method", request.method.word()));
        let answer = match request.send(&cx.world.http, &self.headers, &extra, cx.within).await {
            Ok(answer) => answer,
            Err(NoAnswer::NotSent(why)) => {
                return StepResult::failed(self.says("step.unreached").with("why", why));
            }
            Err(NoAnswer::Lost(why)) => {
                return StepResult::unknown(self.says("step.answer_lost").with("why", why));
            }
        };
        let said = self.says("step.answered").with("status", answer.status);
        let said = said.with("said", cx.world.redactor.short(&answer.body, 200));
        if self.expect.contains(&answer.status) {
            return match broken_rule(&self.fields, &answer) {
                None => self.confirm(answer.status, cx).await,
                Some(broken) => {
                    let words = self.says("step.yes_but").with("broken", broken);
                    // A yes that cannot be read says nothing; the probe does.
                    if answer.json().is_ok() { StepResult::failed(words) } else { StepResult::unknown(words) }
                }
            };
        }
        if may_have_happened(answer.status) { StepResult::unknown(said) } else { StepResult::failed(said) }
    }

    async fn confirm(&self, status: u16, cx: &StepContext<'_>) -> StepResult {
        let Some(probe) = &self.probe else {
            return StepResult::done(self.says("step.answered").with("status", status).with("said", Value::Null));
        };
        match probe.settled(cx).await {
            Ok(found) if same(&found, &probe.equals) => {
                StepResult::done(self.says("step.title_to").with("to", self.to.as_str()))
            }
            Ok(found) => {
                let words = self.says("step.yes_but_still_at").with("at", shown(&found));
                StepResult::unknown(words.with("after_ms", probe.settle().0))
            }
            Err(why) => StepResult::unknown(self.says("step.yes_but_unread").with("why", why)),
        }
    }
}

impl Probe {
    fn settle(&self) -> Millis {
        self.settle.unwrap_or(Millis::seconds(10))
    }

    async fn look(&self, world: &World, within: Duration) -> Result<Value, Words> {
        let answer =
            Request::get(&self.url).send(&world.http, &self.headers, &[], within).await.map_err(NoAnswer::why)?;
        if answer.status != 200 {
            let words = Words::new("step.probe_answered").with("status", answer.status);
            return Err(words.with("said", world.redactor.short(&answer.body, 200)));
        }
        let body = answer.json()?;
        body.pointer(&self.field)
            .cloned()
            .ok_or_else(|| Words::new("step.probe_lacks").with("field", self.field.as_str()))
    }

    /// Looks until it is done, or until it has had the time.
    async fn settled(&self, cx: &StepContext<'_>) -> Result<Value, Words> {
        let patience = Patience::new(length::duration(self.settle()).min(cx.within));
        loop {
            let seen = self.look(cx.world, patience.one_look()).await;
            if seen.as_ref().is_ok_and(|found| same(found, &self.equals)) || patience.is_over() {
                return seen;
            }
            patience.pause().await;
        }
    }
}

#[cfg(test)]
mod tests;
