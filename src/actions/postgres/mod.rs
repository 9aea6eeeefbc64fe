//! PostgreSQL: looking into the team's databases (H3), backing them up and exporting tables (D1), putting a backup in their
//! place or beside them (D2), with what was there before and afterwards held against each other (D5).
//!
//! What this room may not do: look with a transaction that could change something, put a backup in the place of a database
//! without a copy of what is there, believe a program about how a restore ended where the server can tell, or show what is in
//! a table.

mod backup;
mod databases;
mod export;
mod files;
mod objects;
mod put;
mod restore;
pub(in crate::actions) mod server;
mod settle;
mod tools;

use std::borrow::Cow;
use std::path::PathBuf;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

pub use backup::Format;
pub use databases::{DatabaseConfig, Databases, Keep};
pub use restore::{Others, Owners, Place, Strangers};

use self::server::{Count, Trouble};
use super::config::{ConfigFault, fault};
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use crate::actions::disk::off_thread;
use crate::incident::approval::{Choice, Choosing, PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// The longest name that the server keeps whole, in bytes.
const LONGEST_NAME: usize = 63;

/// Something done with a database: exactly one of backup, export and restore.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// A key under `databases`.
    pub database: String,
    /// What it can do to the world; destructive for a restore in place, reversible for one into a fresh database, else
    /// read-only, when it is not said.
    pub risk: Option<Risk>,
    /// Makes a backup (D1).
    pub backup: Option<Backup>,
    /// Writes tables to files (D1).
    pub export: Option<Export>,
    /// Takes a backup up again (D2).
    pub restore: Option<Restore>,
}

/// A backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// How it is written.
    #[serde(default)]
    pub format: Format,
}

/// Tables as files of comma-separated values, all in the same state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The tables, as `table` or `schema.table`.
    pub tables: Vec<String>,
    /// The folder that the files go to.
    pub folder: PathBuf,
}

/// Which backup goes where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The backup's name; the newest, or what a person chooses, when it is not said.
    pub from: Option<String>,
    /// Where it goes.
    pub into: Place,
    /// What happens when others are connected.
    #[serde(default)]
    pub others: Others,
    /// Whether things keep the owners and the rights that they have in the backup.
    #[serde(default)]
    pub owners: Owners,
    /// Whether a backup that Vigie did not make may be put there.
    #[serde(default)]
    pub strangers: Strangers,
}

#[async_trait]
impl ActionProvider for Postgres {
    fn target(&self) -> Cow<'_, str> {
        self.name().into()
    }

    fn locks(&self) -> Vec<String> {
        vec![format!("postgres/{}{}", self.database, self.part())]
    }

    fn risk(&self) -> Risk {
        self.least_risk()
    }

    fn copies_data(&self) -> bool {
        self.backup.is_some() || self.export.is_some()
    }

    fn replaces_data(&self) -> bool {
        self.restore.as_ref().is_some_and(|restore| restore.into == Place::InPlace)
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(30)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        Vec::new()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let chosen = [self.backup.is_some(), self.export.is_some(), self.restore.is_some()];
        if chosen.iter().filter(|chosen| **chosen).count() != 1 {
            faults.push(fault(path, "say what is done in exactly one way: backup, export or restore"));
        }
        if let Some(export) = &self.export {
            export.validate(&format!("{path}.export"), faults);
        }
        if let Some(from) = self.restore.as_ref().and_then(|restore| restore.from.as_ref())
            && (from.contains('/') || from.starts_with('.'))
        {
            faults.push(fault(format!("{path}.restore.from"), "write the name of a file among the backups"));
        }
    }

    fn choosing(&self) -> Choosing {
        match &self.restore {
            Some(restore) if restore.from.as_deref().is_none_or(|from| from == restore::NEWEST) => Choosing::May,
            _ => Choosing::Nothing,
        }
    }

    async fn choices(&self, cx: &PlanContext<'_>) -> Result<Vec<Choice>, PlanFault> {
        restore::choices(self, self.described(cx)?, cx).await
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let config = self.described(cx)?;
        // Not all of the time: what takes too long is to be named, and not only the planning.
        let within = cx.within * 3 / 4;
        match (&self.backup, &self.export, &self.restore) {
            (Some(backup), _, _) => backup::plan(self, backup.format, config, cx.world, within).await,
            (_, Some(export), _) => export::plan(self, export, config, cx.world, within).await,
            (_, _, Some(restore)) => restore::plan(self, restore, config, cx, within).await,
            (None, None, None) => Err(PlanFault::NothingToGoBackTo(Words::new("step.no_way_back"))),
        }
    }

    async fn plan_back(&self, _done: &PlannedStep, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let config = self.described(cx)?;
        match &self.restore {
            Some(restore) => restore::plan_back(self, restore, config, cx).await,
            None => Err(PlanFault::NothingToGoBackTo(Words::new("step.no_way_back"))),
        }
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let Some(config) = cx.world.databases.get(&self.database) else { return StepResult::stale(reconfigured()) };
        match self.approved(step, config) {
            Ok(Approved::Backup(spec)) => backup::execute(self, &spec, config, cx).await,
            Ok(Approved::Export(spec)) => export::execute(&spec, config, cx).await,
            Ok(Approved::Restore(spec)) => restore::execute(&spec, config, cx).await,
            Err(found) => StepResult::stale(found),
        }
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        let Some(config) = cx.world.databases.get(&self.database) else {
            return Happened::CannotTell { why: reconfigured() };
        };
        match self.approved(step, config) {
            Ok(Approved::Backup(spec)) => backup::check(&spec, cx).await,
            Ok(Approved::Export(spec)) => export::check(&spec, cx).await,
            Ok(Approved::Restore(spec)) => restore::check(&spec, config, cx).await,
            Err(why) => Happened::CannotTell { why },
        }
    }

    async fn tidy(&self, cx: &StepContext<'_>) {
        let folder = match &self.export {
            Some(export) => Some(export.folder.clone()),
            None => cx.world.databases.get(&self.database).and_then(|config| config.backups.clone()),
        };
        let (Some(folder), key) = (folder, cx.idempotency_key()) else { return };
        if let Err(why) = off_thread(move || files::swept(&folder, &key)).await {
            tracing::warn!(%why, "what a step left lying beside the backups could not be taken away");
        }
    }
}

/// The approved facts of one of them.
enum Approved {
    Backup(backup::Spec),
    Export(export::Spec),
    Restore(restore::Spec),
}

impl Postgres {
    fn name(&self) -> String {
        format!("{} (PostgreSQL)", self.database)
    }

    fn least_risk(&self) -> Risk {
        let usual = match self.restore.as_ref().map(|restore| restore.into) {
            Some(Place::InPlace) => Risk::Destructive,
            Some(Place::Fresh) => Risk::Reversible,
            None => Risk::ReadOnly,
        };
        self.risk.unwrap_or(usual)
    }

    /// A backup is made beside whatever happens to the database, but two at once would delete each other's old ones.
    const fn part(&self) -> &'static str {
        match (&self.backup, &self.export) {
            (Some(_), _) => "/backups",
            (_, Some(_)) => "/exports",
            _ => "",
        }
    }

    /// The database itself is meant, whatever it is called in the configuration.
    fn locks_at(&self, config: &DatabaseConfig) -> Vec<String> {
        vec![format!("postgres/{}/{}{}", config.server_at(), config.name, self.part())]
    }

    fn described<'c>(&self, cx: &PlanContext<'c>) -> Result<&'c DatabaseConfig, PlanFault> {
        cx.world
            .databases
            .get(&self.database)
            .ok_or_else(|| PlanFault::Refused { target: self.name(), why: reconfigured() })
    }

    /// The approved facts, if today's configuration still means the same.
    fn approved(&self, step: &PlannedStep, config: &DatabaseConfig) -> Result<Approved, Words> {
        if step.locks != self.locks_at(config) {
            return Err(reconfigured());
        }
        let approved = match (&self.backup, &self.export, &self.restore) {
            (Some(backup), _, _) => {
                let spec: backup::Spec = spec_of(step)?;
                backup::is_meant_by(&spec, backup.format, config).then_some(Approved::Backup(spec))
            }
            (_, Some(export), _) => {
                let spec: export::Spec = spec_of(step)?;
                export::is_meant_by(&spec, export, config).then_some(Approved::Export(spec))
            }
            (_, _, Some(restore)) => {
                let spec: restore::Spec = spec_of(step)?;
                restore::is_meant_by(&spec, restore, config).then_some(Approved::Restore(spec))
            }
            (None, None, None) => None,
        };
        approved.ok_or_else(reconfigured)
    }

    /// What it needs of the database's description, and of the action.
    pub(super) fn validate_with(
        &self,
        config: &DatabaseConfig,
        allowed: Risk,
        path: &str,
        faults: &mut Vec<ConfigFault>,
    ) {
        if (self.backup.is_some() || self.restore.is_some()) && config.backups.is_none() {
            let sentence = format!("say where backups of “{}” are kept; add backups to its description", self.database);
            faults.push(fault(format!("{path}.database"), sentence));
        }
        if self.backup.as_ref().is_some_and(|backup| backup.format == Format::Plain) && !config.schemas.is_empty() {
            let sentence = "a script of some schemas drops the schemas themselves; write format: custom";
            faults.push(fault(format!("{path}.backup.format"), sentence));
        }
        if self.backup.is_some() && config.keep.is_some() && allowed == Risk::ReadOnly {
            let sentence = "old backups are deleted by the database's keep; say risk: reversible for the action";
            faults.push(fault(format!("{path}.backup"), sentence));
        }
    }
}

/// Why there is no plan when a server could not be looked at.
fn fault_of(target: &str, trouble: &Trouble) -> PlanFault {
    let (target, why) = (target.to_owned(), trouble.words());
    match trouble {
        Trouble::Refused(_) | Trouble::Absent(_) => PlanFault::Refused { target, why },
        Trouble::Slow(_) | Trouble::Unreachable(_) => PlanFault::Unreadable { target, why },
    }
}

/// What the server knows a step's own connections by.
fn mark(cx: &StepContext<'_>) -> String {
    format!("vigie {}", cx.idempotency_key())
}

/// What a database is called until it is whole: nobody else's step has the same name for it.
fn draft_name(config: &DatabaseConfig, mark: &str) -> String {
    let name = format!("{}_{}", mark.replace(' ', "_"), config.name);
    name.char_indices().take_while(|(at, c)| at + c.len_utf8() <= LONGEST_NAME).map(|(_, c)| c).collect()
}

/// Where backups are.
fn folder_of(config: &DatabaseConfig) -> Result<PathBuf, Words> {
    config.backups.clone().ok_or_else(reconfigured)
}

/// Rows by table, for a list; nothing of tables that are not there.
fn counted(counts: &[Count]) -> Vec<Value> {
    let line = |count: &Count| {
        if count.is_late {
            return Some(Words::new("postgres.late").with("table", count.table.as_str()));
        }
        let words = Words::new("postgres.rows").with("table", count.table.as_str());
        Some(words.with("rows", count.rows?))
    };
    counts.iter().filter_map(line).map(Value::from).collect()
}
