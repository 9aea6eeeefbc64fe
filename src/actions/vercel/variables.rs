//! Environment variables of a project (V2): kept in a copy, removed, put back. Names are shown, values never: they go from
//! Vercel to the copy and from the copy to Vercel, and into no sentence, plan or result.
//!
//! Vercel's own sentences about a variable are not repeated either, for they may quote its value.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::api::Trouble;
use super::super::config::{ConfigFault, fault};
use super::super::disk::off_thread;
use super::super::http::Method;
use super::super::length;
use super::super::lever::{self, Halt, Lever, Stand};
use super::super::provider::{
    ActionProvider as _, Happened, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use super::copies::{self, Contents, Copy, Owner, Scope};
use super::deployments::Project;
use super::{VENDOR, Vercel};
use crate::incident::approval::{Choice, PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// How many values are asked for at once.
const AT_ONCE: usize = 8;
/// The type of variables that nobody can read back.
const SENSITIVE: &str = "sensitive";

/// What is done with the variables of a project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variables {
    /// Save, remove or restore.
    #[serde(rename = "do")]
    pub operation: Operation,
    /// Where the copies are kept: a folder of this machine.
    pub copies: PathBuf,
    /// Which variables; all of them when none is named. Removing needs names.
    #[serde(default)]
    pub names: Vec<String>,
    /// Of which environments, one's own by their ids (`env_…`); of all of them when none is named.
    #[serde(default)]
    pub environments: Vec<String>,
    /// The name of the copy to restore; when it is not said, the one that a person chooses, else the newest that was saved.
    pub copy: Option<String>,
    /// What becomes of variables that the copy does not hold, when it is restored; they are left when it is not said.
    #[serde(default)]
    pub others: Others,
}

/// What becomes of variables that a copy does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    /// They stay.
    #[default]
    Leave,
    /// They are removed, after a copy of them was kept.
    Remove,
}

/// What is done with variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Keep a copy.
    Save,
    /// Keep a copy, then remove them.
    Remove,
    /// Put them back as they are in a copy; what the copy does not hold is left.
    Restore,
}

/// A variable with its value, as it is kept in a copy and sent to Vercel.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Variable {
    key: String,
    value: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    place: Place,
}

/// Where a variable counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    target: Vec<String>,
    /// The team's own environments.
    #[serde(rename = "customEnvironmentIds", default, skip_serializing_if = "Vec::is_empty")]
    custom: Vec<String>,
    #[serde(rename = "gitBranch", default, skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
}

impl Place {
    fn read(value: &Value) -> Self {
        let list = |name: &str| {
            let mut list: Vec<String> = match value.get(name) {
                Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                Some(Value::String(one)) => vec![one.clone()],
                _ => Vec::new(),
            };
            list.sort_unstable();
            list
        };
        let branch = value.get("gitBranch").and_then(Value::as_str).map(str::to_owned);
        Self { target: list("target"), custom: list("customEnvironmentIds"), branch }
    }

    fn environments(&self) -> impl Iterator<Item = &String> {
        self.target.iter().chain(&self.custom)
    }
}

/// A variable as Vercel lists it, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    id: String,
    name: String,
    kind: String,
    place: Place,
    updated: i64,
}

/// The approved facts. No value, and nothing that could be guessed from one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Spec {
    operation: Operation,
    copies: PathBuf,
    /// The copy to restore and its content's digest.
    copy: Option<(String, String)>,
    /// What is touched.
    touched: Vec<Touched>,
}

/// One variable that is removed or put back. Its name is a value here, or the plan would look as if it held a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Touched {
    name: String,
    #[serde(flatten)]
    place: Place,
    /// As it was when the plan was made; nothing when it was not there.
    was: Option<(String, i64)>,
}

impl Touched {
    fn of(listed: &Listed) -> Self {
        let Listed { id, name, place, updated, .. } = listed.clone();
        Self { name, place, was: Some((id, updated)) }
    }

    fn is(&self, listed: &Listed) -> bool {
        self.name == listed.name && self.place == listed.place
    }

    fn is_kept_as(&self, variable: &Variable) -> bool {
        self.name == variable.key && self.place == variable.place
    }
}

fn listed(value: &Value) -> Result<Listed, Trouble> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(Listed {
        id: text("id").ok_or(Trouble::Garbled)?,
        name: text("key").ok_or(Trouble::Garbled)?,
        kind: text("type").ok_or(Trouble::Garbled)?,
        place: Place::read(value),
        updated: value.get("updatedAt").and_then(Value::as_i64).unwrap_or_default(),
    })
}

impl Vercel {
    fn owner(&self) -> Owner {
        Owner { project: self.project.clone(), team: self.team.clone() }
    }
}

impl Project<'_> {
    fn owner(&self) -> Owner {
        Owner { project: self.name.to_owned(), team: self.team.map(str::to_owned) }
    }

    async fn variables(&self) -> Result<Vec<Listed>, Trouble> {
        let found = self.api.get(&["v10", "projects", self.name, "env"], &self.with_team(&[])).await?;
        if found.pointer("/pagination/next").is_some_and(|next| !next.is_null()) {
            return Err(Trouble::NotMade(Words::new("vercel.more_variables").with("project", self.name)));
        }
        let list = found.get("envs").and_then(Value::as_array).ok_or(Trouble::Garbled)?;
        // What Vercel itself sets is none of ours.
        let own = list.iter().filter(|one| one.get("type").and_then(Value::as_str) != Some("system"));
        own.map(listed).collect()
    }

    async fn value(&self, variable: &Listed) -> Result<Variable, Trouble> {
        let path = ["v1", "projects", self.name, "env", &variable.id];
        let found = self.api.get(&path, &self.with_team(&[])).await?;
        // What comes then is what Vercel keeps, and would be put back as the value.
        if found.get("decrypted") == Some(&Value::Bool(false)) {
            return Err(Trouble::NotMade(Words::new("vercel.withheld").with("name", variable.name.as_str())));
        }
        let value = found.get("value").and_then(Value::as_str).ok_or(Trouble::Garbled)?.to_owned();
        let Listed { name: key, kind, place, .. } = variable.clone();
        Ok(Variable { key, value, kind, place })
    }

    /// The values of those that can be read, and the names of the others.
    async fn contents(&self, all: &[Listed]) -> Result<Contents, Trouble> {
        let (sensitive, readable): (Vec<&Listed>, Vec<&Listed>) = all.iter().partition(|one| one.kind == SENSITIVE);
        let mut variables = Vec::new();
        for some in readable.chunks(AT_ONCE) {
            variables.extend(try_join_all(some.iter().map(|one| self.value(one))).await?);
        }
        let unreadable = sensitive.into_iter().map(|one| one.name.clone()).collect();
        Ok(Contents { owner: Some(self.owner()), variables, unreadable, scope: None })
    }

    /// Makes a variable so, whether it is there or not.
    async fn put(&self, variable: &Variable) -> Result<(), Trouble> {
        let body = serde_json::to_value(variable).map_err(|_| Trouble::Garbled)?;
        let path = ["v10", "projects", self.name, "env"];
        let query = self.with_team(&[("upsert", "true")]);
        let answer = self.api.send(Method::Post, &path, &query, Some(body)).await?;
        let failed = answer.get("failed").and_then(Value::as_array).is_some_and(|failed| !failed.is_empty());
        if failed { Err(Trouble::Said { status: 400, message: None, wait: None }) } else { Ok(()) }
    }

    async fn remove(&self, id: &str) -> Result<(), Trouble> {
        let path = ["v9", "projects", self.name, "env", id];
        match self.api.send(Method::Delete, &path, &self.with_team(&[]), None).await {
            Err(trouble) if trouble.is(404) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }
}

/// A trouble without the vendor's own sentence.
fn mute(trouble: &Trouble, what: &str) -> Words {
    let mut trouble = trouble.clone();
    if let Trouble::Said { message, .. } = &mut trouble {
        *message = None;
    }
    trouble.words(VENDOR, what)
}

/// Names in order, each once.
fn once<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

impl Variables {
    pub(super) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.copies.is_relative() {
            faults.push(fault(format!("{path}.copies"), "write the whole path, beginning with /"));
        }
        if self.operation == Operation::Remove && self.names.is_empty() {
            faults.push(fault(format!("{path}.names"), "name the variables that are removed"));
        }
        let is_foreign = |copy: &String| copy.contains('/') || self.operation != Operation::Restore;
        if self.others == Others::Remove && self.operation != Operation::Restore {
            faults.push(fault(format!("{path}.others"), "others are removed only when a copy is restored"));
        }
        if self.copy.as_ref().is_some_and(is_foreign) {
            let sentence = "the name of a copy in the folder of copies, and only for do: restore";
            faults.push(fault(format!("{path}.copy"), sentence));
        }
    }

    fn is_meant(&self, variable: &Listed) -> bool {
        let named = self.names.is_empty() || self.names.contains(&variable.name);
        named && self.is_here(&variable.place)
    }

    /// It counts in one of the environments.
    fn is_here(&self, place: &Place) -> bool {
        self.environments.is_empty() || place.environments().any(|one| self.environments.contains(one))
    }

    /// It counts in others, too.
    fn is_wider(&self, place: &Place) -> bool {
        !self.environments.is_empty() && place.environments().any(|one| !self.environments.contains(one))
    }

    /// What counts in others as well cannot be changed for these alone.
    fn demand_not_wider<'v>(
        &self,
        mut meant: impl Iterator<Item = (&'v str, &'v Place)>,
        target: &str,
    ) -> Result<(), PlanFault> {
        let Some((name, place)) = meant.find(|(_, place)| self.is_wider(place)) else { return Ok(()) };
        let environments: Vec<String> = place.environments().cloned().collect();
        let why = Words::new("vercel.wider").with("name", name).with("environments", environments);
        Err(PlanFault::Refused { target: target.to_owned(), why })
    }

    /// The copy that is to be restored.
    async fn chosen(&self, owner: Owner, wanted: Option<&str>) -> Result<Option<Copy>, Words> {
        let this = self.clone();
        let wanted = self.copy.as_deref().or(wanted).map(str::to_owned);
        off_thread(move || copies::chosen(&this.copies, &owner, wanted.as_deref())).await
    }
}

/// What a plan is made of.
struct Draft {
    title: Words,
    from: Option<String>,
    to: String,
    diff: Vec<Words>,
    risk: Risk,
    copy: Option<(String, String)>,
    touched: Vec<Touched>,
}

/// The copies there are, for a person to choose.
pub(super) async fn choices(config: &Vercel, wanted: &Variables) -> Result<Vec<Choice>, PlanFault> {
    let (folder, owner) = (wanted.copies.clone(), config.owner());
    let choices = off_thread(move || copies::choices(&folder, &owner)).await;
    choices.map_err(|why| PlanFault::Unreadable { target: config.target().into_owned(), why })
}

pub(super) async fn plan(
    config: &Vercel,
    wanted: &Variables,
    site: &Project<'_>,
    chosen: Option<&str>,
) -> Result<PlannedStep, PlanFault> {
    let target = config.target().into_owned();
    let all = site.variables().await.map_err(|trouble| trouble.as_plan_fault(&target, VENDOR, site.name))?;
    let draft = match wanted.operation {
        Operation::Save => save(config, wanted, &all)?,
        Operation::Remove => remove(config, wanted, &all, &target)?,
        Operation::Restore => restore(config, wanted, site, &all, (&target, chosen)).await?,
    };
    let Draft { title, from, to, diff, risk, copy, touched } = draft;
    let spec = Spec { operation: wanted.operation, copies: wanted.copies.clone(), copy, touched };
    Ok(PlannedStep {
        title,
        target,
        locks: config.locks(),
        from,
        to,
        diff,
        needs: Vec::new(),
        risk,
        configured_at: None,
        always: false,
        after: Vec::new(),
        provider: String::new(),
        spec: serde_json::to_value(&spec).unwrap_or_default(),
    })
}

/// The line about those that nobody can read back.
fn sensitive_line(all: &[&Listed]) -> Option<Words> {
    let names = once(all.iter().filter(|one| one.kind == SENSITIVE).map(|one| one.name.as_str()));
    (!names.is_empty()).then(|| Words::new("vercel.sensitive").with("names", names))
}

fn kept_in(wanted: &Variables) -> Words {
    Words::new("file.copy_in").with("path", wanted.copies.display().to_string())
}

fn meant<'l>(wanted: &Variables, all: &'l [Listed], project: &str) -> Result<Vec<&'l Listed>, PlanFault> {
    let meant: Vec<&Listed> = all.iter().filter(|one| wanted.is_meant(one)).collect();
    if meant.is_empty() {
        return Err(PlanFault::NothingToGoBackTo(Words::new("vercel.no_variables").with("project", project)));
    }
    Ok(meant)
}

fn save(config: &Vercel, wanted: &Variables, all: &[Listed]) -> Result<Draft, PlanFault> {
    let meant = meant(wanted, all, &config.project)?;
    let names = once(meant.iter().map(|one| one.name.as_str()));
    let lines = [Words::new("vercel.names").with("names", names.clone()), kept_in(wanted)];
    Ok(Draft {
        title: Words::new("vercel.title_save").with("count", meant.len()),
        from: None,
        to: names.join(", "),
        diff: lines.into_iter().chain(sensitive_line(&meant)).collect(),
        risk: Risk::ReadOnly,
        copy: None,
        touched: Vec::new(),
    })
}

fn remove(config: &Vercel, wanted: &Variables, all: &[Listed], target: &str) -> Result<Draft, PlanFault> {
    let meant = meant(wanted, all, &config.project)?;
    wanted.demand_not_wider(meant.iter().map(|one| (one.name.as_str(), &one.place)), target)?;
    let names = once(meant.iter().map(|one| one.name.as_str()));
    let absent: Vec<&str> = wanted.names.iter().map(String::as_str).filter(|name| !names.contains(name)).collect();
    let mut diff: Vec<Words> = sensitive_line(&meant).into_iter().collect();
    let is_final = !diff.is_empty();
    diff.extend([Words::new("vercel.next_build"), kept_in(wanted)]);
    if !absent.is_empty() {
        diff.push(Words::new("vercel.absent").with("names", absent));
    }
    Ok(Draft {
        title: Words::new("vercel.title_remove").with("names", names.clone()),
        from: Some(names.join(", ")),
        to: names.iter().map(|name| format!("{name} –")).collect::<Vec<_>>().join(", "),
        diff,
        risk: if is_final { Risk::Destructive } else { config.risk() },
        copy: None,
        touched: meant.into_iter().map(Touched::of).collect(),
    })
}

async fn restore(
    config: &Vercel,
    wanted: &Variables,
    site: &Project<'_>,
    all: &[Listed],
    (target, chosen): (&str, Option<&str>),
) -> Result<Draft, PlanFault> {
    let unreadable = |why| PlanFault::Unreadable { target: target.to_owned(), why };
    let copy = wanted.chosen(config.owner(), chosen).await.map_err(unreadable)?.ok_or_else(|| {
        PlanFault::NothingToGoBackTo(Words::new("vercel.no_copy").with("project", config.project.as_str()))
    })?;
    let now = site.contents(all).await;
    let now = now.map_err(|trouble| unreadable(mute(&trouble, site.name)))?.variables;
    let (mut touched, mut back, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    let is_now = |wanted: &Variable| {
        now.iter().any(|one| one.key == wanted.key && one.place == wanted.place && one.value == wanted.value)
    };
    let wants = |variable: &&Variable| {
        let is_named = wanted.names.is_empty() || wanted.names.contains(&variable.key);
        is_named && wanted.is_here(&variable.place) && !is_now(variable)
    };
    for variable in copy.contents.variables.iter().filter(wants) {
        let one = Touched { name: variable.key.clone(), place: variable.place.clone(), was: None };
        match all.iter().find(|listed| one.is(listed)) {
            Some(listed) => {
                changed.push(variable.key.as_str());
                touched.push(Touched::of(listed));
            }
            None => {
                back.push(variable.key.as_str());
                touched.push(one);
            }
        }
    }
    wanted.demand_not_wider(touched.iter().map(|one| (one.name.as_str(), &one.place)), target)?;
    // What nobody could read when the copy was made stays, for nobody could put it back; and so does what it was not made of.
    let kept = |one: &&Listed| {
        let is_in = copy.contents.variables.iter().any(|variable| Touched::of(one).is_kept_as(variable));
        let is_covered = copy.contents.covers(&one.name, one.place.environments());
        is_in || !is_covered || copy.contents.unreadable.contains(&one.name)
    };
    let is_removed = |one: &&Listed| {
        wanted.others == Others::Remove && wanted.is_meant(one) && !wanted.is_wider(&one.place) && !kept(one)
    };
    let removed: Vec<&Listed> = all.iter().filter(is_removed).collect();
    touched.extend(removed.iter().map(|one| Touched::of(one)));
    if touched.is_empty() {
        return Err(PlanFault::AlreadyThere { target: target.to_owned(), to: copy.name });
    }
    let line = |key, names: Vec<&str>| (!names.is_empty()).then(|| Words::new(key).with("names", names));
    let mut diff: Vec<Words> =
        [line("vercel.come_back", back), line("vercel.change", changed)].into_iter().flatten().collect();
    let gone = once(removed.iter().map(|one| one.name.as_str()));
    diff.extend(line("vercel.go_away", gone));
    let is_part = wanted.others == Others::Remove && copy.contents.is_part();
    diff.extend(is_part.then(|| Words::new("vercel.part")));
    let final_ones = sensitive_line(&removed);
    let risk = if final_ones.is_some() { Risk::Destructive } else { config.risk() };
    diff.extend(final_ones);
    let lost: Vec<&str> = copy.contents.unreadable.iter().map(String::as_str).collect();
    diff.extend(line("vercel.not_in_copy", once(lost.into_iter())));
    diff.push(Words::new("vercel.next_build"));
    Ok(Draft {
        title: Words::new("vercel.title_restore").with("copy", copy.name.as_str()),
        from: None,
        to: copy.name.clone(),
        diff,
        risk,
        copy: Some((copy.name, copy.digest)),
        touched,
    })
}

/// The approved facts, if today's configuration still means the same.
fn approved(config: &Vercel, wanted: &Variables, step: &PlannedStep) -> Result<Spec, Words> {
    let spec: Spec = spec_of(step)?;
    let same_copy = match (&spec.copy, &wanted.copy) {
        (Some((name, _)), Some(wanted)) => name == wanted,
        _ => true,
    };
    let same = spec.operation == wanted.operation && spec.copies == wanted.copies && same_copy;
    if same && step.locks == config.locks() { Ok(spec) } else { Err(reconfigured()) }
}

/// Does what was planned.
pub(super) async fn execute(
    config: &Vercel,
    wanted: &Variables,
    site: Project<'_>,
    step: &PlannedStep,
    cx: &StepContext<'_>,
) -> StepResult {
    let spec = match approved(config, wanted, step) {
        Ok(spec) => spec,
        Err(found) => return StepResult::stale(found),
    };
    let keeping = Keeping { wanted, site: &site, key: cx.idempotency_key() };
    if spec.operation == Operation::Save {
        return match keeping.copy(None).await {
            Ok(name) => StepResult::done(Words::new("vercel.kept").with("copy", name)),
            Err(why) => StepResult::unchanged(why),
        };
    }
    // Before anything is changed: what goes away or changes can be put back.
    if let Err(why) = keeping.copy(Some(&spec.touched)).await {
        return StepResult::unchanged(why);
    }
    match VariableLever::new(config, site, spec, step).await {
        Ok(lever) => lever::throw(&lever, cx).await,
        Err(found) => StepResult::stale(found),
    }
}

/// Whether it happened.
pub(super) async fn check(
    config: &Vercel,
    wanted: &Variables,
    site: Project<'_>,
    step: &PlannedStep,
    cx: &StepContext<'_>,
) -> Happened {
    let spec = match approved(config, wanted, step) {
        Ok(spec) => spec,
        Err(why) => return Happened::CannotTell { why },
    };
    if spec.operation == Operation::Save {
        let keeping = Keeping { wanted, site: &site, key: cx.idempotency_key() };
        return match keeping.made().await {
            Ok(Some(name)) => Happened::Yes { note: Words::new("vercel.kept").with("copy", name), live: None },
            Ok(None) => Happened::No { note: Words::new("file.no_copy_of_run") },
            Err(why) => Happened::CannotTell { why },
        };
    }
    match VariableLever::new(config, site, spec, step).await {
        Ok(lever) => lever::settled(&lever, cx).await,
        Err(why) => Happened::CannotTell { why },
    }
}

/// Making the copy of this step, once.
struct Keeping<'a> {
    wanted: &'a Variables,
    site: &'a Project<'a>,
    key: String,
}

impl Keeping<'_> {
    async fn made(&self) -> Result<Option<String>, Words> {
        let (folder, owner, key) = (self.wanted.copies.clone(), self.site.owner(), self.key.clone());
        off_thread(move || copies::made_by(&folder, &owner, &key)).await
    }

    /// A copy of these variables, or of all that are meant; its name.
    async fn copy(&self, touched: Option<&[Touched]>) -> Result<String, Words> {
        if let Some(name) = self.made().await? {
            return Ok(name);
        }
        let muted = |trouble: Trouble| mute(&trouble, self.site.name);
        let all = self.site.variables().await.map_err(muted)?;
        let is_meant = |one: &Listed| match touched {
            Some(touched) => touched.iter().any(|touched| touched.is(one)),
            None => self.wanted.is_meant(one),
        };
        let meant: Vec<Listed> = all.into_iter().filter(is_meant).collect();
        let scope = match touched {
            Some(_) => Scope::BeforeChange,
            None => Scope::Saved { names: self.wanted.names.clone(), environments: self.wanted.environments.clone() },
        };
        let contents = self.site.contents(&meant).await.map_err(muted)?;
        let contents = Contents { scope: Some(scope), ..contents };
        let (folder, project, key) = (self.wanted.copies.clone(), self.site.name.to_owned(), self.key.clone());
        off_thread(move || copies::write(&folder, &project, &key, &contents)).await
    }
}

/// The variables of an approved plan.
struct VariableLever<'a> {
    config: &'a Vercel,
    site: Project<'a>,
    spec: Spec,
    step: &'a PlannedStep,
    /// What is put back; empty where they are removed.
    wanted: Vec<Variable>,
}

impl<'a> VariableLever<'a> {
    /// Reads the approved copy again; another content is another plan.
    async fn new(config: &'a Vercel, site: Project<'a>, spec: Spec, step: &'a PlannedStep) -> Result<Self, Words> {
        let wanted = match spec.copy.clone() {
            None => Vec::new(),
            Some((name, digest)) => {
                let folder = spec.copies.clone();
                let copy = off_thread(move || copies::read(&folder, &name)).await?;
                if copy.digest != digest {
                    return Err(Words::new("vercel.copy_changed").with("copy", copy.name));
                }
                copy.contents.variables
            }
        };
        Ok(Self { config, site, spec, step, wanted })
    }

    /// Where one of them stands: `Some(true)` where it should be, `Some(false)` where it was, `None` elsewhere.
    async fn one(&self, touched: &Touched, now: &[Listed]) -> Result<Option<bool>, Trouble> {
        let wanted = self.wanted.iter().find(|variable| touched.is_kept_as(variable));
        let found = now.iter().find(|listed| touched.is(listed));
        let is_there = match (wanted, found) {
            (None, None) => true,
            (Some(wanted), Some(found)) if found.kind != SENSITIVE => {
                self.site.value(found).await?.value == wanted.value
            }
            _ => false,
        };
        let was = found.map(|found| (found.id.clone(), found.updated));
        Ok(if is_there { Some(true) } else { (was == touched.was).then_some(false) })
    }
}

#[async_trait]
impl Lever for VariableLever<'_> {
    fn target(&self) -> &str {
        &self.step.target
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn settle(&self) -> Duration {
        length::duration(self.config.settle.unwrap_or(Millis::seconds(5)))
    }

    async fn stand(&self) -> Result<Stand, Trouble> {
        let now = self.site.variables().await?;
        let mut there = Vec::new();
        for touched in &self.spec.touched {
            match self.one(touched, &now).await? {
                Some(is_there) => there.push(is_there),
                None => return Ok(Stand::Elsewhere(touched.name.clone())),
            }
        }
        let names = |wanted: bool| {
            let some = self.spec.touched.iter().zip(&there).filter(|(_, there)| **there == wanted);
            once(some.map(|(touched, _)| touched.name.as_str())).join(", ")
        };
        Ok(match (there.contains(&true), there.contains(&false)) {
            (_, false) => Stand::There(self.step.to.clone()),
            (false, true) => Stand::AtStart(self.step.from.clone().unwrap_or_else(|| names(false))),
            (true, true) => Stand::Half(names(true)),
        })
    }

    async fn throw(&self) -> Result<(), Halt> {
        let now = self.site.variables().await?;
        let mut is_begun = false;
        for touched in &self.spec.touched {
            let halt = |trouble| Halt { trouble, is_begun };
            if self.one(touched, &now).await.map_err(halt)? != Some(false) {
                continue;
            }
            match (self.wanted.iter().find(|variable| touched.is_kept_as(variable)), &touched.was) {
                (Some(variable), _) => self.site.put(variable).await.map_err(halt)?,
                (None, Some((id, _))) => self.site.remove(id).await.map_err(halt)?,
                (None, None) => continue,
            }
            is_begun = true;
        }
        Ok(())
    }

    fn words(&self, trouble: &Trouble) -> Words {
        mute(trouble, self.site.name)
    }
}
