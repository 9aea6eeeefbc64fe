//! Putting a backup where it goes (D2), with what was there and what is there held against each other (D5).
//!
//! Whatever a program says or does not say at its end: whether it happened is asked of the server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::backup::{Making, Unmade, made, watched};
use super::databases::{DatabaseConfig, literal, quoted, quoted_table};
use super::files::{self, Kept};
use super::objects::own_schemas;
use super::restore::{COPY, Others, Owners, Place, Spec, compared, shortened};
use super::server::{self, Count, Facts};
use super::settle;
use super::tools::{Tools, complaint};
use super::{draft_name, mark};
use crate::actions::command::MOST_OUTPUT;
use crate::actions::disk::{off_thread, removed};
use crate::actions::process::{Ended, Finished};
use crate::actions::provider::{StepContext, StepResult, unchanged};
use crate::actions::stopwatch::{Patience, Stopwatch};
use crate::incident::words::Words;

/// From this version on a database can be dropped whoever is connected.
const DROPS_BY_FORCE: i32 = 130_000;
/// One look or one small change at the server.
const LOOK: Duration = Duration::from_secs(10);
/// The longest that is waited for others to go.
const OTHERS_GO: Duration = Duration::from_secs(30);
/// What our own part of the transaction says when somebody else holds a table.
const HELD: &str = "vigie: a table is held";
/// What it says when a table was written to after the copy was made.
const WRITTEN: &str = "vigie: written to since the copy: ";
/// The most that is set aside to find out how it ended.
const SETTLING: Duration = Duration::from_secs(30);

/// The step that a database's comment names: `… [vigie run_7_1-step-1]`.
pub(super) fn step_in(comment: &str) -> Option<&str> {
    let (_, rest) = comment.rsplit_once("[vigie ")?;
    rest.strip_suffix(']')
}

/// A comment without a mark of ours.
fn unmarked(comment: &str) -> &str {
    if step_in(comment).is_some() {
        comment.rsplit_once("[vigie ").map_or("", |(own, _)| own.trim_end())
    } else {
        comment
    }
}

/// Why a script is not put back.
fn large_objects(name: &str) -> Words {
    Words::new("postgres.large_in_script").with("name", name)
}

/// Demands that the tables that are held have the rows that the copy has: whatever came after it would be in no copy.
fn unwritten(copied: &[Count]) -> Option<String> {
    let rows = copied.iter().filter_map(|count| Some((quoted_table(&count.table), count.rows?)));
    let rows: Vec<String> = rows.map(|(table, rows)| format!("({}, {rows}::bigint)", literal(&table))).collect();
    (!rows.is_empty()).then(|| {
        format!(
            "DO $vigie$ DECLARE one record; now bigint; BEGIN \
             FOR one IN SELECT * FROM (VALUES {}) AS copied (name, rows) LOOP \
             IF EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND relation = to_regclass(one.name) \
             AND mode = 'AccessExclusiveLock') THEN EXECUTE 'SELECT count(*) FROM ' || one.name INTO now; \
             IF now <> one.rows THEN RAISE EXCEPTION '{WRITTEN}%', one.name; END IF; END IF; END LOOP; END $vigie$",
            rows.join(", ")
        )
    })
}

/// The database beside it under the name that it has until it is whole.
pub(super) enum Draft {
    None,
    /// Nobody filled it to its end.
    Part(String),
    /// All of it is there, and it only lacks its name.
    Whole(String),
}

/// One restore by one step of a run.
pub(super) struct Putting<'a> {
    spec: &'a Spec,
    config: &'a DatabaseConfig,
    cx: &'a StepContext<'a>,
    watch: Stopwatch,
    mark: String,
    key: String,
}

impl<'a> Putting<'a> {
    pub(super) fn new(spec: &'a Spec, config: &'a DatabaseConfig, cx: &'a StepContext<'a>) -> Self {
        Self { spec, config, cx, watch: Stopwatch::start(), mark: mark(cx), key: cx.idempotency_key() }
    }

    pub(super) async fn execute(&self) -> StepResult {
        self.put().await.unwrap_or_else(|halt| halt)
    }

    fn left(&self) -> Duration {
        self.watch.left_of(self.cx.within)
    }

    /// What is left for the work itself.
    fn left_to_work(&self) -> Duration {
        self.left().saturating_sub(SETTLING.min(self.cx.within / 5))
    }

    fn tell(&self, words: Words) {
        (self.cx.progress)(words);
    }

    async fn put(&self) -> Result<StepResult, StepResult> {
        if self.is_marked().await.map_err(StepResult::unchanged)? {
            return Ok(self.afterwards().await);
        }
        // A former owner's program may still be at it.
        if !settle::over_by_itself(self.config, &self.mark, self.left_to_work()).await.map_err(StepResult::unchanged)? {
            settle::ended(self.config, &self.mark).await.map_err(StepResult::unknown)?;
        }
        if self.is_marked().await.map_err(StepResult::unchanged)? {
            return Ok(self.afterwards().await);
        }
        let facts = Facts::of(self.config, &self.mark, self.left_to_work()).await;
        let facts = facts.map_err(|trouble| StepResult::unchanged(trouble.words()))?;
        if facts.oid != self.spec.oid {
            let database = self.spec.database.as_str();
            return Err(StepResult::stale(Words::new("postgres.other_database").with("database", database)));
        }
        self.demand_same_file().await?;
        match &self.spec.fresh {
            None => self.in_place(&facts).await,
            Some(name) => self.beside(&facts, name).await,
        }
    }

    /// It bears this step's mark.
    async fn is_marked(&self) -> Result<bool, Words> {
        let at = self.spec.fresh.as_deref().unwrap_or(&self.config.name);
        let comment = settle::comment_of(self.config, at).await?;
        Ok(comment.is_some_and(|comment| self.is_own(&comment)))
    }

    fn is_own(&self, comment: &str) -> bool {
        step_in(comment) == Some(self.key.as_str())
    }

    /// What there is of the database beside it before that has its name.
    pub(super) async fn draft(&self) -> Result<Draft, Words> {
        let draft = draft_name(self.config, &self.mark);
        Ok(match settle::comment_of(self.config, &draft).await? {
            Some(comment) if self.is_own(&comment) => Draft::Whole(draft),
            Some(_) => Draft::Part(draft),
            None => Draft::None,
        })
    }

    async fn demand_same_file(&self) -> Result<(), StepResult> {
        self.tell(Words::new("postgres.reading").with("name", self.spec.backup.as_str()));
        let path = self.backup();
        let (bytes, sha256) = off_thread(move || files::sealed(&path)).await.map_err(StepResult::unchanged)?;
        let is_same = bytes == self.spec.bytes && self.spec.sha256.as_ref().is_none_or(|wanted| *wanted == sha256);
        if is_same {
            return self.demand_one_transaction().await;
        }
        let words = Words::new("postgres.damaged").with("name", self.spec.backup.as_str());
        Err(StepResult::unchanged(words.with("why", Words::new("postgres.other_content"))))
    }

    /// A script with large objects would end the transaction in its middle.
    async fn demand_one_transaction(&self) -> Result<(), StepResult> {
        if !self.spec.is_plain() {
            return Ok(());
        }
        let path = self.backup();
        let holds = off_thread(move || files::holds_large_objects(&path)).await.map_err(StepResult::unchanged)?;
        if holds { Err(StepResult::unchanged(large_objects(&self.spec.backup))) } else { Ok(()) }
    }

    fn backup(&self) -> PathBuf {
        self.spec.folder.join(&self.spec.backup)
    }

    fn tools(&self, facts: &Facts) -> Tools<'_> {
        Tools { config: self.config, world: self.cx.world, mark: &self.mark, server: facts.version_number }
    }

    async fn in_place(&self, facts: &Facts) -> Result<StepResult, StepResult> {
        self.alone().await?;
        let copy = self.copy(facts).await?;
        let script = self.script(facts).await?;
        // Somebody may have come while the copy was made.
        self.alone().await?;
        self.tell(Words::new("postgres.putting").with("database", self.config.name.as_str()));
        let copied = copy.page.as_ref().map_or(&[][..], |page| &page.counts);
        let standing = (facts.comment.as_deref().unwrap_or(""), copied);
        let finished = self.psql(facts, &script, &self.config.name, standing).await;
        self.take_away(&script).await;
        let finished = finished?;
        self.demand_marked(&finished, &self.config.name).await?;
        tracing::info!(copy = %copy.name, "a backup was put in the place of a database");
        Ok(self.afterwards().await)
    }

    /// Nobody else is connected.
    async fn alone(&self) -> Result<(), StepResult> {
        let patience = Patience::new(self.others_go());
        loop {
            let others = server::others(self.config, &self.mark, LOOK).await;
            let others = others.map_err(|trouble| StepResult::unchanged(trouble.words()))?;
            // Who may not be ended is no hindrance unless they hold a table, which the server tells.
            let is_awaited = |other: &server::Other| other.may_be_ended || self.spec.others == Others::Refuse;
            let who: Vec<Value> = others.into_iter().filter(is_awaited).map(|other| other.words.into()).collect();
            if who.is_empty() {
                return Ok(());
            }
            if patience.is_over() {
                return Err(StepResult::unchanged(Words::new("postgres.others_are_there").with("who", who)));
            }
            self.tell(Words::new("postgres.waiting_for").with("who", who));
            if self.spec.others == Others::End {
                let ended = server::end_others(self.config, &self.mark, LOOK).await;
                ended.map_err(|trouble| StepResult::unchanged(trouble.words()))?;
            }
            patience.pause().await;
        }
    }

    /// The copy of what is there. One from an earlier attempt is not taken: since then people may have gone on writing.
    async fn copy(&self, facts: &Facts) -> Result<Kept, StepResult> {
        self.tell(Words::new("postgres.copying").with("database", self.config.name.as_str()));
        let making = Making {
            config: self.config,
            cx: self.cx,
            folder: &self.spec.folder,
            format: COPY,
            is_safety_copy: true,
            within: self.left_to_work(),
        };
        making.make(facts).await.map_err(|Unmade { why, output }| {
            let why = Words::new("postgres.no_copy_made").with("why", why);
            StepResult::Failed { why: unchanged(why), output }
        })
    }

    /// The SQL of the backup, which is read to its end on the way: what is damaged is found before anything is touched.
    async fn script(&self, facts: &Facts) -> Result<PathBuf, StepResult> {
        let backup = self.backup();
        if self.spec.is_plain() {
            return Ok(backup);
        }
        let script = files::unfinished(&self.spec.folder, &self.key, &format!("{}.script", self.cx.fence));
        let private = script.clone();
        off_thread(move || files::made_private(&private)).await.map_err(StepResult::unchanged)?;
        // Else what holds large objects would end psql's transaction in its middle.
        let mut arguments = vec![format!("--file={}", script.display()), "--single-transaction".to_owned()];
        if self.spec.into == Place::InPlace {
            arguments.extend(["--clean", "--if-exists"].map(str::to_owned));
        }
        // Without the schemas themselves, which others may have things in.
        arguments.extend(self.spec.schemas.iter().map(|schema| format!("--schema={schema}")));
        if self.spec.owners == Owners::Leave {
            arguments.extend(["--no-owner", "--no-privileges"].map(str::to_owned));
        }
        let within = self.left_to_work();
        let tools = self.tools(facts);
        let list = self.list(&tools).await?;
        arguments.extend(list.iter().map(|list| format!("--use-list={}", list.display())));
        arguments.push(backup.display().to_string());
        let reading = tools.run("pg_restore", arguments, "", within);
        let tell = |size| self.tell(Words::new("postgres.unpacked").with("size", size));
        let finished = watched(&script, tell, reading).await;
        if let Some(list) = &list {
            self.take_away(list).await;
        }
        let finished = finished.map_err(|fault| StepResult::unchanged(fault.words()))?;
        if finished.ended == Ended::Exit(0) {
            let (written, server) = (script.clone(), facts.version_number);
            let fit = off_thread(move || files::made_fit(&written, server)).await;
            let Err(why) = fit else { return Ok(script) };
            self.take_away(&script).await;
            return Err(StepResult::unchanged(why));
        }
        self.take_away(&script).await;
        let words = Words::new("postgres.unreadable").with("name", self.spec.backup.as_str());
        let why = words.with("why", complaint("pg_restore", &finished, within));
        let why = unchanged(why);
        Err(StepResult::Failed { why, output: finished.output(MOST_OUTPUT) })
    }

    /// The archive's list without what is passed over, where that is something.
    async fn list(&self, tools: &Tools<'_>) -> Result<Option<PathBuf>, StepResult> {
        if self.spec.left_out.is_empty() {
            return Ok(None);
        }
        let list = files::unfinished(&self.spec.folder, &self.key, &format!("{}.list", self.cx.fence));
        let private = list.clone();
        off_thread(move || files::made_private(&private)).await.map_err(StepResult::unchanged)?;
        let within = self.left_to_work();
        let file = format!("--file={}", list.display());
        let arguments = vec!["--list".to_owned(), file, self.backup().display().to_string()];
        let listed = tools
            .run("pg_restore", arguments, "", within)
            .await
            .map_err(|fault| StepResult::unchanged(fault.words()))?;
        let shortened = if listed.ended == Ended::Exit(0) {
            let (list, left_out) = (list.clone(), self.spec.left_out.clone());
            off_thread(move || files::without(&list, &left_out)).await
        } else {
            Err(complaint("pg_restore", &listed, within))
        };
        let Err(why) = shortened else { return Ok(Some(list)) };
        self.take_away(&list).await;
        Err(StepResult::unchanged(why))
    }

    /// Takes away what was written on the way, and never the backup itself.
    async fn take_away(&self, file: &Path) {
        if file == self.backup() {
            return;
        }
        let file = file.to_owned();
        if let Err(why) = off_thread(move || removed(&file)).await {
            tracing::warn!(%why, "what a restore wrote on its way could not be taken away");
        }
    }

    /// Sets the mark and runs the script, in one transaction that is done once and never again. The mark comes first, for
    /// the script of an archive ends the transaction itself. `copied` is what was counted for the copy.
    async fn psql(
        &self,
        facts: &Facts,
        script: &Path,
        database: &str,
        (comment, copied): (&str, &[Count]),
    ) -> Result<Finished, StepResult> {
        let mark = format!("[{}]", self.mark);
        let once = format!(
            "DO $vigie$ BEGIN PERFORM pg_advisory_xact_lock(hashtext({mark})); \
             IF (SELECT position({mark} IN coalesce(shobj_description(oid, 'pg_database'), '')) > 0 FROM pg_database \
             WHERE datname = current_database()) THEN RAISE EXCEPTION 'vigie: it is done already'; END IF; END $vigie$",
            mark = literal(&mark)
        );
        let own = unmarked(comment);
        let comment = if own.is_empty() { mark } else { format!("{own} {mark}") };
        let marking = format!("COMMENT ON DATABASE {} IS {}", quoted(database), literal(&comment));
        let arguments = [
            "--no-psqlrc",
            "--no-password",
            "--quiet",
            "--output=/dev/null",
            "--set=ON_ERROR_STOP=1",
            // Rows that a table does not take are nobody's business here.
            "--set=VERBOSITY=terse",
            "--set=SHOW_CONTEXT=never",
            "--single-transaction",
        ];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        arguments.push(format!("--command={once}"));
        if self.spec.fresh.is_none() {
            arguments.push(format!("--command={}", self.holding()));
            arguments.extend(unwritten(copied).map(|demand| format!("--command={demand}")));
        }
        let made = |schema: &String| format!("--command=CREATE SCHEMA IF NOT EXISTS {}", quoted(schema));
        arguments.extend(self.spec.schemas.iter().map(made));
        arguments.push(format!("--command={marking}"));
        arguments.push(format!("--file={}", script.display()));
        let run = self.tools(facts).run("psql", arguments, database, self.left_to_work()).await;
        run.map_err(|fault| StepResult::unchanged(fault.words()))
    }

    /// Takes hold of the tables that are replaced, and waits for them only so long. A backup itself would wait for ever.
    fn holding(&self) -> String {
        let own = own_schemas(self.config);
        let stay: Vec<String> = self.spec.stay.iter().map(|name| literal(name)).collect();
        let stay = if stay.is_empty() {
            String::new()
        } else {
            format!(" AND n.nspname || '.' || c.relname NOT IN ({})", stay.join(", "))
        };
        format!(
            "DO $vigie$ DECLARE held regclass; BEGIN PERFORM set_config('lock_timeout', '{}', true); \
             FOR held IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {own} \
             AND c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE'){stay} ORDER BY c.oid \
             LOOP EXECUTE 'LOCK TABLE ' || held || ' IN ACCESS EXCLUSIVE MODE'; END LOOP; \
             EXCEPTION WHEN lock_not_available THEN RAISE EXCEPTION '{HELD}'; END $vigie$",
            self.others_go().as_millis()
        )
    }

    fn others_go(&self) -> Duration {
        OTHERS_GO.min(self.left() / 4)
    }

    /// Who held a table too long.
    async fn held(&self) -> Words {
        let words = Words::new("postgres.tables_held").with("user", self.config.user.as_str());
        match server::others(self.config, &self.mark, LOOK).await {
            Ok(others) => {
                let who: Vec<Value> = others.into_iter().map(|other| other.words.into()).collect();
                words.with("who", who)
            }
            Err(trouble) => {
                tracing::debug!(why = %trouble.words(), "nobody knows who holds the tables");
                words
            }
        }
    }

    /// The server says that it happened. Where it did not, it did not at all.
    async fn demand_marked(&self, finished: &Finished, database: &str) -> Result<(), StepResult> {
        let said = finished.stderr.text.as_str();
        let written =
            said.lines().find_map(|line| line.split_once(WRITTEN).map(|(_, table)| table.trim().replace('"', "")));
        let why = match written {
            Some(table) => Words::new("postgres.written_since").with("table", table),
            None if said.contains(HELD) => self.held().await,
            None => complaint("psql", finished, self.cx.within),
        };
        let output = || finished.output(MOST_OUTPUT);
        let not_settled = |more: Words| StepResult::Unknown {
            why: Words::new("step.both").with("first", why.clone()).with("then", more),
            output: output(),
        };
        if finished.ended != Ended::Exit(0) {
            settle::ended(self.config, &self.mark).await.map_err(not_settled)?;
        }
        match settle::comment_of(self.config, database).await {
            Err(why) => Err(not_settled(why)),
            Ok(Some(comment)) if self.is_own(&comment) => Ok(()),
            Ok(_) if finished.ended == Ended::Exit(0) => {
                Err(StepResult::unknown(Words::new("postgres.not_marked").with("database", database)))
            }
            Ok(_) => Err(StepResult::Failed { why: unchanged(why), output: output() }),
        }
    }

    /// Into a database that has a name of this step's own until it is whole.
    async fn beside(&self, facts: &Facts, name: &str) -> Result<StepResult, StepResult> {
        let filled = match self.draft().await.map_err(StepResult::unchanged)? {
            // A former owner came so far.
            Draft::Whole(draft) => Ok(draft),
            Draft::Part(_) | Draft::None => self.filled(facts, name).await,
        };
        let named = match filled {
            Ok(draft) => self.named(&draft, name).await,
            Err(halt) => Err(halt),
        };
        match named {
            Ok(()) => Ok(self.afterwards().await),
            Err(halt @ StepResult::Unknown { .. }) => Err(halt),
            Err(halt) => {
                let draft = draft_name(self.config, &self.mark);
                if let Err(why) = self.drop_draft(facts, &draft).await {
                    tracing::warn!(%why, draft, "a database that is not whole could not be dropped");
                }
                Err(halt)
            }
        }
    }

    /// Fills the database that will be called so.
    async fn filled(&self, facts: &Facts, name: &str) -> Result<String, StepResult> {
        let refused = |trouble: server::Trouble| StepResult::unchanged(trouble.words());
        let draft = draft_name(self.config, &self.mark);
        self.drop_draft(facts, &draft).await.map_err(StepResult::unchanged)?;
        let script = self.script(facts).await?;
        let filling = async {
            let creation = server::creation(self.config, &draft, LOOK).await.map_err(refused)?;
            server::change(self.config, &self.config.name, creation, self.left_to_work()).await.map_err(refused)?;
            self.tell(Words::new("postgres.putting").with("database", name));
            let finished = self.psql(facts, &script, &draft, ("", &[])).await?;
            self.demand_marked(&finished, &draft).await
        };
        let filled = filling.await;
        self.take_away(&script).await;
        filled.map(|()| draft)
    }

    async fn named(&self, draft: &str, name: &str) -> Result<(), StepResult> {
        let renaming = format!("ALTER DATABASE {} RENAME TO {}", quoted(draft), quoted(name));
        match server::change(self.config, &self.config.name, renaming, LOOK).await {
            Ok(()) => Ok(()),
            Err(trouble) => match self.is_marked().await {
                Ok(true) => Ok(()),
                Ok(false) => Err(StepResult::unchanged(trouble.words())),
                Err(why) => Err(StepResult::unknown(why)),
            },
        }
    }

    async fn drop_draft(&self, facts: &Facts, draft: &str) -> Result<(), Words> {
        let there = server::comment_of(self.config, draft, LOOK).await.map_err(|trouble| trouble.words())?;
        if there.is_none() {
            return Ok(());
        }
        let force = if facts.version_number >= DROPS_BY_FORCE { " WITH (FORCE)" } else { "" };
        let dropping = format!("DROP DATABASE {}{force}", quoted(draft));
        server::change(self.config, &self.config.name, dropping, LOOK).await.map_err(|trouble| trouble.words())
    }

    /// It is done: the statistics are made anew, and what is there is held against the backup, row by row (D5).
    pub(super) async fn afterwards(&self) -> StepResult {
        let at = self.spec.fresh.as_deref().unwrap_or(&self.config.name);
        let analysis = server::change(self.config, at, "ANALYZE".to_owned(), self.left().max(LOOK)).await;
        if let Err(trouble) = analysis {
            tracing::warn!(why = %trouble.words(), "the statistics of a restored database could not be made anew");
        }
        let (folder, database) = (self.spec.folder.clone(), self.spec.database.clone());
        let copy = match self.spec.fresh {
            None => made(folder, database, self.key.clone(), true).await.unwrap_or_default(),
            Some(_) => None,
        };
        let before = copy.as_ref().and_then(|copy| copy.page.as_ref()).map_or(&[][..], |page| &page.counts);
        let facts = Facts::of_database(self.config, at, &self.mark, self.left().max(LOOK)).await;
        let said = |key| {
            let words = Words::new(key).with("database", at).with("name", self.spec.backup.as_str());
            let words = words.with("stay", shortened(&self.spec.stay));
            words.with("copy", copy.as_ref().map(|copy| copy.name.as_str()))
        };
        let facts = match facts {
            Ok(facts) => facts,
            Err(trouble) => return StepResult::failed(said("postgres.not_counted").with("why", trouble.words())),
        };
        let (rows, mut differ) = compared(before, self.spec, &facts.counts);
        if self.spec.last_migration.is_some() && self.spec.last_migration != facts.last_migration {
            differ.push("last_migration".to_owned());
        }
        let words = said(if differ.is_empty() { "postgres.restored" } else { "postgres.rows_differ" });
        let words = words.with("rows", rows).with("version", facts.version.as_str());
        let words = words.with("migration", facts.last_migration.as_deref());
        if differ.is_empty() {
            return StepResult::Done { note: words, output: None, live: Some(at.to_owned()) };
        }
        StepResult::failed(words.with("tables", differ))
    }
}
