//! D1: tables as files of comma-separated values, all in one state of the database. What is in them is shown nowhere.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::databases::{DatabaseConfig, is_table, quoted_table};
use super::files;
use super::server::{self, Count, Facts};
use super::settle::ended;
use super::tools::{Tools, complaint};
use super::{Export, Postgres, counted, fault_of, mark};
use crate::actions::World;
use crate::actions::command::MOST_OUTPUT;
use crate::actions::config::{ConfigFault, fault};
use crate::actions::disk::{flush_folder, off_thread, removed, said};
use crate::actions::process::Ended;
use crate::actions::provider::{Happened, PlanFault, StepContext, StepResult, unchanged};
use crate::incident::approval::PlannedStep;
use crate::incident::words::Words;

const CSV: &str = ".csv";

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spec {
    /// Where the server is. An oid tells databases apart on one server only.
    server_at: String,
    database: String,
    oid: i64,
    tables: Vec<String>,
    folder: PathBuf,
}

impl Export {
    pub(super) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.tables.is_empty() {
            faults.push(fault(format!("{path}.tables"), "name at least one table"));
        }
        for (index, table) in self.tables.iter().enumerate().filter(|(_, table)| !is_table(table)) {
            let sentence = format!("“{table}” is no table's name; write for example orders or sales.orders");
            faults.push(fault(format!("{path}.tables[{index}]"), sentence));
        }
        // psql is told the path inside a command of its own.
        let is_strange = |c: char| c.is_control() || matches!(c, '\'' | '"' | '\\');
        if self.folder.is_relative() || self.folder.to_string_lossy().contains(is_strange) {
            faults.push(fault(format!("{path}.folder"), "write the whole path, beginning with /, without quotes"));
        }
    }
}

pub(super) async fn plan(
    step: &Postgres,
    export: &Export,
    config: &DatabaseConfig,
    world: &World,
    within: std::time::Duration,
) -> Result<PlannedStep, PlanFault> {
    let target = step.name();
    let facts = Facts::of(config, "", within).await.map_err(|trouble| fault_of(&target, &trouble))?;
    let counts = server::counted(config, &export.tables, within).await;
    let counts = counts.map_err(|trouble| fault_of(&target, &trouble))?;
    if let Some(absent) = counts.iter().find(|count| count.rows.is_none() && !count.is_late) {
        let why = Words::new("postgres.no_table").with("table", absent.table.as_str());
        return Err(PlanFault::Refused { target, why });
    }
    let tools = Tools { config, world, mark: "", server: facts.version_number };
    let refused = |why| PlanFault::Refused { target: target.clone(), why };
    tools.version("psql", within).await.map_err(refused)?;
    let folder = export.folder.clone();
    off_thread(move || said(&folder, "file.not_listed", std::fs::read_dir(&folder)).map(|_| ()))
        .await
        .map_err(refused)?;
    let diff = vec![
        config.says_where(),
        Words::new("postgres.counted").with("rows", counted(&counts)),
        Words::new("postgres.kept_in").with("path", export.folder.display().to_string()),
    ];
    let title = Words::new("postgres.title_export").with("tables", export.tables.clone());
    let spec = Spec {
        server_at: config.server_at(),
        database: config.name.clone(),
        oid: facts.oid,
        tables: export.tables.clone(),
        folder: export.folder.clone(),
    };
    Ok(PlannedStep {
        title: title.with("database", config.name.as_str()),
        target,
        locks: step.locks_at(config),
        from: None,
        to: export.tables.iter().map(|table| format!("{table}.….csv")).collect::<Vec<_>>().join(", "),
        diff,
        needs: Vec::new(),
        risk: step.least_risk(),
        configured_at: None,
        always: false,
        after: Vec::new(),
        provider: String::new(),
        spec: serde_json::to_value(&spec).unwrap_or_default(),
    })
}

/// The approved facts are still those of the configuration.
pub(super) fn is_meant_by(spec: &Spec, export: &Export, config: &DatabaseConfig) -> bool {
    (&spec.server_at, &spec.database) == (&config.server_at(), &config.name)
        && spec.tables == export.tables
        && spec.folder == export.folder
}

pub(super) async fn execute(spec: &Spec, config: &DatabaseConfig, cx: &StepContext<'_>) -> StepResult {
    let facts = match Facts::of(config, &mark(cx), cx.within).await {
        Ok(facts) => facts,
        Err(trouble) => return StepResult::unchanged(trouble.words()),
    };
    if facts.oid != spec.oid {
        return StepResult::stale(Words::new("postgres.other_database").with("database", spec.database.as_str()));
    }
    let drafts: Vec<PathBuf> = spec.tables.iter().map(|table| draft(spec, cx, table)).collect();
    let (folder, key, private) = (spec.folder.clone(), cx.idempotency_key(), drafts.clone());
    let ready = off_thread(move || {
        cleared(&folder, &key)?;
        private.iter().try_for_each(|draft| files::made_private(draft))
    });
    if let Err(why) = ready.await {
        return StepResult::unchanged(why);
    }
    let mark = mark(cx);
    let tools = Tools { config, world: cx.world, mark: &mark, server: facts.version_number };
    let finished = match tools.run("psql", arguments(spec, &drafts), &config.name, cx.within).await {
        Ok(finished) => finished,
        Err(fault) => return StepResult::unchanged(fault.words()),
    };
    let (folder, key) = (spec.folder.clone(), cx.idempotency_key());
    if finished.ended != Ended::Exit(0) {
        let left = off_thread(move || cleared(&folder, &key)).await.err();
        let over = ended(config, &mark).await.err();
        for why in left.into_iter().chain(over) {
            tracing::warn!(%why, "an export that failed left something behind");
        }
        let why = unchanged(complaint("psql", &finished, cx.within));
        return StepResult::Failed { why, output: finished.output(MOST_OUTPUT) };
    }
    let rows =
        finished.stdout.text.lines().filter_map(|line| line.strip_prefix("COPY ")?.trim().parse().ok()).map(Some);
    let counts: Vec<Count> = spec
        .tables
        .iter()
        .zip(rows)
        .map(|(table, rows)| Count { table: table.clone(), rows, is_late: false })
        .collect();
    let stamp = files::stamp(facts.now_ms);
    let names: Vec<String> = spec.tables.iter().map(|table| format!("{table}.{stamp}.{key}{CSV}")).collect();
    let (finals, at) = (names.clone(), folder.clone());
    let named = off_thread(move || {
        for (draft, name) in drafts.iter().zip(finals) {
            files::sealed(draft)?;
            let path = at.join(name);
            said(&path, "file.not_written", std::fs::rename(draft, &path))?;
            flush_folder(&path)?;
        }
        Ok(())
    });
    match named.await {
        Ok(()) => StepResult::Done {
            note: Words::new("postgres.exported").with("rows", counted(&counts)).with("names", names),
            output: None,
            live: None,
        },
        // Some of the tables would pass for all of them.
        Err(why) => match off_thread(move || cleared(&folder, &key)).await {
            Ok(()) => StepResult::unchanged(why),
            Err(left) => StepResult::failed(Words::new("step.both").with("first", why).with("then", left)),
        },
    }
}

/// Takes away every file that a step has made.
fn cleared(folder: &Path, key: &str) -> Result<(), Words> {
    files::swept(folder, key)?;
    exported(folder, key)?.iter().try_for_each(|name| removed(&folder.join(name)))
}

fn draft(spec: &Spec, cx: &StepContext<'_>, table: &str) -> PathBuf {
    files::unfinished(&spec.folder, &cx.idempotency_key(), &format!("{}-{table}{CSV}", cx.fence))
}

fn arguments(spec: &Spec, drafts: &[PathBuf]) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["--no-psqlrc", "--no-password", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse"].map(str::to_owned).to_vec();
    let copies = spec.tables.iter().zip(drafts).map(|(table, draft)| {
        let (table, path) = (quoted_table(table), draft.display());
        format!("\\copy (SELECT * FROM {table}) TO '{path}' WITH (FORMAT csv, HEADER)")
    });
    let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned();
    for command in std::iter::once(begin).chain(copies).chain(["COMMIT".to_owned()]) {
        arguments.push(format!("--command={command}"));
    }
    arguments
}

/// The files that a step has made.
fn exported(folder: &Path, key: &str) -> Result<Vec<String>, Words> {
    let ending = format!(".{key}{CSV}");
    let mut names = Vec::new();
    for entry in said(folder, "file.not_listed", std::fs::read_dir(folder))? {
        let entry = said(folder, "file.not_listed", entry)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(&ending) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

pub(super) async fn check(spec: &Spec, cx: &StepContext<'_>) -> Happened {
    let (folder, key) = (spec.folder.clone(), cx.idempotency_key());
    match off_thread(move || exported(&folder, &key)).await {
        Ok(names) if names.len() == spec.tables.len() => {
            let note = Words::new("postgres.exported").with("rows", Vec::<String>::new()).with("names", names);
            Happened::Yes { note, live: None }
        }
        Ok(_) => Happened::No { note: Words::new("postgres.not_made") },
        Err(why) => Happened::CannotTell { why },
    }
}
