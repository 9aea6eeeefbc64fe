//! D2: a backup in the place of a database, or beside it: how it is planned, and how it is told whether it happened.
//!
//! In its place all of it is one transaction, in which the database is marked with the step's name: it happened whole or not
//! at all, and the mark tells which. Beside it everything is done in a database that has its name only when it is whole.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backup::{self, age, made};
use super::databases::DatabaseConfig;
use super::files::{self, Kept};
use super::objects::{self, Beside, Objects, Standing, short};
use super::put::{self, Draft};
use super::server::{self, Count, Facts, Trouble};
use super::settle;
use super::tools::{Tools, complaint, dumps};
use super::{LONGEST_NAME, Postgres, Restore, fault_of, folder_of, mark};
use crate::actions::disk::off_thread;
use crate::actions::process::Ended;
use crate::actions::provider::{Happened, PlanContext, PlanFault, StepContext, StepResult};
use crate::incident::approval::{Choice, PlannedStep};
use crate::incident::words::Words;

/// Where a backup goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the place of what is there, of which a copy is made first.
    InPlace,
    /// Into a database of its own, whose name ends with the backup's time.
    Fresh,
}

/// What happens when others are connected to a database that is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    /// Nothing is done while they are.
    #[default]
    Refuse,
    /// Their connections are ended.
    End,
}

/// What becomes of owners and rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Owners {
    /// They are as in the backup; the roles must exist.
    #[default]
    Keep,
    /// Everything belongs to Vigie's role.
    Leave,
}

/// What becomes of a backup that has no page of Vigie's beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strangers {
    /// It is never taken: nobody knows of which database it is.
    #[default]
    Refuse,
    /// It is taken as one of this database, and the plan says so.
    Allow,
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spec {
    /// Where the server is. An oid tells databases apart on one server only.
    pub server_at: String,
    pub database: String,
    pub oid: i64,
    pub folder: PathBuf,
    pub into: Place,
    pub others: Others,
    pub owners: Owners,
    pub backup: String,
    pub bytes: u64,
    pub sha256: Option<String>,
    pub made_at_ms: i64,
    /// The rows that were counted in the backup's state.
    pub counts: Vec<Count>,
    pub last_migration: Option<String>,
    /// What the database beside it will be called.
    pub fresh: Option<String>,
    /// The schemas that are replaced; all where none is named.
    #[serde(default)]
    pub schemas: Vec<String>,
    /// What the backup does not know and leaves alone.
    #[serde(default)]
    pub stay: Vec<String>,
    /// It has no page.
    #[serde(default)]
    pub is_stranger: bool,
    /// The lines of the archive's list that are passed over, for they are about what is somebody else's.
    #[serde(default)]
    pub left_out: Vec<String>,
}

impl Spec {
    pub(super) fn is_plain(&self) -> bool {
        self.backup.ends_with(files::PLAIN)
    }
}

/// A backup of this size is read whole while planning; a larger one only before it is used.
const QUICKLY_READ: u64 = 64 * 1024 * 1024;
/// What somebody writes for the newest one.
pub(super) const NEWEST: &str = "newest";

/// The backups between which a person chooses.
pub(super) async fn choices(
    step: &Postgres,
    config: &DatabaseConfig,
    cx: &PlanContext<'_>,
) -> Result<Vec<Choice>, PlanFault> {
    let target = step.name();
    let unreadable = |why| PlanFault::Unreadable { target: target.clone(), why };
    let folder = folder_of(config).map_err(unreadable)?;
    let facts = Facts::of(config, "", cx.within).await.map_err(|trouble| fault_of(&target, &trouble))?;
    let name = config.name.clone();
    let kept = off_thread(move || files::kept(&folder, &name)).await.map_err(unreadable)?;
    let choice = |one: Kept| {
        let label = Words::new("postgres.choice").with("name", one.name.as_str()).with("size", files::size(one.bytes));
        let label = label.with("age_ms", age(facts.now_ms, one.made_at_ms)).with("is_copy", one.is_safety_copy());
        Choice { value: one.name, label }
    };
    let takes_strangers = step.restore.as_ref().is_some_and(|restore| restore.strangers == Strangers::Allow);
    let here = config.server_at();
    let is_own = |one: &Kept| one.page.is_some() && !one.is_foreign(&here);
    let is_offered = |one: &Kept| is_own(one) || (takes_strangers && !(one.is_plain() && one.page.is_none()));
    Ok(kept.into_iter().filter(is_offered).map(choice).collect())
}

/// The plan that puts the copy from before this very restore back in its place, while no other restore came after it.
pub(super) async fn plan_back(
    step: &Postgres,
    restore: &Restore,
    config: &DatabaseConfig,
    cx: &PlanContext<'_>,
) -> Result<PlannedStep, PlanFault> {
    if restore.into == Place::Fresh {
        return Err(PlanFault::NothingToGoBackTo(Words::new("postgres.fresh_stays")));
    }
    let target = step.name();
    let unreadable = |why| PlanFault::Unreadable { target: target.clone(), why };
    let facts = Facts::of(config, "", cx.within).await.map_err(|trouble| fault_of(&target, &trouble))?;
    let folder = folder_of(config).map_err(unreadable)?;
    // Any other restore since then has left its own mark, and one that was not done left none.
    let key = facts.comment.as_deref().and_then(put::step_in).filter(|key| cx.done_by == Some(key));
    let Some(key) = key else {
        let why = Words::new("postgres.not_latest").with("database", config.name.as_str());
        return Err(PlanFault::NothingToGoBackTo(why));
    };
    let copy = made(folder, config.name.clone(), key.to_owned(), true).await.map_err(unreadable)?;
    let Some(copy) = copy else {
        return Err(PlanFault::NothingToGoBackTo(Words::new("postgres.no_copy")));
    };
    let cx = PlanContext { wanted: Some(&copy.name), ..*cx };
    plan(step, restore, config, &cx, cx.within * 3 / 4).await
}

pub(super) async fn plan(
    step: &Postgres,
    restore: &Restore,
    config: &DatabaseConfig,
    cx: &PlanContext<'_>,
    within: Duration,
) -> Result<PlannedStep, PlanFault> {
    let planning = Planning { step, restore, config, cx, within, target: step.name() };
    planning.step().await
}

struct Planning<'a> {
    step: &'a Postgres,
    restore: &'a Restore,
    config: &'a DatabaseConfig,
    cx: &'a PlanContext<'a>,
    within: Duration,
    target: String,
}

impl Planning<'_> {
    fn refused(&self, why: Words) -> PlanFault {
        PlanFault::Refused { target: self.target.clone(), why }
    }

    fn unreadable(&self, why: Words) -> PlanFault {
        PlanFault::Unreadable { target: self.target.clone(), why }
    }

    /// Where the database itself is gone, it takes an empty one to put a backup in its place.
    fn gone(&self, trouble: &Trouble) -> PlanFault {
        match trouble {
            Trouble::Refused(why) if why.key == "postgres.no_database" => {
                self.refused(Words { key: "postgres.make_database".to_owned(), vars: why.vars.clone() })
            }
            _ => fault_of(&self.target, trouble),
        }
    }

    async fn step(&self) -> Result<PlannedStep, PlanFault> {
        let Self { config, restore, .. } = *self;
        let folder = folder_of(config).map_err(|why| self.refused(why))?;
        let facts = Facts::planned(config, self.within).await.map_err(|trouble| self.gone(&trouble))?;
        let chosen = self.chosen(&folder).await?;
        let fresh = (restore.into == Place::Fresh).then(|| fresh_name(&config.name, chosen.made_at_ms));
        self.demand_rights(&facts, fresh.as_deref()).await?;
        self.demand_tools(&facts, &chosen).await?;
        let contents = self.demand_whole(&facts, &folder, &chosen).await?;
        let beside = self.beside(&contents).await?;
        let left_out = self.left_out(&contents).await?;
        let page = chosen.page.as_ref();
        let spec = Spec {
            server_at: config.server_at(),
            database: config.name.clone(),
            oid: facts.oid,
            folder,
            into: restore.into,
            others: restore.others,
            owners: restore.owners,
            backup: chosen.name.clone(),
            bytes: chosen.bytes,
            sha256: page.map(|page| page.sha256.clone()),
            made_at_ms: chosen.made_at_ms,
            counts: page.map(|page| page.counts.clone()).unwrap_or_default(),
            last_migration: page.and_then(|page| page.last_migration.clone()),
            fresh,
            schemas: config.schemas.clone(),
            stay: beside.stay.clone(),
            is_stranger: page.is_none() || chosen.is_foreign(&config.server_at()),
            left_out,
        };
        let key = if spec.fresh.is_some() { "postgres.title_fresh" } else { "postgres.title_restore" };
        let at = spec.fresh.as_deref().unwrap_or(&config.name);
        let title = Words::new(key).with("database", at).with("made_at", chosen.made_at_ms);
        let needs = if spec.fresh.is_some() { "postgres.needs_createdb" } else { "postgres.needs_owner" };
        Ok(PlannedStep {
            title,
            target: self.target.clone(),
            locks: self.step.locks_at(config),
            from: (spec.fresh.is_none()).then(|| standing(&facts.counts, &config.name)),
            to: chosen.name.clone(),
            diff: self.lines(&facts, &chosen, &spec, (&contents, &beside)),
            needs: vec![Words::new(needs).with("user", config.user.as_str()).with("database", config.name.as_str())],
            risk: self.step.least_risk(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            provider: String::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
        })
    }

    /// What a person chose, else what is configured, else the newest that is no copy from before a restore.
    async fn chosen(&self, folder: &std::path::Path) -> Result<Kept, PlanFault> {
        let (folder, name) = (folder.to_owned(), self.config.name.clone());
        let kept = off_thread(move || files::kept(&folder, &name)).await.map_err(|why| self.unreadable(why))?;
        let wanted = self.cx.wanted.or(self.restore.from.as_deref()).filter(|wanted| *wanted != NEWEST);
        let here = self.config.server_at();
        let is_own = |one: &Kept| one.page.is_some() && !one.is_foreign(&here);
        let may_be = |one: &Kept| is_own(one) || self.restore.strangers == Strangers::Allow;
        let stranger = kept.iter().find(|one| !may_be(one) || one.is_foreign(&here)).cloned();
        let found = match wanted {
            Some(wanted) => kept.into_iter().find(|one| one.name == wanted),
            None => {
                kept.into_iter().find(|one| !one.is_safety_copy() && !one.is_foreign(&here) && may_be(one)).or(stranger)
            }
        };
        let none = || match wanted {
            Some(wanted) => {
                let words = Words::new("step.no_such_choice").with("target", self.target.as_str());
                self.refused(words.with("wanted", wanted))
            }
            None => PlanFault::NothingToGoBackTo(Words::new("postgres.no_backup")),
        };
        let chosen = found.ok_or_else(none)?;
        if chosen.is_plain() && chosen.page.is_none() {
            return Err(self.refused(Words::new("postgres.foreign_script").with("name", chosen.name.as_str())));
        }
        if chosen.is_foreign(&here) && (wanted.is_none() || !may_be(&chosen)) {
            let at = chosen.page.as_ref().and_then(|page| page.server_at.as_deref());
            let words = Words::new("postgres.of_other_server").with("name", chosen.name.as_str());
            return Err(self.refused(words.with("at", at).with("here", here)));
        }
        if !may_be(&chosen) {
            return Err(self.refused(Words::new("postgres.stranger").with("name", chosen.name.as_str())));
        }
        if chosen.is_plain() && !self.config.schemas.is_empty() {
            return Err(self.refused(Words::new("postgres.whole_script").with("name", chosen.name.as_str())));
        }
        if chosen.is_plain() && self.restore.owners == Owners::Leave {
            return Err(self.refused(Words::new("postgres.script_owners").with("name", chosen.name.as_str())));
        }
        Ok(chosen)
    }

    async fn demand_rights(&self, facts: &Facts, fresh: Option<&str>) -> Result<(), PlanFault> {
        let says = |key| Words::new(key).with("user", self.config.user.as_str());
        let Some(fresh) = fresh else {
            let lacks = says("postgres.not_owner").with("database", self.config.name.as_str());
            return if facts.is_owner { Ok(()) } else { Err(self.refused(lacks)) };
        };
        if !facts.may_create {
            return Err(self.refused(says("postgres.may_not_create")));
        }
        let there = server::comment_of(self.config, fresh, self.within).await;
        match there.map_err(|trouble| fault_of(&self.target, &trouble))? {
            Some(_) => Err(self.refused(Words::new("postgres.is_there").with("database", fresh))),
            None => Ok(()),
        }
    }

    fn tools(&self, facts: &Facts) -> Tools<'_> {
        Tools { config: self.config, world: self.cx.world, mark: "", server: facts.version_number }
    }

    async fn demand_tools(&self, facts: &Facts, chosen: &Kept) -> Result<(), PlanFault> {
        let tools = self.tools(facts);
        if self.restore.into == Place::InPlace {
            dumps(&tools, facts, self.within).await.map_err(|why| self.refused(why))?;
        }
        tools.version("psql", self.within).await.map_err(|why| self.refused(why))?;
        let made_with = chosen.page.as_ref().map(|page| page.pg_dump.as_str()).filter(|_| !chosen.is_plain());
        if let Some(made_with) = made_with {
            let major = made_with.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
            let newer = tools.as_new_as("pg_restore", major, made_with, self.within).await;
            newer.map_err(|why| self.refused(why))?;
        }
        Ok(())
    }

    /// What can be seen of a damage before anything is touched; the rest is seen before anything is changed. What is in it.
    async fn demand_whole(
        &self,
        facts: &Facts,
        folder: &std::path::Path,
        chosen: &Kept,
    ) -> Result<Contents, PlanFault> {
        let path = folder.join(&chosen.name);
        let damaged = |said: Words| {
            self.refused(Words::new("postgres.damaged").with("name", chosen.name.as_str()).with("why", said))
        };
        if let Some(page) = &chosen.page {
            let digest = if page.bytes == chosen.bytes && page.bytes <= QUICKLY_READ {
                let path = path.clone();
                off_thread(move || files::sealed(&path)).await.map_err(|why| self.unreadable(why))?.1
            } else {
                page.sha256.clone()
            };
            if page.bytes != chosen.bytes || page.sha256 != digest {
                return Err(damaged(Words::new("postgres.other_content")));
            }
        }
        let within = |objects| objects::within(self.config, objects);
        let known = chosen.page.as_ref().and_then(|page| page.objects.clone()).map(within);
        if chosen.is_plain() {
            return Ok(Contents { objects: known, origin: None, list: None });
        }
        let tools = self.tools(facts);
        let arguments = vec!["--list".to_owned(), path.display().to_string()];
        let listed = tools.run("pg_restore", arguments, "", self.within).await;
        let listed = listed.map_err(|fault| self.refused(fault.words()))?;
        if listed.ended != Ended::Exit(0) {
            return Err(damaged(complaint("pg_restore", &listed, self.within)));
        }
        let list = &listed.stdout;
        // Of a list that is too long only the end is there.
        let told = (list.left_out == 0).then(|| within(objects::listed(&list.text)));
        let origin = objects::origin(&list.text).map(str::to_owned);
        let objects = known.or(told);
        Ok(Contents { objects, origin, list: (list.left_out == 0).then_some(listed.stdout.text) })
    }

    /// What came after the backup. What would make the server refuse it is said before anybody waits for it.
    async fn beside(&self, contents: &Contents) -> Result<Beside, PlanFault> {
        let (Place::InPlace, Some(objects)) = (self.restore.into, &contents.objects) else {
            return Ok(Beside::default());
        };
        let standing = Standing::of(self.config, self.within).await;
        let beside = standing.map_err(|trouble| fault_of(&self.target, &trouble))?.beside(objects);
        if !beside.foreign.is_empty() {
            let names: Vec<&str> = beside.foreign.iter().take(MOST_NAMED).map(|name| short(name)).collect();
            let words = Words::new("postgres.not_own_tables").with("user", self.config.user.as_str());
            let more = beside.foreign.len().saturating_sub(MOST_NAMED);
            return Err(self.refused(words.with("names", names).with("more", more)));
        }
        if beside.held.is_empty() {
            return Ok(beside);
        }
        let ties: Vec<serde_json::Value> = beside.held.iter().take(MOST_NAMED).map(|tie| tie.words().into()).collect();
        let words = Words::new("postgres.held").with("ties", ties);
        Err(self.refused(words.with("more", beside.held.len().saturating_sub(MOST_NAMED))))
    }

    /// What the server would refuse because it is somebody else's, and what nobody misses where it is left as it is.
    async fn left_out(&self, contents: &Contents) -> Result<Vec<String>, PlanFault> {
        let Some(list) = &contents.list else { return Ok(Vec::new()) };
        let limits = objects::Limits::of(self.config, self.within).await;
        let limits = limits.map_err(|trouble| fault_of(&self.target, &trouble))?;
        let refused = limits.refused(list, self.restore.into == Place::InPlace);
        Ok(refused.into_iter().map(str::to_owned).collect())
    }

    /// What an approver must read, the losses first.
    fn lines(&self, facts: &Facts, chosen: &Kept, spec: &Spec, (contents, beside): (&Contents, &Beside)) -> Vec<Words> {
        let mut lines = vec![self.config.says_where()];
        let in_place = spec.into == Place::InPlace;
        match chosen.page.as_ref().map(|page| page.server_at.as_deref()) {
            Some(Some(at)) if spec.is_stranger => lines.push(Words::new("postgres.from_other_server").with("at", at)),
            None => lines.push(Words::new("postgres.of_nobody").with("origin", contents.origin.as_deref())),
            Some(_) => {}
        }
        if in_place {
            let since = Words::new("postgres.lost").with("made_at", chosen.made_at_ms);
            lines.push(since.with("age_ms", age(facts.now_ms, chosen.made_at_ms)));
            lines.extend(named("postgres.gone_with", &beside.gone));
            lines.extend(named("postgres.stay", &beside.stay));
            if contents.objects.is_none() {
                lines.push(Words::new("postgres.unknown_contents"));
            }
        }
        if !spec.schemas.is_empty() {
            lines.push(Words::new("postgres.only_schemas").with("schemas", spec.schemas.clone()));
        }
        let left_out: Vec<String> = spec.left_out.iter().map(|line| objects::shown(line)).collect();
        let left_out = named("postgres.left_out", &left_out);
        lines.extend(left_out.map(|words| words.with("user", self.config.user.as_str())));
        for now in &facts.counts {
            let then = spec.counts.iter().find(|then| then.table == now.table).and_then(|then| then.rows);
            let words = Words::new("postgres.rows_then").with("table", now.table.as_str());
            let words = words.with("is_late", now.is_late).with("is_there", now.rows.is_some()).with("there", now.rows);
            let fewer = now.rows.zip(then).map(|(now, then)| now - then).filter(|fewer| *fewer > 0 && in_place);
            lines.push(words.with("known", then.is_some()).with("then", then).with("fewer", fewer));
        }
        if facts.counts.is_empty() {
            lines.push(Words::new("postgres.nothing_counted"));
        }
        if in_place {
            lines.push(Words::new("postgres.copy_first").with("path", spec.folder.display().to_string()));
            let compared = facts.counts.iter().filter(|count| count.rows.is_some() || count.is_late);
            let compared = compared.map(|count| count.table.clone());
            lines.push(Words::new("postgres.compared").with("tables", compared.collect::<Vec<String>>()));
            let who = |may_be_ended: bool| -> Vec<serde_json::Value> {
                let others = facts.others.iter().filter(|other| other.may_be_ended == may_be_ended);
                others.map(|other| other.words.clone().into()).collect()
            };
            let line = |key, who: Vec<serde_json::Value>| {
                let words = Words::new(key).with("user", self.config.user.as_str());
                (!who.is_empty()).then(|| words.with("who", who))
            };
            lines.extend(
                match spec.others {
                    Others::Refuse => [line("postgres.others_must_go", [who(true), who(false)].concat()), None],
                    Others::End => {
                        [line("postgres.others_are_ended", who(true)), line("postgres.others_stay", who(false))]
                    }
                }
                .into_iter()
                .flatten(),
            );
        }
        let words = Words::new("postgres.backup_of").with("size", files::size(chosen.bytes));
        let page = chosen.page.as_ref();
        let words = words.with("age_ms", age(facts.now_ms, chosen.made_at_ms));
        let words = words.with("digest", page.map(|page| page.sha256.get(..12).unwrap_or_default().to_owned()));
        lines.push(words.with("then", page.map(|page| page.server.as_str())).with("there", facts.version.as_str()));
        if facts.last_migration.is_some() || spec.last_migration.is_some() {
            let words = Words::new("postgres.migration_then").with("there", facts.last_migration.as_deref());
            lines.push(words.with("then", spec.last_migration.as_deref()));
        }
        lines
    }
}

/// What can be known of a backup's contents without unpacking it.
struct Contents {
    /// Nothing where nobody can say.
    objects: Option<Objects>,
    /// The database that it says that it is of.
    origin: Option<String>,
    /// The whole list of an archive.
    list: Option<String>,
}

/// How many names a line has.
const MOST_NAMED: usize = 10;

/// A line with names, if there are any.
fn named(key: &'static str, names: &[String]) -> Option<Words> {
    let some: Vec<&str> = names.iter().take(MOST_NAMED).map(|name| short(name)).collect();
    let more = names.len().saturating_sub(MOST_NAMED);
    (!some.is_empty()).then(|| Words::new(key).with("names", some).with("more", more))
}

/// How the database stands, in one line.
fn standing(counts: &[Count], name: &str) -> String {
    let none = |count: &Count| if count.is_late { "?" } else { "–" }.to_owned();
    let rows = |count: &Count| count.rows.map_or_else(|| none(count), |rows| rows.to_string());
    let counted: Vec<String> = counts.iter().map(|count| format!("{} {}", count.table, rows(count))).collect();
    if counted.is_empty() { name.to_owned() } else { counted.join(", ") }
}

/// `shop_20261126_080000`, within what the server takes for a name.
fn fresh_name(database: &str, made_at_ms: i64) -> String {
    let stamp = files::stamp(made_at_ms).replace('T', "_").replace('Z', "");
    let most = LONGEST_NAME - stamp.len() - 1;
    let start = database.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= most).last();
    format!("{}_{stamp}", database.get(..start.unwrap_or(0)).unwrap_or_default())
}

/// The approved facts are still those of the configuration.
pub(super) fn is_meant_by(spec: &Spec, restore: &Restore, config: &DatabaseConfig) -> bool {
    (&spec.database, &spec.schemas) == (&config.name, &config.schemas)
        && spec.server_at == config.server_at()
        && (!spec.is_stranger || restore.strangers == Strangers::Allow)
        && Some(&spec.folder) == config.backups.as_ref()
        && (spec.into, spec.others, spec.owners) == (restore.into, restore.others, restore.owners)
}

pub(super) async fn execute(spec: &Spec, config: &DatabaseConfig, cx: &StepContext<'_>) -> StepResult {
    put::Putting::new(spec, config, cx).execute().await
}

/// Whether it happened: by the mark that came with it.
pub(super) async fn check(spec: &Spec, config: &DatabaseConfig, cx: &StepContext<'_>) -> Happened {
    let mark = mark(cx);
    let unread = |why: Words| Happened::CannotTell { why: Words::new("postgres.not_settled").with("why", why) };
    match settle::is_at_work(config, &mark).await {
        Ok(true) => return Happened::Begun { note: Words::new("postgres.at_work") },
        Ok(false) => {}
        Err(why) => return unread(why),
    }
    let at = spec.fresh.as_deref().unwrap_or(&config.name);
    match settle::comment_of(config, at).await {
        Err(why) => unread(why),
        Ok(Some(comment)) if put::step_in(&comment) == Some(cx.idempotency_key().as_str()) => {
            match put::Putting::new(spec, config, cx).afterwards().await {
                StepResult::Done { note, live, .. } => Happened::Yes { note, live },
                // It is there, but is not what it should be or could not be counted: whoever takes it up ends so.
                StepResult::Failed { why, .. } | StepResult::Unknown { why, .. } | StepResult::Stale { found: why } => {
                    Happened::Begun { note: why }
                }
            }
        }
        Ok(Some(_)) => Happened::No { note: Words::new("postgres.not_marked").with("database", at) },
        Ok(None) if spec.fresh.is_none() => {
            Happened::CannotTell { why: Words::new("postgres.no_database").with("database", at).with("user", "") }
        }
        Ok(None) => match put::Putting::new(spec, config, cx).draft().await {
            Err(why) => unread(why),
            Ok(Draft::Whole(draft)) => {
                let note = Words::new("postgres.unnamed").with("draft", draft).with("database", at);
                Happened::Begun { note: note.with("name", spec.backup.as_str()) }
            }
            Ok(Draft::Part(draft)) => {
                Happened::No { note: Words::new("postgres.no_fresh").with("database", at).with("draft", draft) }
            }
            Ok(Draft::None) => Happened::No { note: Words::new("postgres.no_fresh").with("database", at) },
        },
    }
}

/// What is beside the backup, for a sentence.
pub(super) fn shortened(stay: &[String]) -> Vec<&str> {
    stay.iter().take(MOST_NAMED).map(|name| short(name)).collect()
}

/// Rows before, in the backup and afterwards, table by table, and the tables that differ from the backup.
pub(super) fn compared(before: &[Count], spec: &Spec, after: &[Count]) -> (Vec<serde_json::Value>, Vec<String>) {
    let find = |counts: &[Count], table: &str| counts.iter().find(|count| count.table == table)?.rows;
    let mut differ = Vec::new();
    let lines = after.iter().map(|count| {
        let (was, then) = (find(before, &count.table), find(&spec.counts, &count.table));
        if then.is_some_and(|then| count.rows != Some(then)) {
            differ.push(count.table.clone());
        }
        let words = Words::new("postgres.rows_after").with("table", count.table.as_str());
        let words = words.with("is_there", count.rows.is_some()).with("after", count.rows);
        words.with("before", was).with("known", then.is_some()).with("then", then).into()
    });
    (lines.collect(), differ)
}

/// The copy that is made before a restore is an archive, whatever the backup is.
pub(super) const COPY: backup::Format = backup::Format::Custom;
