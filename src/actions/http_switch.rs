//! Systems that say over HTTP where they stand and can be told where to go: a version switch, a DNS record, a
//! deployment API (rows X1 and X3).
//!
//! The plan names the exact value to go to. Setting compares first, sends one request with an idempotency key, and
//! then reads until the system says that it is there; a lost answer is settled by the same reading.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::World;
use super::config::{ConfigFault, fault};
use super::http::{Headers, Method, NoAnswer, Request, credentials, may_have_happened, validate_headers, validate_url};
use super::json::{FieldRule, pointer, same, text};
use super::length;
use super::provider::{ActionProvider, Happened, PlanContext, PlanFault, RECONFIGURED, StepContext, StepResult};
use super::stopwatch::{Stopwatch, pause};
use super::template::{Filling, placeholders_in, unknown};
use crate::incident::approval::{PlannedStep, Risk};
use crate::incident::time::Millis;

/// A switch: where it is read and how it is set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSwitch {
    /// What it switches, named so that nothing else can be meant: `shop version`.
    pub target: String,
    /// What it can do to the world; reversible when it is not said.
    pub risk: Option<Risk>,
    /// Where it says where it stands.
    pub read: Read,
    /// How it is told where to go.
    pub set: Set,
    /// Where to go always; found by reading when it is not said.
    pub to: Option<String>,
    /// How long it may take, after the answer, until it says that it is there: 10 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub settle: Option<Millis>,
}

/// Where a switch says where it stands, and where it could go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The address that is read.
    pub url: String,
    /// Header fields, for instance `Authorization`.
    #[serde(default)]
    pub headers: Headers,
    /// JSON pointer to where it stands.
    pub current: String,
    /// JSON pointer to a name for people of where it stands.
    pub current_label: Option<String>,
    /// JSON pointer to where it stood before.
    pub previous: Option<String>,
    /// JSON pointer to a name for people of where it stood before.
    pub previous_label: Option<String>,
    /// A list to choose from, where there is no pointer to the previous one.
    pub choices: Option<Choices>,
}

/// A list of where the switch could go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choices {
    /// An address of its own; that of the switch when it is not said.
    pub url: Option<String>,
    /// JSON pointer to the list.
    pub list: String,
    /// JSON pointer within an item to its value; the item itself when it is not said.
    #[serde(default)]
    pub value: String,
    /// JSON pointer within an item to its name for people.
    pub label: Option<String>,
    /// Which item is meant.
    #[serde(default)]
    pub pick: Pick,
    /// Only items that keep all these rules.
    #[serde(default)]
    pub only: Vec<FieldRule>,
}

/// Which item of a list is the one to go back to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The one after the current one: lists with the newest first.
    #[default]
    AfterCurrent,
    /// The one before the current one: lists with the oldest first.
    BeforeCurrent,
    /// The first that is not the current one.
    FirstOther,
}

/// How a switch is told where to go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The address; `{{to}}`, `{{from}}` and `{{target}}` can be used.
    pub url: String,
    /// PUT when it is not said.
    #[serde(default = "put")]
    pub method: Method,
    /// Header fields, for instance `Authorization`.
    #[serde(default)]
    pub headers: Headers,
    /// The JSON to send; `{{to}}`, `{{from}}` and `{{target}}` can be used in its texts.
    pub body: Option<Value>,
    /// The statuses that mean yes: 200, 201, 202 and 204 when it is not said.
    #[serde(default = "yes")]
    pub expect: Vec<u16>,
    /// What the answer's fields must be, too.
    #[serde(default)]
    pub fields: Vec<FieldRule>,
    /// The statuses that mean that somebody else has switched in the meantime: 409 and 412.
    #[serde(default = "conflict")]
    pub conflict: Vec<u16>,
}

const fn put() -> Method {
    Method::Put
}

pub(super) fn yes() -> Vec<u16> {
    vec![200, 201, 202, 204]
}

fn conflict() -> Vec<u16> {
    vec![409, 412]
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Spec {
    from: String,
    to: String,
    request: Request,
}

/// A value with its name for people.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    value: String,
    label: Option<String>,
}

impl Place {
    fn shown(&self) -> String {
        match &self.label {
            Some(label) if *label != self.value => format!("{label} ({})", self.value),
            _ => self.value.clone(),
        }
    }
}

/// How waiting for the switch ended.
enum Settled {
    At(Place),
    Unreadable(String),
}

#[async_trait]
impl ActionProvider for HttpSwitch {
    fn target(&self) -> &str {
        &self.target
    }

    fn risk(&self) -> Risk {
        self.risk.unwrap_or(Risk::Reversible)
    }

    fn usually_within(&self) -> Millis {
        Millis(30_000 + self.settle().0)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        credentials(&self.read.headers).into_iter().chain(credentials(&self.set.headers)).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        self.read.validate(&format!("{path}.read"), faults);
        self.set.validate(&format!("{path}.set"), faults);
        let ways = [self.to.is_some(), self.read.previous.is_some(), self.read.choices.is_some()];
        if ways.iter().filter(|way| **way).count() != 1 {
            let sentence = "say where it goes in exactly one way: to, read.previous or read.choices";
            faults.push(fault(path, sentence));
        }
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let unreadable = |why| PlanFault::Unreadable { target: self.target.clone(), why };
        let body = self.read_json(&self.read.url, cx.world, cx.within).await.map_err(unreadable)?;
        let current = self.current(&body).map_err(unreadable)?;
        let to = self.destination(&body, &current, cx).await?;
        if to.value == current.value {
            return Err(PlanFault::AlreadyThere { target: self.target.clone(), to: to.shown() });
        }
        let request = self.request(&current.value, &to.value);
        let (from_shown, to_shown) = (current.shown(), to.shown());
        let spec = Spec { from: current.value, to: to.value, request };
        Ok(PlannedStep {
            title: format!("Switch {} from {from_shown} to {to_shown}", self.target),
            target: self.target.clone(),
            diff: vec![format!("{}: {from_shown} → {to_shown}", self.target), spec.request.shown()],
            from: Some(from_shown),
            to: to_shown,
            risk: self.risk(),
            provider: String::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
        })
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(found) => return StepResult::stale(found),
        };
        match self.stand(cx.world, cx.within).await {
            Err(why) => {
                return StepResult::failed(format!(
                    "{} could not be read before the change: {why}; nothing was changed",
                    self.target
                ));
            }
            Ok(place) if place.value == spec.to => {
                return StepResult::done(format!("{} already was at {}", self.target, place.shown()));
            }
            Ok(place) if place.value != spec.from => {
                return StepResult::stale(format!("{} is at {}", self.target, place.shown()));
            }
            Ok(_) => {}
        }
        self.set(&spec, cx).await
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(why) => return Happened::CannotTell { why },
        };
        match self.settled(&spec.to, cx).await {
            Settled::At(place) if place.value == spec.to => {
                Happened::Yes { note: format!("{} is at {}", self.target, place.shown()) }
            }
            Settled::At(place) if place.value == spec.from => {
                Happened::No { note: format!("{} still is at {}", self.target, place.shown()) }
            }
            Settled::At(place) => Happened::CannotTell {
                why: format!("{} is at {}, neither where it was nor where it should go", self.target, place.shown()),
            },
            Settled::Unreadable(why) => {
                Happened::CannotTell { why: format!("{} could not be read: {why}", self.target) }
            }
        }
    }
}

impl HttpSwitch {
    fn request(&self, from: &str, to: &str) -> Request {
        let filling = Filling { from: Some(from), to, target: &self.target };
        Request {
            method: self.set.method,
            url: filling.url(&self.set.url),
            body: self.set.body.as_ref().map(|body| filling.json(body)),
        }
    }

    /// The approved facts, if today's configuration would still send the approved request.
    fn approved(&self, step: &PlannedStep) -> Result<Spec, String> {
        let spec: Spec = serde_json::from_value(step.spec.clone())
            .map_err(|error| format!("the approved step cannot be read: {error}"))?;
        if spec.request == self.request(&spec.from, &spec.to) { Ok(spec) } else { Err(RECONFIGURED.to_owned()) }
    }

    async fn read_json(&self, url: &str, world: &World, within: Duration) -> Result<Value, String> {
        let answer =
            Request::get(url).send(&world.http, &self.read.headers, &[], within).await.map_err(NoAnswer::why)?;
        if answer.status != 200 {
            return Err(format!("it answered {}: {}", answer.status, world.redactor.short(&answer.body, 200)));
        }
        answer.json()
    }

    fn current(&self, body: &Value) -> Result<Place, String> {
        let value = at(body, &self.read.current)
            .ok_or_else(|| format!("the answer does not say where it stands ({} is missing)", self.read.current))?;
        Ok(Place { value, label: self.read.current_label.as_deref().and_then(|label| at(body, label)) })
    }

    async fn stand(&self, world: &World, within: Duration) -> Result<Place, String> {
        let body = self.read_json(&self.read.url, world, within).await?;
        self.current(&body)
    }

    async fn destination(&self, body: &Value, current: &Place, cx: &PlanContext<'_>) -> Result<Place, PlanFault> {
        if let Some(to) = &self.to {
            return Ok(Place { value: to.clone(), label: None });
        }
        if let Some(previous) = &self.read.previous {
            let value = at(body, previous).ok_or_else(|| {
                PlanFault::NothingToGoBackTo(format!("{} has no version before {}", self.target, current.shown()))
            })?;
            return Ok(Place { value, label: self.read.previous_label.as_deref().and_then(|label| at(body, label)) });
        }
        let Some(choices) = &self.read.choices else {
            return Err(PlanFault::NothingToGoBackTo(format!("nothing says where {} should go", self.target)));
        };
        let own = match &choices.url {
            Some(url) => Some(
                self.read_json(url, cx.world, cx.within)
                    .await
                    .map_err(|why| PlanFault::Unreadable { target: self.target.clone(), why })?,
            ),
            None => None,
        };
        choices.pick(own.as_ref().unwrap_or(body), &self.target, current)
    }

    async fn set(&self, spec: &Spec, cx: &StepContext<'_>) -> StepResult {
        let extra = [
            ("idempotency-key", cx.idempotency_key()),
            ("vigie-run", cx.run.to_string()),
            ("vigie-fence", cx.fence.to_string()),
        ];
        (cx.progress)(&format!("{}: {} → {}", self.target, spec.from, spec.to));
        let answer = match spec.request.send(&cx.world.http, &self.set.headers, &extra, cx.within).await {
            Ok(answer) => answer,
            Err(NoAnswer::NotSent(why)) => {
                return StepResult::failed(format!("{} could not be reached: {why}; nothing was changed", self.target));
            }
            Err(NoAnswer::Lost(why)) => {
                return StepResult::unknown(format!("the answer of {} was lost: {why}", self.target));
            }
        };
        let said =
            format!("{} answered {}: {}", self.target, answer.status, cx.world.redactor.short(&answer.body, 200));
        if self.set.conflict.contains(&answer.status) {
            return self.conflicted(spec, said, cx).await;
        }
        if may_have_happened(answer.status) {
            return StepResult::unknown(said);
        }
        if !self.set.expect.contains(&answer.status) {
            return StepResult::failed(said);
        }
        if let Some(broken) = self.set.broken_by(&answer.body) {
            return StepResult::failed(format!("{} said yes, but {broken}", self.target));
        }
        self.confirm(spec, cx).await
    }

    /// Somebody else has switched: what is found says whether they did the same.
    async fn conflicted(&self, spec: &Spec, said: String, cx: &StepContext<'_>) -> StepResult {
        match self.stand(cx.world, cx.within).await {
            Ok(place) if place.value == spec.to => {
                StepResult::done(format!("{} already was at {}", self.target, place.shown()))
            }
            Ok(place) => StepResult::stale(format!("{} is at {} ({said})", self.target, place.shown())),
            Err(why) => StepResult::stale(format!("{said}; it could not be read afterwards: {why}")),
        }
    }

    /// A yes is believed only when the system says that it is there.
    async fn confirm(&self, spec: &Spec, cx: &StepContext<'_>) -> StepResult {
        match self.settled(&spec.to, cx).await {
            Settled::At(place) if place.value == spec.to => {
                StepResult::done(format!("{} is at {}", self.target, place.shown()))
            }
            Settled::At(place) => StepResult::failed(format!(
                "{} said yes, but it still is at {} after {}",
                self.target,
                place.shown(),
                length::shown(self.settle())
            )),
            Settled::Unreadable(why) => {
                StepResult::unknown(format!("{} said yes, but could not be read afterwards: {why}", self.target))
            }
        }
    }

    fn settle(&self) -> Millis {
        self.settle.unwrap_or(Millis::seconds(10))
    }

    /// Reads until it is where it should go, or until it has had the time to get there.
    async fn settled(&self, to: &str, cx: &StepContext<'_>) -> Settled {
        let (watch, patience) = (Stopwatch::start(), length::duration(self.settle()).min(cx.within));
        let every = (patience / 10).clamp(Duration::from_millis(10), Duration::from_millis(500));
        loop {
            // The last look may begin just before the patience ends; it gets a moment of its own.
            let one_look = watch.left_of(patience).max(every).min(Duration::from_secs(5));
            let seen = self.stand(cx.world, one_look).await;
            if matches!(&seen, Ok(place) if place.value == to) || watch.left_of(patience).is_zero() {
                return seen.map_or_else(Settled::Unreadable, Settled::At);
            }
            if let Ok(place) = &seen {
                (cx.progress)(&format!("{} is at {}", self.target, place.shown()));
            }
            pause(every).await;
        }
    }
}

impl Read {
    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_url(&self.url, &[], path, faults);
        validate_headers(&self.headers, path, faults);
        let mut pointers = vec![("current", Some(&self.current)), ("current_label", self.current_label.as_ref())];
        pointers.push(("previous", self.previous.as_ref()));
        pointers.push(("previous_label", self.previous_label.as_ref()));
        if let Some(choices) = &self.choices {
            pointers.extend([("choices.list", Some(&choices.list)), ("choices.value", Some(&choices.value))]);
            pointers.push(("choices.label", choices.label.as_ref()));
            if let Some(url) = &choices.url {
                validate_url(url, &[], &format!("{path}.choices"), faults);
            }
            for (index, rule) in choices.only.iter().enumerate() {
                rule.validate(&format!("{path}.choices.only[{index}]"), faults);
            }
        }
        for (name, text) in pointers {
            if let Some(text) = text {
                pointer(text, &format!("{path}.{name}"), faults);
            }
        }
    }
}

impl Choices {
    fn pick(&self, body: &Value, target: &str, current: &Place) -> Result<Place, PlanFault> {
        let list = body.pointer(&self.list).and_then(Value::as_array).ok_or_else(|| PlanFault::Unreadable {
            target: target.to_owned(),
            why: format!("there is no list at {}", self.list),
        })?;
        let is_current = |item: &&Value| {
            item.pointer(&self.value).is_some_and(|value| same(value, &Value::String(current.value.clone())))
        };
        let fits = |item: &&Value| !is_current(item) && self.only.iter().all(|rule| rule.broken_by(item).is_none());
        let mut here = list.iter();
        let found = match self.pick {
            Pick::FirstOther => here.find(fits),
            Pick::AfterCurrent => here.find(is_current).and_then(|_| here.find(fits)),
            Pick::BeforeCurrent => {
                let mut here = list.iter().rev();
                here.find(is_current).and_then(|_| here.find(fits))
            }
        };
        let value = found.and_then(|item| at(item, &self.value));
        let label = found.zip(self.label.as_deref()).and_then(|(item, label)| at(item, label));
        value.map(|value| Place { value, label }).ok_or_else(|| {
            PlanFault::NothingToGoBackTo(format!("{target} has no other version to choose than {}", current.shown()))
        })
    }
}

impl Set {
    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let known = ["from", "to", "target"];
        validate_url(&self.url, &known, path, faults);
        validate_headers(&self.headers, path, faults);
        if let Some(sentence) = self.body.as_ref().and_then(|body| unknown(&placeholders_in(body), &known)) {
            faults.push(fault(format!("{path}.body"), sentence));
        }
        if matches!(self.method, Method::Get | Method::Head) {
            faults.push(fault(format!("{path}.method"), "GET and HEAD change nothing; use PUT, POST, PATCH or DELETE"));
        }
        if self.expect.is_empty() {
            faults.push(fault(format!("{path}.expect"), "name at least one status that means yes, for example 200"));
        }
        for (index, rule) in self.fields.iter().enumerate() {
            rule.validate(&format!("{path}.fields[{index}]"), faults);
        }
    }

    fn broken_by(&self, body: &str) -> Option<String> {
        broken_rule(&self.fields, body)
    }
}

/// The first rule that an answer breaks.
pub(super) fn broken_rule(rules: &[FieldRule], body: &str) -> Option<String> {
    if rules.is_empty() {
        return None;
    }
    match serde_json::from_str::<Value>(body) {
        Ok(body) => rules.iter().find_map(|rule| rule.broken_by(&body)),
        Err(_) => Some("the answer is not JSON".to_owned()),
    }
}

fn at(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer).and_then(text)
}

#[cfg(test)]
#[path = "http_switch_tests.rs"]
mod tests;
