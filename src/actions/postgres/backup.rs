//! D1: a backup now, with its size, its time, its checksum and the rows that were counted in the same state.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::databases::{DatabaseConfig, Keep, quoted};
use super::files::{self, Kept, Page};
use super::server::{self, Facts, Snapshot, Trouble};
use super::settle;
use super::tools::{Tools, complaint, dumps};
use super::{Postgres, counted, folder_of, mark};
use crate::actions::World;
use crate::actions::disk::{off_thread, removed};
use crate::actions::process::{Ended, Finished};
use crate::actions::provider::{Happened, PlanFault, StepContext, StepResult, unchanged};
use crate::actions::stopwatch::{Stopwatch, pause};
use crate::incident::approval::{PlannedStep, Risk};
use crate::incident::words::Words;

/// How a backup is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// PostgreSQL's own archive, compressed.
    #[default]
    Custom,
    /// A script of SQL.
    Plain,
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spec {
    /// Where the server is. An oid tells databases apart on one server only.
    server_at: String,
    database: String,
    oid: i64,
    folder: PathBuf,
    format: Format,
    #[serde(default)]
    schemas: Vec<String>,
    /// The old backups that go after a good one.
    lets_go: Vec<String>,
}

/// How often it is told how far it is.
const TELLING: Duration = Duration::from_secs(1);
const DAY: i64 = 24 * 60 * 60 * 1_000;

pub(super) async fn plan(
    step: &Postgres,
    format: Format,
    config: &DatabaseConfig,
    world: &World,
    within: Duration,
) -> Result<PlannedStep, PlanFault> {
    let target = step.name();
    let unreadable = |why| PlanFault::Unreadable { target: target.clone(), why };
    let refused = |why| PlanFault::Refused { target: target.clone(), why };
    let folder = folder_of(config).map_err(refused)?;
    let facts = Facts::planned(config, within).await.map_err(|trouble| unreadable(trouble.words()))?;
    let tools = Tools { config, world, mark: "", server: facts.version_number };
    dumps(&tools, &facts, within).await.map_err(refused)?;
    if format == Format::Plain
        && server::has_large_objects(config, within).await.map_err(|trouble| unreadable(trouble.words()))?
    {
        return Err(refused(large_objects(&config.name)));
    }
    let (at, name) = (folder.clone(), config.name.clone());
    let mut kept = off_thread(move || files::kept(&at, &name)).await.map_err(unreadable)?;
    kept.retain(|one| !one.is_foreign(&config.server_at()));
    let lets_go = config.keep.as_ref().map(|keep| lets_go(keep, &kept, facts.now_ms)).unwrap_or_default();
    let size = Words::new("postgres.size_of").with("database", config.name.as_str());
    let mut diff = vec![config.says_where()];
    // Before what is only good to know, for a card shows the first lines.
    if !lets_go.is_empty() {
        diff.push(Words::new("postgres.lets_go").with("names", lets_go.clone()));
    }
    diff.push(size.with("size", files::size(facts.bytes)));
    if let Some(newest) = kept.first() {
        let words = Words::new("postgres.newest_backup").with("name", newest.name.as_str());
        diff.push(words.with("age_ms", age(facts.now_ms, newest.made_at_ms)));
    }
    if !facts.counts.is_empty() {
        diff.push(Words::new("postgres.counted").with("rows", counted(&facts.counts)));
    }
    diff.push(Words::new("postgres.kept_in").with("path", folder.display().to_string()));
    if !config.schemas.is_empty() {
        diff.push(Words::new("postgres.only_schemas").with("schemas", config.schemas.clone()));
    }
    let risk = if lets_go.is_empty() { step.least_risk() } else { step.least_risk().max(Risk::Reversible) };
    let from = kept.first().map(|newest| newest.name.clone());
    let (server_at, database, schemas) = (config.server_at(), config.name.clone(), config.schemas.clone());
    let spec = Spec { server_at, database, oid: facts.oid, folder, format, schemas, lets_go };
    Ok(PlannedStep {
        title: Words::new("postgres.title_backup").with("database", config.name.as_str()),
        target,
        locks: step.locks_at(config),
        from,
        to: format!("{}.{}{}", config.name, "…", ending(format)),
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

const fn ending(format: Format) -> &'static str {
    match format {
        Format::Custom => files::ARCHIVE,
        Format::Plain => files::PLAIN,
    }
}

/// Those that every rule lets go once there is one more; the newest first.
fn lets_go(keep: &Keep, kept: &[Kept], now_ms: i64) -> Vec<String> {
    let own = kept.iter().filter(|one| one.page.is_some() && !one.is_safety_copy());
    let newest = keep.newest.map_or(0, |newest| usize::try_from(newest).unwrap_or(usize::MAX));
    own.enumerate()
        .filter(|(place, one)| {
            let is_young = keep.days.is_some_and(|days| now_ms - one.made_at_ms < i64::from(days) * DAY);
            // The new one will stand before them all.
            place + 1 >= newest && !is_young
        })
        .map(|(_, one)| one.name.clone())
        .collect()
}

pub(super) async fn execute(step: &Postgres, spec: &Spec, config: &DatabaseConfig, cx: &StepContext<'_>) -> StepResult {
    let watch = Stopwatch::start();
    match made_by(spec, &cx.idempotency_key()).await {
        Ok(Some(kept)) => return done(&kept, Old::default()),
        Ok(None) => {}
        Err(why) => return StepResult::unchanged(why),
    }
    let unread = |trouble: Trouble| StepResult::unchanged(trouble.words());
    let facts = match Facts::of(config, &mark(cx), cx.within).await {
        Ok(facts) => facts,
        Err(trouble) => return unread(trouble),
    };
    if facts.oid != spec.oid {
        return StepResult::stale(Words::new("postgres.other_database").with("database", spec.database.as_str()));
    }
    let making = Making {
        config,
        cx,
        folder: &spec.folder,
        format: spec.format,
        is_safety_copy: false,
        within: watch.left_of(cx.within),
    };
    let kept = match making.make(&facts).await {
        Ok(kept) => kept,
        Err(Unmade { why, output }) => {
            return StepResult::Failed { why: unchanged(why), output };
        }
    };
    let needed = match cx.in_use.beside(cx.step).await {
        Ok(needed) => needed,
        Err(why) => {
            tracing::warn!(step = %step.name(), %why, "nobody knows which old backups are still needed, so all of them stay");
            return done(&kept, Old::default());
        }
    };
    let (stay, names): (Vec<String>, Vec<String>) =
        spec.lets_go.iter().cloned().partition(|name| needed.contains(name));
    let folder = spec.folder.clone();
    let gone = off_thread(move || {
        let mut gone = Vec::new();
        for name in names {
            if files::deleted(&folder, &name)? {
                gone.push(name);
            }
        }
        Ok(gone)
    });
    match gone.await {
        Ok(gone) => done(&kept, Old { gone, stay }),
        // The backup is there, which is what was asked for.
        Err(why) => {
            tracing::warn!(step = %step.name(), %why, "old backups could not be deleted");
            done(&kept, Old { gone: Vec::new(), stay })
        }
    }
}

/// What became of the old backups that may go.
#[derive(Default)]
struct Old {
    gone: Vec<String>,
    /// Something that is planned still needs them.
    stay: Vec<String>,
}

pub(super) async fn check(spec: &Spec, cx: &StepContext<'_>) -> Happened {
    match made_by(spec, &cx.idempotency_key()).await {
        Ok(Some(kept)) => Happened::Yes { note: note(&kept, &Old::default()), live: Some(kept.name) },
        // Without its page it is not finished; what is left of it is swept away when it is made again.
        Ok(None) => Happened::No { note: Words::new("postgres.not_made") },
        Err(why) => Happened::CannotTell { why },
    }
}

/// The approved facts are still those of the configuration.
pub(super) fn is_meant_by(spec: &Spec, format: Format, config: &DatabaseConfig) -> bool {
    let is_same = (&spec.database, &spec.schemas) == (&config.name, &config.schemas);
    is_same
        && spec.server_at == config.server_at()
        && spec.format == format
        && Some(&spec.folder) == config.backups.as_ref()
}

async fn made_by(spec: &Spec, key: &str) -> Result<Option<Kept>, Words> {
    made(spec.folder.clone(), spec.database.clone(), key.to_owned(), false).await
}

/// The backup that a step has made.
pub(super) async fn made(
    folder: PathBuf,
    database: String,
    key: String,
    is_safety_copy: bool,
) -> Result<Option<Kept>, Words> {
    let is_it = move |one: &Kept| {
        one.page.as_ref().is_some_and(|page| page.made_by == key && page.is_safety_copy == is_safety_copy)
    };
    off_thread(move || Ok(files::kept(&folder, &database)?.into_iter().find(is_it))).await
}

fn note(kept: &Kept, old: &Old) -> Words {
    let words = Words::new("postgres.kept").with("name", kept.name.as_str()).with("size", files::size(kept.bytes));
    let page = kept.page.as_ref();
    words
        .with("took_ms", page.map_or(0, |page| page.took_ms))
        .with("digest", page.map_or("", |page| page.sha256.get(..12).unwrap_or(&page.sha256)))
        .with("rows", page.map(|page| counted(&page.counts)).unwrap_or_default())
        .with("gone", old.gone.clone())
        .with("stay", old.stay.clone())
}

fn done(kept: &Kept, old: Old) -> StepResult {
    StepResult::Done { note: note(kept, &old), output: None, live: Some(kept.name.clone()) }
}

/// A backup was not made; nothing of it is left.
pub(super) struct Unmade {
    pub why: Words,
    pub output: Option<String>,
}

impl From<Words> for Unmade {
    fn from(why: Words) -> Self {
        Self { why, output: None }
    }
}

/// Making one backup.
pub(super) struct Making<'a> {
    pub config: &'a DatabaseConfig,
    pub cx: &'a StepContext<'a>,
    pub folder: &'a Path,
    pub format: Format,
    pub is_safety_copy: bool,
    pub within: Duration,
}

impl Making<'_> {
    /// Makes it, reads it once to see that it can be read, and gives it its name. Half of one never has it.
    pub(super) async fn make(&self, facts: &Facts) -> Result<Kept, Unmade> {
        let key = self.cx.idempotency_key();
        let draft = files::unfinished(self.folder, &key, &format!("{}{}", self.cx.fence, ending(self.format)));
        let made = self.made(facts, &key, &draft).await;
        if made.is_err() {
            let gone = off_thread(move || removed(&draft)).await;
            if let Err(why) = gone {
                tracing::warn!(%why, "what is left of a backup could not be taken away");
            }
        }
        made
    }

    async fn made(&self, facts: &Facts, key: &str, draft: &Path) -> Result<Kept, Unmade> {
        let watch = Stopwatch::start();
        let mark = mark(self.cx);
        let tools = Tools { config: self.config, world: self.cx.world, mark: &mark, server: facts.version_number };
        let version = dumps(&tools, facts, self.within).await?;
        let (folder, swept, private) = (self.folder.to_owned(), key.to_owned(), draft.to_owned());
        off_thread(move || {
            files::swept(&folder, &swept)?;
            files::made_private(&private)
        })
        .await?;
        // Somebody may still be at it who lost their owner; what they write has no name any more.
        server::end_own(self.config, &mark, self.within).await.map_err(|trouble| trouble.words())?;
        let snapshot = Snapshot::take(self.config, self.within).await.map_err(|trouble| trouble.words())?;
        let arguments = self.arguments(&snapshot, draft);
        let dumping = tools.run("pg_dump", arguments, &self.config.name, watch.left_of(self.within));
        let tell = |size| (self.cx.progress)(Words::new("postgres.written").with("size", size));
        let finished = watched(draft, tell, dumping).await.map_err(|fault| fault.words())?;
        if !matches!(finished.ended, Ended::Exit(_))
            && let Err(why) = settle::ended(self.config, &mark).await
        {
            tracing::warn!(%why, "a backup that was cut off may still be read from the server");
        }
        self.demand_well("pg_dump", &finished)?;
        self.demand_readable(&tools, draft, watch.left_of(self.within)).await?;
        if self.format == Format::Plain {
            self.demand_one_transaction(draft, facts.version_number).await?;
        }
        let sealing = draft.to_owned();
        let (bytes, sha256) = off_thread(move || files::sealed(&sealing)).await?;
        let page = Page {
            database: self.config.name.clone(),
            server_at: Some(self.config.server_at()),
            is_safety_copy: self.is_safety_copy,
            made_by: key.to_owned(),
            made_at_ms: snapshot.at_ms,
            took_ms: watch.took().0,
            bytes,
            sha256,
            server: facts.version.clone(),
            pg_dump: version.shown,
            counts: snapshot.counts.clone(),
            last_migration: snapshot.last_migration.clone(),
            objects: Some(snapshot.objects.clone()),
        };
        let kind = if self.is_safety_copy { "before-" } else { "" };
        let name = format!("{}.{}.{kind}{key}{}", self.config.name, files::stamp(snapshot.at_ms), ending(self.format));
        let (from, to) = (draft.to_owned(), self.folder.join(&name));
        let kept = Kept { name, bytes, made_at_ms: page.made_at_ms, page: Some(page.clone()) };
        off_thread(move || files::put(&from, &to, &page)).await?;
        Ok(kept)
    }

    fn arguments(&self, snapshot: &Snapshot<'_>, draft: &Path) -> Vec<String> {
        let mut arguments = vec![
            "--no-password".to_owned(),
            format!("--snapshot={}", snapshot.name),
            format!("--file={}", draft.display()),
        ];
        // Quoted, for it would be a pattern otherwise.
        arguments.extend(self.config.schemas.iter().map(|schema| format!("--schema={}", quoted(schema))));
        match self.format {
            Format::Custom => arguments.push("--format=custom".to_owned()),
            // A script can only be put in the place of what is there if it says so itself.
            Format::Plain => {
                arguments.extend(["--format=plain", "--clean", "--if-exists"].map(str::to_owned));
            }
        }
        arguments
    }

    fn demand_well(&self, program: &str, finished: &Finished) -> Result<(), Unmade> {
        match finished.ended {
            Ended::Exit(0) => Ok(()),
            _ => Err(Unmade {
                why: complaint(program, finished, self.within),
                output: finished.output(crate::actions::command::MOST_OUTPUT),
            }),
        }
    }

    /// An archive has its contents at its beginning; a script that was written whole says so at its end.
    async fn demand_readable(&self, tools: &Tools<'_>, draft: &Path, within: Duration) -> Result<(), Unmade> {
        if self.format == Format::Custom {
            let arguments = vec!["--list".to_owned(), draft.display().to_string()];
            let finished = tools.run("pg_restore", arguments, "", within).await.map_err(|fault| fault.words())?;
            return self.demand_well("pg_restore", &finished);
        }
        let path = draft.to_owned();
        off_thread(move || files::demand_whole_script(&path)).await.map_err(Unmade::from)
    }

    /// A script is put back as it is: it must be one that its own server takes, all of it at once.
    async fn demand_one_transaction(&self, draft: &Path, server: i32) -> Result<(), Unmade> {
        let path = draft.to_owned();
        let holds = off_thread(move || {
            files::made_fit(&path, server)?;
            files::holds_large_objects(&path)
        });
        if holds.await? { Err(large_objects(&self.config.name).into()) } else { Ok(()) }
    }
}

/// Why a database is not backed up as a script.
fn large_objects(database: &str) -> Words {
    Words::new("postgres.large_objects").with("database", database)
}

/// Works, and tells each second how large a file has become meanwhile. A disk that hangs holds up only the telling.
pub(super) async fn watched<T>(path: &Path, tell: impl Fn(Words), work: impl Future<Output = T>) -> T {
    let telling = async {
        loop {
            pause(TELLING).await;
            let path = path.to_owned();
            let written = off_thread(move || Ok(std::fs::metadata(&path).map_or(0, |facts| facts.len()))).await;
            tell(files::size(written.unwrap_or_default()));
        }
    };
    tokio::select! {
        done = work => done,
        never = telling => never,
    }
}

/// How old a backup is by the server's clock.
pub(super) fn age(now_ms: i64, made_at_ms: i64) -> i64 {
    now_ms.saturating_sub(made_at_ms).max(0)
}
