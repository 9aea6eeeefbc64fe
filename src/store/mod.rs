//! The only SQL. Nothing here decides anything: it keeps what was decided, all of it or none.
//!
//! Inputs are in the inbox before they are acknowledged; a decision's facts, effects and next wake are one
//! transaction; effects wait in the outbox under leases (`durability`, rules 1–4). Instants are bound parameters,
//! never the database's clock.

mod commit;
mod inbox;
mod meant;
mod outbox;

use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Row, SqlSafeStr};
use tokio::sync::watch;

use crate::incident::id::{ChannelId, IncidentId};
use crate::incident::state::Incident;
use crate::incident::timeline::Entry;

pub use commit::{Question, Taken};
pub use inbox::{Arrived, Target};
pub use outbox::Claimed;

/// What the store cannot do, in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The address is not one that is understood.
    #[error("DATABASE_URL “{url}” is not understood: {why}. Use sqlite://vigie.db")]
    Address {
        /// The address, without credentials.
        url: String,
        /// Why.
        why: String,
    },
    /// Another process has the database open.
    #[error("{path} is in use by another vigie process. Stop that one, or give this one another DATABASE_URL")]
    InUse {
        /// The file.
        path: String,
    },
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A stored value cannot be read: it was written by a newer version, or damaged.
    #[error("a stored {what} cannot be read ({why}). Was the database written by a newer version?")]
    Unreadable {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    reader: SqlitePool,
    changed: Arc<watch::Sender<u64>>,
    held: Option<Arc<File>>,
}

const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "start", include_str!("../../migrations/sqlite/0001_start.sql"))];

impl Store {
    /// Opens (or makes) the database, brings its schema up to date and keeps other processes from writing to it.
    ///
    /// # Errors
    /// When the address is not understood, the file is in use, or the database fails.
    pub async fn open(url: &str) -> Result<Self, StoreFault> {
        let options = options(url)?;
        let lock = lock(&options, url)?;
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        migrator().run(&writer).await?;
        let in_memory = url.contains(":memory:");
        let reader = if in_memory {
            writer.clone()
        } else {
            SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await?
        };
        Ok(Self { writer, reader, changed: Arc::new(watch::channel(0).0), held: lock.map(Arc::new) })
    }

    /// Opens an existing database to read, also while another process writes to it.
    ///
    /// # Errors
    /// When the address is not understood, there is no such database, or it fails.
    pub async fn open_to_read(url: &str) -> Result<Self, StoreFault> {
        let options = options(url)?.create_if_missing(false).read_only(true);
        let reader = SqlitePoolOptions::new().max_connections(2).connect_with(options).await?;
        Ok(Self { writer: reader.clone(), reader, changed: Arc::new(watch::channel(0).0), held: None })
    }

    /// Is told whenever something was written that somebody may have to act on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Closes the connections and lets another process have the database; every later call fails. What was not
    /// committed is rolled back.
    pub async fn close(&self) {
        self.writer.close().await;
        self.reader.close().await;
        if let Some(lock) = &self.held
            && let Err(error) = lock.unlock()
        {
            tracing::warn!(%error, "the database's lock could not be let go of; it ends with the process");
        }
    }

    fn announce(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// The database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreFault> {
        sqlx::query("SELECT 1").execute(&self.writer).await?;
        Ok(())
    }

    /// An incident as it stands.
    ///
    /// # Errors
    /// When the database fails or the row cannot be read.
    pub async fn incident(&self, id: IncidentId) -> Result<Option<Incident>, StoreFault> {
        let row =
            sqlx::query("SELECT state FROM incident WHERE id = $1").bind(id.0).fetch_optional(&self.reader).await?;
        row.map(|row| read("incident", row.get("state"))).transpose()
    }

    /// The incident whose channel this is.
    ///
    /// # Errors
    /// When the database fails or the row cannot be read.
    pub async fn incident_in(&self, channel: &ChannelId) -> Result<Option<Incident>, StoreFault> {
        let query = sqlx::query("SELECT state FROM incident WHERE channel = $1").bind(&channel.0);
        let row = query.fetch_optional(&self.reader).await?;
        row.map(|row| read("incident", row.get("state"))).transpose()
    }

    /// Every open incident, worst first, then oldest first.
    ///
    /// # Errors
    /// When the database fails or a row cannot be read.
    pub async fn open_incidents(&self) -> Result<Vec<Incident>, StoreFault> {
        let query = sqlx::query(
            "SELECT state FROM incident WHERE status IN ('triggered', 'acknowledged', 'mitigated') ORDER BY rank, id",
        );
        let rows = query.fetch_all(&self.reader).await?;
        rows.into_iter().map(|row| read("incident", row.get("state"))).collect()
    }

    /// The newest incidents, open or not, newest first.
    ///
    /// # Errors
    /// When the database fails or a row cannot be read.
    pub async fn recent_incidents(&self, limit: u32) -> Result<Vec<Incident>, StoreFault> {
        let query = sqlx::query("SELECT state FROM incident ORDER BY id DESC LIMIT $1").bind(i64::from(limit));
        let rows = query.fetch_all(&self.reader).await?;
        rows.into_iter().map(|row| read("incident", row.get("state"))).collect()
    }

    /// An incident's timeline, oldest first.
    ///
    /// # Errors
    /// When the database fails or a row cannot be read.
    pub async fn timeline(&self, id: IncidentId) -> Result<Vec<Entry>, StoreFault> {
        let query = sqlx::query("SELECT entry FROM timeline WHERE incident = $1 ORDER BY seq").bind(id.0);
        let rows = query.fetch_all(&self.reader).await?;
        rows.into_iter().map(|row| read("timeline entry", row.get("entry"))).collect()
    }

    /// The next number of a sequence that only grows, across restarts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_number(&self, name: &str) -> Result<i64, StoreFault> {
        let row = sqlx::query(NEXT_NUMBER).bind(name).fetch_one(&self.writer).await?;
        Ok(row.get("value"))
    }
}

const NEXT_NUMBER: &str = "INSERT INTO counter (name, value) VALUES ($1, 1) \
     ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value";

fn options(url: &str) -> Result<SqliteConnectOptions, StoreFault> {
    if !url.starts_with("sqlite:") {
        let scheme = url.split(':').next().unwrap_or_default();
        let why = format!("“{scheme}” is no database that this version knows");
        return Err(StoreFault::Address { url: format!("{scheme}:…"), why });
    }
    let address = |error: sqlx::Error| StoreFault::Address { url: url.to_owned(), why: error.to_string() };
    let options = SqliteConnectOptions::from_str(url).map_err(address)?;
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true))
}

/// Holds a lock beside the database file for as long as the store lives, so that a second process refuses to start.
fn lock(options: &SqliteConnectOptions, url: &str) -> Result<Option<File>, StoreFault> {
    if url.contains(":memory:") {
        return Ok(None);
    }
    let mut name = options.get_filename().as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file =
        File::create(&path).map_err(|error| StoreFault::Address { url: url.to_owned(), why: error.to_string() })?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(_) => Err(StoreFault::InUse { path: options.get_filename().display().to_string() }),
    }
}

fn migrator() -> Migrator {
    let all = MIGRATIONS.iter().map(|(version, name, sql)| {
        let sql = AssertSqlSafe(*sql).into_sql_str();
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    });
    Migrator { migrations: all.collect::<Vec<_>>().into(), ..Migrator::DEFAULT }
}

fn read<T: DeserializeOwned>(what: &'static str, text: String) -> Result<T, StoreFault> {
    serde_json::from_str(&text).map_err(|error| StoreFault::Unreadable { what, why: error.to_string() })
}

fn write<T: Serialize>(what: &'static str, value: &T) -> Result<String, StoreFault> {
    serde_json::to_string(value).map_err(|error| StoreFault::Unreadable { what, why: error.to_string() })
}
