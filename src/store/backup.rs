//! A copy of everything in one SQLite file, whichever database it comes from, and the way back from it into either.
//!
//! So the same two commands are a backup, its restore, and the move from SQLite to PostgreSQL. The copy is of one
//! instant, and is checked before it counts. A restored database is paused: what was under way when the copy was made
//! may have ended since, so executions are marked unknown and nothing is done until a person says so.

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::db::{Arg, Args, Conn, Db, Row, Write, args};
use super::inbox::{Target, receive_in};
use super::{Store, StoreFault, incident_of, migrate, read, release, sql};
use crate::incident::decision::{Input, Report};
use crate::incident::id::IncidentId;
use crate::incident::state::{Incident, Phase, replay};
use crate::incident::time::Instant;
use crate::incident::timeline::Entry;
use crate::incident::words::Words;

/// Whether the engine is to do nothing yet, under this name.
const PAUSED: &str = "paused";

/// A table with its columns; numbers are told from texts by what is found.
struct Table {
    name: &'static str,
    numbers: &'static [&'static str],
    texts: &'static [&'static str],
}

/// Parents first. How a step goes at this moment is not among them: it is nobody's history, and the next one told takes
/// its place. Nor is what lets others pass: it is known again after one more try, and a backup before an upgrade is made of
/// tables that may not have it yet.
const TABLES: [Table; 8] = [
    Table {
        name: "incident",
        numbers: &["id", "rank", "seq", "wake_at", "declared_at"],
        texts: &["status", "channel", "state"],
    },
    Table { name: "timeline", numbers: &["incident", "seq", "at"], texts: &["kind", "entry"] },
    Table {
        name: "inbox",
        numbers: &["position", "incident", "arrived_at"],
        texts: &["source", "channel", "input", "state", "fault"],
    },
    Table {
        name: "outbox",
        numbers: &["id", "incident", "created_at", "due_at", "attempts", "lease_until"],
        texts: &["lane", "queue", "fold", "effect", "state", "token", "fault"],
    },
    Table { name: "target_lock", numbers: &[], texts: &["target", "run"] },
    Table { name: "execution", numbers: &["fence"], texts: &["run"] },
    Table { name: "counter", numbers: &["value"], texts: &["name"] },
    Table { name: "kept_file", numbers: &["at"], texts: &["run", "sha256", "content"] },
];

impl Table {
    fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.numbers.iter().chain(self.texts).copied()
    }

    fn select(&self) -> String {
        format!("SELECT {} FROM {}", self.columns().collect::<Vec<_>>().join(", "), self.name)
    }

    fn insert(&self) -> String {
        let columns: Vec<&str> = self.columns().collect();
        let values: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
        format!("INSERT INTO {} ({}) VALUES ({})", self.name, columns.join(", "), values.join(", "))
    }

    fn values(&self, row: &Row) -> Result<Args, StoreFault> {
        let numbers = self.numbers.iter().map(|column| row.maybe_int(column).map(Arg::Int));
        let texts = self.texts.iter().map(|column| row.maybe_text(column).map(Arg::Text));
        Ok(Args::of(numbers.chain(texts).collect::<Result<_, _>>()?))
    }
}

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// Incidents, open or not.
    pub incidents: u64,
    /// Entries of their timelines.
    pub entries: u64,
    /// Executions that were under way, and are unknown after a restore.
    pub executions: u64,
    /// Effects that wait: pages, messages, cards.
    pub waiting: u64,
}

impl Store {
    /// Copies everything, as it is at one instant, into a new file, and proves that the copy is whole: the file is
    /// sound, and every incident is the fold of its timeline. The store may be in use meanwhile.
    ///
    /// # Errors
    /// When the file is there already, cannot be written, or the copy is not whole; then it is no backup.
    pub async fn backup(&self, file: &Path) -> Result<Copied, StoreFault> {
        if file.exists() {
            return Err(StoreFault::Backup(format!("{} is there already; give a new name", file.display())));
        }
        // Only what is whole and proven has the name.
        let unfinished = beside(file);
        let copied = self.copy_into(&unfinished).await;
        let named = copied.and_then(|copied| {
            let named = std::fs::File::open(&unfinished).and_then(|copy| copy.sync_all());
            let named = named.and_then(|()| std::fs::rename(&unfinished, file));
            named.map(|()| copied).map_err(|why| StoreFault::Backup(format!("{}: {why}", file.display())))
        });
        if named.is_err() {
            remove(&unfinished);
        }
        named
    }

    async fn copy_into(&self, file: &Path) -> Result<Copied, StoreFault> {
        release::check_source(&self.db).await?;
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        migrate::sqlite(&options).await?;
        let mut copy = options.connect().await?;
        sqlx::query("DELETE FROM counter").execute(&mut copy).await?;
        match &self.db {
            Db::Sqlite { reader, .. } => {
                let mut conn = reader.lend().await?;
                sqlx::query("BEGIN").execute(conn.conn()?).await?;
                let copied = copy_all(&mut Conn::Sqlite(conn.conn()?), &mut Conn::Sqlite(&mut copy)).await;
                sqlx::query("ROLLBACK").execute(conn.conn()?).await?;
                conn.back(copied)?;
            }
            Db::Postgres(pools) => {
                let mut conn = pools.usual.lend().await?;
                let mut tx = conn.conn()?.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                // A table is read for as long as it takes to copy it, and what was read is written meanwhile.
                sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
                sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0").execute(&mut *tx).await?;
                copy_all(&mut Conn::Postgres(&mut tx), &mut Conn::Sqlite(&mut copy)).await?;
                if let Err(error) = tx.rollback().await {
                    tracing::debug!(%error, "a transaction that only read did not end in good order");
                }
            }
        }
        let copied = prove(&mut copy).await?;
        // One file, nothing beside it.
        sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut copy).await?;
        copy.close().await?;
        Ok(copied)
    }

    /// Fills this store, which must be empty, from a backup. It is paused afterwards.
    ///
    /// # Errors
    /// When the store is not empty, or the file is no whole backup; nothing is kept then.
    pub async fn restore(&self, file: &Path, now: Instant) -> Result<Copied, StoreFault> {
        if !self.recent_incidents(1).await?.is_empty() || self.count(&sql::ALL_INPUTS, args![]).await? > 0 {
            let why = "the database is not empty; name an empty one with DATABASE_URL".to_owned();
            return Err(StoreFault::Backup(why));
        }
        if !file.is_file() {
            return Err(StoreFault::Backup(format!("there is no file {}", file.display())));
        }
        let working = beside(file);
        let copied = std::fs::copy(file, &working);
        let restored = match copied {
            Ok(_) => self.restore_from(&working, now).await,
            Err(error) => Err(StoreFault::Backup(format!("the backup cannot be read: {error}"))),
        };
        remove(&working);
        restored
    }

    /// The working copy is brought up to date first: a backup of an older version can be restored.
    async fn restore_from(&self, copy: &Path, now: Instant) -> Result<Copied, StoreFault> {
        let options = SqliteConnectOptions::new().filename(copy);
        migrate::sqlite(&options).await?;
        let mut source = options.connect().await?;
        release::check_copy(&mut Conn::Sqlite(&mut source)).await?;
        let copied = prove(&mut source).await?;
        let mut tables = Vec::new();
        for table in &TABLES {
            let query = sqlx::query(AssertSqlSafe(table.select()));
            let rows: Vec<_> = query.fetch_all(&mut source).await?.into_iter().map(Row::Sqlite).collect();
            tables.push(rows.iter().map(|row| table.values(row)).collect::<Result<Vec<_>, _>>()?);
        }
        let runs = under_way(&mut source).await?;
        source.close().await?;
        self.db.write(Fill { tables, runs, now }).await?;
        Ok(copied)
    }

    /// Whether the engine is to wait until a person lets it go on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_paused(&self) -> Result<bool, StoreFault> {
        Ok(self.number(PAUSED).await?.is_some_and(|paused| paused > 0))
    }

    /// Lets the engine go on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume(&self) -> Result<(), StoreFault> {
        self.set_number(PAUSED, 0).await
    }
}

/// A name beside the file, so that it is on a disk with room for it.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.unfinished", uuid::Uuid::new_v4().simple()));
    name.into()
}

/// Removes a working copy, and what SQLite keeps beside one that was cut off.
fn remove(working: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        let mut name = working.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, file = %name.display(), "a working copy of a backup could not be removed");
            }
            _ => {}
        }
    }
}

async fn copy_all(from: &mut Conn<'_>, to: &mut Conn<'_>) -> Result<(), StoreFault> {
    to.say("BEGIN").await?;
    for table in &TABLES {
        match from {
            Conn::Sqlite(conn) => {
                let mut rows = sqlx::query(AssertSqlSafe(table.select())).fetch(&mut **conn);
                while let Some(row) = rows.try_next().await? {
                    to.run_text(table.insert(), table.values(&Row::Sqlite(row))?).await?;
                }
            }
            Conn::Postgres(conn) => {
                let mut rows = sqlx::query(AssertSqlSafe(table.select())).fetch(&mut **conn);
                while let Some(row) = rows.try_next().await? {
                    to.run_text(table.insert(), table.values(&Row::Postgres(row))?).await?;
                }
            }
        }
    }
    // Whatever has this number was copied to the end.
    to.run(&sql::RAISE_NUMBER, args![release::NAME, 0]).await?;
    to.say("COMMIT").await
}

/// The file is sound, and every incident in it is what its timeline says.
async fn prove(copy: &mut SqliteConnection) -> Result<Copied, StoreFault> {
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut *copy).await?;
    if sound != "ok" {
        return Err(StoreFault::Backup(format!("the file is damaged: {sound}")));
    }
    let mut copied = Copied::default();
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM incident ORDER BY id").fetch_all(&mut *copy).await?;
    for id in ids {
        let mut conn = Conn::Sqlite(&mut *copy);
        let Some(row) = conn.first(&sql::INCIDENT, args![id]).await? else { continue };
        let incident = incident_of(&row)?;
        let rows = conn.rows(&sql::TIMELINE, args![id]).await?;
        let timeline: Vec<Entry> =
            rows.iter().map(|row| read("timeline entry", row.text("entry")?)).collect::<Result<_, _>>()?;
        if replay(&timeline).ok().as_ref() != Some(&incident) {
            return Err(StoreFault::Backup(format!("{} is not what its timeline says", IncidentId(id))));
        }
        copied.incidents += 1;
        copied.entries += u64::try_from(timeline.len()).unwrap_or(u64::MAX);
        copied.executions += u64::try_from(running(&incident).count()).unwrap_or(u64::MAX);
    }
    let waiting: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM outbox WHERE state <> 'dead'").fetch_one(&mut *copy).await?;
    copied.waiting = u64::try_from(waiting).unwrap_or(0);
    Ok(copied)
}

/// The runs that change the world now or soon.
fn running(incident: &Incident) -> impl Iterator<Item = crate::incident::id::RunId> + '_ {
    let under_way =
        |phase: &Phase| matches!(phase, Phase::Announcing { .. } | Phase::Released | Phase::Running | Phase::Verifying);
    incident.runs.values().filter(move |run| under_way(&run.phase)).map(|run| run.id)
}

async fn under_way(source: &mut SqliteConnection) -> Result<Vec<crate::incident::id::RunId>, StoreFault> {
    let rows = Conn::Sqlite(source).rows(&sql::OPEN_INCIDENTS, args![i64::MAX]).await?;
    let mut runs = Vec::new();
    for row in &rows {
        runs.extend(running(&incident_of(row)?));
    }
    Ok(runs)
}

/// Everything at once, or nothing.
struct Fill {
    tables: Vec<Vec<Args>>,
    runs: Vec<crate::incident::id::RunId>,
    now: Instant,
}

impl Write for Fill {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run_text("DELETE FROM counter".to_owned(), Args::none()).await?;
        for (table, rows) in TABLES.iter().zip(&self.tables) {
            for row in rows {
                conn.run_text(table.insert(), row.clone()).await?;
            }
        }
        release::Raise.write(conn).await?;
        if let Conn::Postgres(_) = conn {
            for (table, column) in [("inbox", "position"), ("outbox", "id")] {
                let next = format!(
                    "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), \
                     (SELECT COALESCE(MAX({column}), 0) + 1 FROM {table}), false)"
                );
                conn.run_text(next, Args::none()).await?;
            }
        }
        // Nobody knows how these ended, and nobody carries them out a second time.
        conn.run(&sql::FORGET_RUNS, args![]).await?;
        conn.run(&sql::END_LEASES, args![]).await?;
        for run in &self.runs {
            let report = Input::Report(Report::RunLost { run: *run, why: Words::new("trouble.restored") });
            let source = format!("restore:{run}:{}", self.now.0);
            receive_in(conn, &source, &Target::incident(run.incident), &report, self.now).await?;
        }
        conn.run(&sql::SET_NUMBER, args![PAUSED, 1]).await?;
        Ok(())
    }
}
