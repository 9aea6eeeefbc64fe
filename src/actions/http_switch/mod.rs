//! Systems that say over HTTP where they stand and can be told where to go: a version switch, a DNS record, a
//! deployment API (X1, X3).
//!
//! The plan names the exact value to go to. Setting compares first, sends one request with an idempotency key, and
//! then reads until the system says that it is there; a lost answer is settled by the same reading.

mod settings;

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::settings::{Choices, Pick, Read, Set};
use self::settings::{Place, at};
use super::World;
use super::config::{ConfigFault, fault};
use super::http::{NoAnswer, Request, credentials, may_have_happened};
use super::length;
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use super::stopwatch::Patience;
use super::template::Filling;
use crate::incident::approval::{Choice, Choosing, PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// A switch: where it is read and how it is set.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
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
    /// The two places between which it goes: always to the one where it is not.
    pub among: Option<Vec<String>>,
    /// How long it may take, after the answer, until it says that it is there: 10 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub settle: Option<Millis>,
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Spec {
    from: String,
    to: String,
    request: Request,
}

#[async_trait]
impl ActionProvider for HttpSwitch {
    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.target)
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
        let ways = [self.to.is_some(), self.among.is_some(), self.read.previous.is_some(), self.read.choices.is_some()];
        if ways.iter().filter(|way| **way).count() != 1 {
            let sentence = "say where it goes in exactly one way: to, among, read.previous or read.choices";
            faults.push(fault(path, sentence));
        }
        if self.among.as_ref().is_some_and(|among| !matches!(among.as_slice(), [one, other] if one != other)) {
            faults.push(fault(format!("{path}.among"), "name two different places, for example [blue, green]"));
        }
    }

    fn choosing(&self) -> Choosing {
        match &self.read.choices {
            None => Choosing::Nothing,
            Some(Choices { pick: Pick::Ask, .. }) => Choosing::Must,
            Some(_) => Choosing::May,
        }
    }

    async fn choices(&self, cx: &PlanContext<'_>) -> Result<Vec<Choice>, PlanFault> {
        let Some(choices) = &self.read.choices else { return Ok(Vec::new()) };
        let unreadable = |why| PlanFault::Unreadable { target: self.target.clone(), why };
        let body = self.read_json(&self.read.url, cx.world, cx.within).await.map_err(unreadable)?;
        let current = self.current(&body).map_err(unreadable)?;
        let own = self.list_apart(choices, cx).await?;
        let others = choices.others(own.as_ref().unwrap_or(&body), &self.target, &current)?;
        let choice = |place: Place| Choice { label: Words::verbatim(place.shown()), value: place.value };
        Ok(others.into_iter().map(choice).collect())
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let unreadable = |why| PlanFault::Unreadable { target: self.target.clone(), why };
        let body = self.read_json(&self.read.url, cx.world, cx.within).await.map_err(unreadable)?;
        let current = self.current(&body).map_err(unreadable)?;
        let to = self.destination(&body, &current, cx).await?;
        self.step(current, to)
    }

    async fn plan_back(&self, done: &PlannedStep, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let unreadable = |why| PlanFault::Unreadable { target: self.target.clone(), why };
        let spec: Spec = spec_of(done).map_err(PlanFault::NothingToGoBackTo)?;
        let current = self.stand(cx.world, cx.within).await.map_err(unreadable)?;
        // What it was called then.
        let label = done.from.clone().filter(|from| *from != spec.from);
        self.step(current, Place { label: label.map(|from| bare(&from, &spec.from)), value: spec.from })
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(found) => return StepResult::stale(found),
        };
        match self.stand(cx.world, cx.within).await {
            Err(why) => {
                return StepResult::failed(self.says("step.unread_before").with("why", why));
            }
            Ok(place) if place.value == spec.to => {
                return StepResult::done(self.at("step.already_at", &place));
            }
            Ok(place) if place.value != spec.from => {
                return StepResult::stale(self.at("step.is_at", &place));
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
            Ok(place) if place.value == spec.to => Happened::Yes { note: self.at("step.is_at", &place), live: None },
            Ok(place) if place.value == spec.from => Happened::No { note: self.at("step.still_at", &place) },
            Ok(place) => Happened::CannotTell { why: self.at("step.elsewhere", &place) },
            Err(why) => Happened::CannotTell { why: self.says("step.unread").with("why", why) },
        }
    }
}

impl HttpSwitch {
    /// A sentence about what it switches.
    fn says(&self, key: &'static str) -> Words {
        Words::new(key).with("target", self.target.as_str())
    }

    /// A sentence about where it stands.
    fn at(&self, key: &'static str, place: &Place) -> Words {
        self.says(key).with("at", place.shown())
    }

    /// The step from where it stands to where it is to go.
    fn step(&self, current: Place, to: Place) -> Result<PlannedStep, PlanFault> {
        if to.value == current.value {
            return Err(PlanFault::AlreadyThere { target: self.target.clone(), to: to.shown() });
        }
        let request = self.request(&current.value, &to.value);
        let (from_shown, to_shown) = (current.shown(), to.shown());
        let spec = Spec { from: current.value, to: to.value, request };
        Ok(PlannedStep {
            title: self.says("step.title_switch").with("from", from_shown.as_str()).with("to", to_shown.as_str()),
            target: self.target.clone(),
            locks: Vec::new(),
            diff: vec![
                self.says("step.title_change").with("from", from_shown.as_str()).with("to", to_shown.as_str()),
                Words::verbatim(spec.request.shown()),
            ],
            from: Some(from_shown),
            to: to_shown,
            needs: Vec::new(),
            risk: self.risk(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            provider: String::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
        })
    }

    fn request(&self, from: &str, to: &str) -> Request {
        let filling = Filling { from: Some(from), to, target: &self.target };
        Request {
            method: self.set.method,
            url: filling.url(&self.set.url),
            body: self.set.body.as_ref().map(|body| filling.json(body)),
        }
    }

    /// The approved facts, if today's configuration would still send the approved request.
    fn approved(&self, step: &PlannedStep) -> Result<Spec, Words> {
        let spec: Spec = spec_of(step)?;
        if spec.request == self.request(&spec.from, &spec.to) { Ok(spec) } else { Err(reconfigured()) }
    }

    async fn read_json(&self, url: &str, world: &World, within: Duration) -> Result<Value, Words> {
        let answer =
            Request::get(url).send(&world.http, &self.read.headers, &[], within).await.map_err(NoAnswer::why)?;
        if answer.status != 200 {
            let words = Words::new("step.it_answered").with("status", answer.status);
            return Err(words.with("said", world.redactor.short(&answer.body, 200)));
        }
        answer.json()
    }

    fn current(&self, body: &Value) -> Result<Place, Words> {
        if let Some(broken) = self.read.fields.iter().find_map(|rule| rule.broken_by(body)) {
            return Err(Words::new("step.other_than_said").with("broken", broken));
        }
        let value = at(body, &self.read.current)
            .ok_or_else(|| Words::new("step.no_standing").with("field", self.read.current.as_str()))?;
        Ok(Place { value, label: self.read.current_label.as_deref().and_then(|label| at(body, label)) })
    }

    async fn stand(&self, world: &World, within: Duration) -> Result<Place, Words> {
        let body = self.read_json(&self.read.url, world, within).await?;
        self.current(&body)
    }

    async fn destination(&self, body: &Value, current: &Place, cx: &PlanContext<'_>) -> Result<Place, PlanFault> {
        if let Some(to) = &self.to {
            return Ok(Place { value: to.clone(), label: None });
        }
        if let Some(among) = &self.among {
            return self.other_of(among, current);
        }
        if let Some(previous) = &self.read.previous {
            let value = at(body, previous)
                .ok_or_else(|| PlanFault::NothingToGoBackTo(self.at("step.no_version_before", current)))?;
            return Ok(Place { value, label: self.read.previous_label.as_deref().and_then(|label| at(body, label)) });
        }
        let Some(choices) = &self.read.choices else {
            return Err(PlanFault::NothingToGoBackTo(self.says("step.nowhere_to_go")));
        };
        let own = self.list_apart(choices, cx).await?;
        let list = own.as_ref().unwrap_or(body);
        match cx.wanted {
            Some(wanted) => choices.named(wanted, list, &self.target, current),
            None => choices.pick(list, &self.target, current),
        }
    }

    /// The one of two places where it is not. Where it is at neither, nobody knows what is meant.
    fn other_of(&self, among: &[String], current: &Place) -> Result<Place, PlanFault> {
        let is_here = |place: &&String| **place == current.value;
        match (among.iter().find(is_here), among.iter().find(|place| !is_here(place))) {
            (Some(_), Some(other)) => Ok(Place { value: other.clone(), label: None }),
            _ => {
                let why = self.at("step.at_neither", current).with("among", among);
                Err(PlanFault::Refused { target: self.target.clone(), why })
            }
        }
    }

    /// The list to choose from, where it is not in what the switch itself says.
    async fn list_apart(&self, choices: &Choices, cx: &PlanContext<'_>) -> Result<Option<Value>, PlanFault> {
        let Some(url) = &choices.url else { return Ok(None) };
        let list = self.read_json(url, cx.world, cx.within).await;
        list.map(Some).map_err(|why| PlanFault::Unreadable { target: self.target.clone(), why })
    }

    async fn set(&self, spec: &Spec, cx: &StepContext<'_>) -> StepResult {
        let extra = [
            ("idempotency-key", cx.idempotency_key()),
            ("vigie-run", cx.run.to_string()),
            ("vigie-fence", cx.fence.to_string()),
        ];
        (cx.progress)(self.says("step.title_change").with("from", spec.from.as_str()).with("to", spec.to.as_str()));
        let answer = match spec.request.send(&cx.world.http, &self.set.headers, &extra, cx.within).await {
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
        if self.set.conflict.contains(&answer.status) {
            return self.conflicted(spec, said, cx).await;
        }
        if !self.set.expect.contains(&answer.status) {
            let is_open = may_have_happened(answer.status);
            return if is_open { StepResult::unknown(said) } else { StepResult::failed(said) };
        }
        if let Some(broken) = self.set.broken_by(&answer) {
            let words = self.says("step.yes_but").with("broken", broken);
            // A yes that cannot be read says nothing; where it stands does.
            return if answer.json().is_ok() { StepResult::failed(words) } else { StepResult::unknown(words) };
        }
        self.confirm(spec, cx).await
    }

    /// Somebody else has switched: what is found says whether they did the same.
    async fn conflicted(&self, spec: &Spec, said: Words, cx: &StepContext<'_>) -> StepResult {
        match self.stand(cx.world, cx.within).await {
            Ok(place) if place.value == spec.to => StepResult::done(self.at("step.already_at", &place)),
            Ok(place) => StepResult::stale(self.at("step.conflict", &place).with("said", said)),
            Err(why) => StepResult::stale(Words::new("step.conflict_unread").with("said", said).with("why", why)),
        }
    }

    /// A yes is believed only when the system says that it is there.
    async fn confirm(&self, spec: &Spec, cx: &StepContext<'_>) -> StepResult {
        match self.settled(&spec.to, cx).await {
            Ok(place) if place.value == spec.to => StepResult::done(self.at("step.is_at", &place)),
            Ok(place) => {
                StepResult::unknown(self.at("step.yes_but_still_at", &place).with("after_ms", self.settle().0))
            }
            Err(why) => StepResult::unknown(self.says("step.yes_but_unread").with("why", why)),
        }
    }

    fn settle(&self) -> Millis {
        self.settle.unwrap_or(Millis::seconds(10))
    }

    /// Reads until it is where it should go, or until it has had the time to get there.
    async fn settled(&self, to: &str, cx: &StepContext<'_>) -> Result<Place, Words> {
        let patience = Patience::new(length::duration(self.settle()).min(cx.within));
        loop {
            let seen = self.stand(cx.world, patience.one_look()).await;
            if seen.as_ref().is_ok_and(|place| place.value == to) || patience.is_over() {
                return seen;
            }
            if let Ok(place) = &seen {
                (cx.progress)(self.at("step.is_at", place));
            }
            patience.pause().await;
        }
    }
}

/// The name within `name (value)`.
fn bare(shown: &str, value: &str) -> String {
    shown.strip_suffix(&format!(" ({value})")).unwrap_or(shown).to_owned()
}

#[cfg(test)]
mod tests;
