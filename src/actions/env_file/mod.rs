//! Environment files: save a copy with a time, restore one, atomically, keeping mode and owner (row X2).
//!
//! Values never leave the file: plans, cards and results name variables only. Restoring saves the present state
//! first, so that it can be taken back by restoring again.

pub(super) mod files;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use self::files::{Copy, State};
use super::config::{ConfigFault, fault};
use super::disk::off_thread;
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use crate::incident::approval::{Choice, Choosing, PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// An environment file and what is done with it.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvFile {
    /// What it belongs to, named so that nothing else can be meant: `shop .env`.
    pub target: String,
    /// The file, with its whole path.
    pub path: PathBuf,
    /// Where its copies are, as `<its name>.<anything>`; beside it when it is not said.
    pub copies: Option<PathBuf>,
    /// Save or restore.
    pub operation: Operation,
    /// The name of the copy to restore; when it is not said, the one that a person chooses, else the newest that differs
    /// and has a time in its name, as those that Vigie makes have.
    pub copy: Option<String>,
}

/// What is done with an environment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Make a copy with the time in its name.
    Save,
    /// Put a copy in its place.
    Restore,
}

/// The approved facts. Digests of the contents, no contents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Spec {
    operation: Operation,
    /// The real file, behind links.
    path: PathBuf,
    /// Its content's digest; `None` when it is missing.
    from: Option<String>,
    /// The copy to restore and its content's digest.
    copy: Option<(PathBuf, String)>,
    /// It takes back what the configuration says.
    #[serde(default)]
    is_back: bool,
}

#[async_trait]
impl ActionProvider for EnvFile {
    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.target)
    }

    fn risk(&self) -> Risk {
        Risk::Reversible
    }

    fn copies_data(&self) -> bool {
        self.operation == Operation::Save
    }

    fn usually_within(&self) -> Millis {
        Millis::seconds(30)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        Vec::new()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let folders = [("path", Some(&self.path)), ("copies", self.copies.as_ref())];
        for (name, _) in folders.iter().filter(|(_, path)| path.is_some_and(|path| path.is_relative())) {
            faults.push(fault(format!("{path}.{name}"), "write the whole path, beginning with /"));
        }
        if self.path.file_name().is_none() {
            faults.push(fault(format!("{path}.path"), "name a file, for example /srv/shop/.env"));
        }
        if self.copy.as_ref().is_some_and(|copy| copy.contains('/') || self.operation == Operation::Save) {
            let sentence = "the name of a copy in the folder of copies, and only for operation: restore";
            faults.push(fault(format!("{path}.copy"), sentence));
        }
    }

    fn choosing(&self) -> Choosing {
        let is_open = self.operation == Operation::Restore && self.copy.is_none();
        if is_open { Choosing::May } else { Choosing::Nothing }
    }

    async fn choices(&self, _cx: &PlanContext<'_>) -> Result<Vec<Choice>, PlanFault> {
        let found = self.found().await?;
        let others = found.copies.iter().filter(|copy| found.differs(copy));
        let label = |copy: &Copy| Words::verbatim(format!("{} · {}", copy.name, copy.state.shown()));
        Ok(others.map(|copy| Choice { label: label(copy), value: copy.name.clone() }).collect())
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let found = self.found().await?;
        match self.operation {
            Operation::Save => self.saving(&found),
            Operation::Restore => {
                let chosen = self.chosen(&found, self.copy.as_deref().or(cx.wanted))?;
                Ok(self.restoring(&found, chosen, false))
            }
        }
    }

    /// What was there before was saved, and is found again by its content.
    async fn plan_back(&self, done: &PlannedStep, _cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let spec: Spec = spec_of(done).map_err(PlanFault::NothingToGoBackTo)?;
        let Some(before) = spec.from.filter(|_| spec.operation == Operation::Restore) else {
            return Err(PlanFault::NothingToGoBackTo(Words::new("step.no_way_back")));
        };
        let found = self.found().await?;
        if found.state.as_ref().is_some_and(|state| state.digest == before) {
            let to = done.from.clone().unwrap_or_default();
            return Err(PlanFault::AlreadyThere { target: self.target.clone(), to });
        }
        let copy = found.copies.iter().find(|copy| copy.state.digest == before);
        let copy = copy.ok_or_else(|| PlanFault::NothingToGoBackTo(about("file.no_copy_of_before", &found.path)))?;
        Ok(self.restoring(&found, copy, true))
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let (this, key, step) = (self.clone(), cx.idempotency_key(), step.clone());
        let acted = off_thread(move || {
            Ok(match this.approved(&step) {
                Ok(spec) => this.act(&spec, &key),
                Err(found) => StepResult::stale(found),
            })
        });
        acted.await.unwrap_or_else(StepResult::unknown)
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        let (this, key, step) = (self.clone(), cx.idempotency_key(), step.clone());
        let looked = off_thread(move || this.happened(&this.approved(&step)?, &key)).await;
        looked.unwrap_or_else(|why| Happened::CannotTell { why })
    }
}

/// How the file and its copies stand.
struct Found {
    path: PathBuf,
    state: Option<State>,
    copies: Vec<Copy>,
    /// Copies by their names that could not be read, and why.
    unread: BTreeMap<String, Words>,
}

impl Found {
    fn differs(&self, copy: &Copy) -> bool {
        self.state.as_ref().is_none_or(|state| state.digest != copy.state.digest)
    }
}

/// A sentence about a file or a folder.
fn about(key: &'static str, path: &Path) -> Words {
    Words::new(key).with("path", path.display().to_string())
}

impl EnvFile {
    /// A sentence about what the file belongs to.
    fn says(&self, key: &'static str) -> Words {
        Words::new(key).with("target", self.target.as_str())
    }

    fn folder(&self, real: &Path) -> PathBuf {
        let beside = || real.parent().unwrap_or(Path::new("/")).to_path_buf();
        self.copies.clone().unwrap_or_else(beside)
    }

    fn look(&self) -> Result<Found, Words> {
        let path = files::real(&self.path)?;
        let state = files::state(&path)?;
        let (copies, unread) = match self.operation {
            Operation::Save => Default::default(),
            Operation::Restore => files::copies(&self.folder(&path), &path)?,
        };
        Ok(Found { path, state, copies, unread })
    }

    async fn found(&self) -> Result<Found, PlanFault> {
        let this = self.clone();
        let found = off_thread(move || this.look()).await;
        found.map_err(|why| PlanFault::Unreadable { target: self.target.clone(), why })
    }

    /// The copy of this name, else the newest dated one that differs.
    fn chosen<'f>(&self, found: &'f Found, name: Option<&str>) -> Result<&'f Copy, PlanFault> {
        let Some(name) = name else {
            return found
                .copies
                .iter()
                .find(|copy| copy.is_dated(&found.path) && found.differs(copy))
                .ok_or_else(|| PlanFault::NothingToGoBackTo(about("file.no_copy_differs", &found.path)));
        };
        if let Some(why) = found.unread.get(name) {
            return Err(PlanFault::Unreadable { target: self.target.clone(), why: why.clone() });
        }
        let copy =
            found.copies.iter().find(|copy| copy.name == name).ok_or_else(|| {
                PlanFault::NothingToGoBackTo(about("file.no_such_copy", &found.path).with("copy", name))
            })?;
        let already = || PlanFault::AlreadyThere { target: self.target.clone(), to: name.to_owned() };
        Some(copy).filter(|copy| found.differs(copy)).ok_or_else(already)
    }

    fn saving(&self, found: &Found) -> Result<PlannedStep, PlanFault> {
        let Some(state) = &found.state else {
            return Err(PlanFault::NothingToGoBackTo(about("file.none", &self.path)));
        };
        let diff = vec![about("file.copy_in", &self.folder(&found.path))];
        Ok(self.step(found, self.says("file.title_save"), state.shown(), diff, None))
    }

    fn restoring(&self, found: &Found, copy: &Copy, is_back: bool) -> PlannedStep {
        let old = found.state.as_ref().map(State::text).unwrap_or_default();
        let mut diff = files::changed_names(&old, &copy.state.text());
        diff.push(Words::verbatim(format!("{} ← {}", found.path.display(), copy.path.display())));
        let title = self.says("file.title_restore").with("copy", copy.name.as_str());
        let to = format!("{} {}", copy.name, copy.state.shown());
        let copy = (copy.path.clone(), copy.state.digest.clone());
        self.step(found, title, to, diff, Some((copy, is_back)))
    }

    fn step(
        &self,
        found: &Found,
        title: Words,
        to: String,
        diff: Vec<Words>,
        copy: Option<((PathBuf, String), bool)>,
    ) -> PlannedStep {
        let from = found.state.as_ref().map(|state| state.digest.clone());
        let is_back = copy.as_ref().is_some_and(|(_, is_back)| *is_back);
        let copy = copy.map(|(copy, _)| copy);
        let spec = Spec { operation: self.operation, path: found.path.clone(), from, copy, is_back };
        PlannedStep {
            title,
            target: self.target.clone(),
            locks: Vec::new(),
            from: found.state.as_ref().map(State::shown),
            to,
            diff,
            needs: Vec::new(),
            risk: self.risk(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            provider: String::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
        }
    }

    /// The approved facts, if today's configuration still means the same. Waits for the disk.
    fn approved(&self, step: &PlannedStep) -> Result<Spec, Words> {
        let spec: Spec = spec_of(step)?;
        let same_copy = match (&spec.copy, &self.copy) {
            (Some((path, _)), Some(name)) if !spec.is_back => {
                path.file_name().is_some_and(|found| found == name.as_str())
            }
            _ => true,
        };
        let same = spec.operation == self.operation && files::real(&self.path).as_ref() == Ok(&spec.path) && same_copy;
        if same { Ok(spec) } else { Err(reconfigured()) }
    }

    fn act(&self, spec: &Spec, key: &str) -> StepResult {
        let now = match files::state(&spec.path) {
            Ok(now) => now.map(|state| state.digest),
            Err(why) => return StepResult::unchanged(why),
        };
        let wanted = spec.copy.as_ref().map(|(_, digest)| digest);
        if wanted.is_some() && now.as_ref() == wanted {
            return StepResult::done(self.says("file.already"));
        }
        if now != spec.from {
            return StepResult::stale(about("file.changed", &spec.path));
        }
        if let Some((copy, digest)) = &spec.copy {
            match files::state(copy) {
                Ok(Some(state)) if state.digest == *digest => {}
                Ok(_) => return StepResult::stale(about("file.changed", copy)),
                Err(why) => return StepResult::unchanged(why),
            }
        }
        let saved = match now.map(|_| files::save(&spec.path, &self.folder(&spec.path), key)).transpose() {
            Ok(saved) => saved,
            Err(why) => return StepResult::unchanged(why),
        };
        let Some((copy, _)) = &spec.copy else {
            let note = saved.map_or_else(|| Words::new("file.nothing_to_save"), |copy| about("file.saved", &copy));
            return StepResult::done(note);
        };
        match files::replace(&spec.path, copy, key) {
            Err(why) => StepResult::unchanged(why),
            Ok(()) => {
                let note = self.says("file.restored").with("copy", copy.display().to_string());
                StepResult::done(note.with("saved", saved.map(|saved| saved.display().to_string())))
            }
        }
    }

    fn happened(&self, spec: &Spec, key: &str) -> Result<Happened, Words> {
        let now = files::state(&spec.path)?.map(|state| state.digest);
        let Some((copy, digest)) = &spec.copy else {
            let saved = files::saved_by(&self.folder(&spec.path), &spec.path, key)?;
            return Ok(match saved {
                Some(name) => Happened::Yes { note: about("file.saved", Path::new(&name)), live: None },
                None => Happened::No { note: Words::new("file.no_copy_of_run") },
            });
        };
        Ok(if now.as_ref() == Some(digest) {
            Happened::Yes { note: self.says("file.as_in_copy").with("copy", copy.display().to_string()), live: None }
        } else if now == spec.from {
            Happened::No { note: self.says("file.as_it_was") }
        } else {
            Happened::CannotTell { why: self.says("file.neither") }
        })
    }
}

#[cfg(test)]
mod tests;
