//! The only SQL. Nothing here decides anything: it keeps what was decided, all of it or none.
//!
//! Inputs are in the inbox before they are acknowledged; a decision's facts, effects and next wake are one
//! transaction; effects wait in the outbox under leases (`durability`, rules 1–4). Instants are bound parameters,
//! never the database's clock. SQLite and PostgreSQL are served by one code: what differs is in `db`, `sqlite`,
//! `postgres` and `sql`.

mod absence;
mod answers;
mod aside;
mod audit;
mod backup;
mod commit;
mod connections;
mod db;
mod effects;
mod execution;
mod fault;
mod inbox;
mod kept;
mod meant;
mod migrate;
mod outbox;
mod postgres;
mod release;
mod sql;
mod sqlite;
#[cfg(test)]
pub(crate) mod weather;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};

use crate::incident::decision::Lane;
use crate::incident::id::{ChannelId, IncidentId};
use crate::incident::state::Incident;
use crate::incident::timeline::Entry;
use crate::incident::waiting::OpenIncidents;
use db::{Args, Db, Row, args};

pub use audit::Lateness;
pub use backup::Copied;
pub use commit::{Decide, Now, Question, Taken};
pub use execution::{Beginning, Fenced};
pub use fault::StoreFault;
pub use inbox::{Arrived, Target};
pub use outbox::{Claimed, Place};

/// So many open incidents are read for a list or a Home; of the rest the number is told.
const LOOKED_AT: u32 = 100;

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    db: Db,
    changed: Arc<Changed>,
    held: Option<Arc<File>>,
    /// Begins every token of a lease that this process holds.
    owner: Arc<str>,
    /// The tokens under which the database may have given this process something that it does not know of.
    doubtful: Arc<Mutex<Vec<String>>>,
}

/// Tells of what this process wrote. Whoever waits is spared what does not concern it.
#[derive(Debug, Default)]
struct Changed {
    /// Something is to be decided upon: one of those who decide is woken, for one can take it.
    arrived: Notify,
    /// Something may be to be carried out, by lane; and how many decisions have brought something.
    decided: [watch::Sender<u64>; Lane::ALL.len()],
    anything: watch::Sender<u64>,
}

fn bump(counter: &watch::Sender<u64>) {
    counter.send_modify(|count| *count += 1);
}

impl Store {
    /// Opens (or makes) the database and brings its schema up to date. A SQLite file is kept from other processes; a
    /// PostgreSQL database is shared with them.
    ///
    /// # Errors
    /// When the address is not understood, the file is in use, or the database fails.
    pub async fn open(url: &str) -> Result<Self, StoreFault> {
        let (db, held) = match Kind::of(url)? {
            Kind::Sqlite => {
                let options = sqlite::options(url)?;
                let held = sqlite::lock(&options)?;
                migrate::sqlite(&options).await?;
                let writer = sqlite::Writer::open(options.clone()).await?;
                let db = Db::Sqlite { writer: Some(writer), reader: sqlite::readers(options, 4).await? };
                (db, Some(Arc::new(held)))
            }
            Kind::Postgres => {
                let pools = postgres::open(url).await?;
                migrate::postgres(&pools.usual.pool).await?;
                // What connects is large, and a start waits for much else.
                Box::pin(postgres::keeps_order(url)).await?;
                (Db::Postgres(pools), None)
            }
        };
        release::take_over(&db).await?;
        if held.is_some() {
            // The file is ours alone, so whoever was at work on something is gone: it need not wait.
            db.write(outbox::EndLeases).await?;
        }
        Ok(Self::over(db, held))
    }

    /// Opens an existing database to read, also while another process writes to it.
    ///
    /// # Errors
    /// When the address is not understood, there is no such database, or it fails.
    pub async fn open_to_read(url: &str) -> Result<Self, StoreFault> {
        let db = match Kind::of(url)? {
            Kind::Sqlite => {
                let options = sqlite::options(url)?.create_if_missing(false);
                Db::Sqlite { writer: None, reader: sqlite::readers(options, 2).await? }
            }
            Kind::Postgres => Db::Postgres(postgres::open(url).await?),
        };
        Ok(Self::over(db, None))
    }

    fn over(db: Db, held: Option<Arc<File>>) -> Self {
        let owner = uuid::Uuid::new_v4().simple().to_string().into();
        Self { db, changed: Arc::default(), held, owner, doubtful: Arc::default() }
    }

    /// Is told whenever this process wrote something.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.anything.subscribe()
    }

    /// Returns once this process wrote something that is to be decided upon; of several who wait, one is woken.
    pub async fn arrival(&self) {
        self.changed.arrived.notified().await;
    }

    /// Is told whenever this process decided so that something may be to be carried out in a lane:
    /// how many decisions have brought something, or the same number again where something that waited may go on.
    pub fn decisions(&self, lane: Lane) -> watch::Receiver<u64> {
        self.changed.decided[lane as usize].subscribe()
    }

    /// Another process's handle on the same database, with leases of its own.
    #[cfg(test)]
    pub(crate) fn beside(&self) -> Self {
        Self::over(self.db.clone(), None)
    }

    /// Several processes may share this database.
    pub fn is_shared(&self) -> bool {
        matches!(self.db, Db::Postgres(_))
    }

    /// Closes the connections and lets another process have the database; every later call fails. What was not
    /// committed is rolled back.
    pub async fn close(&self) {
        self.db.close().await;
        if let Some(lock) = &self.held
            && let Err(error) = lock.unlock()
        {
            tracing::warn!(%error, "the database's lock could not be let go of; it ends with the process");
        }
    }

    fn announce_arrival(&self) {
        self.changed.arrived.notify_one();
        self.announce_change();
    }

    fn announce_decision(&self, lanes: &BTreeMap<Lane, bool>) {
        for (lane, brings) in lanes {
            self.changed.decided[*lane as usize].send_modify(|brought| *brought += u64::from(*brings));
        }
        self.announce_change();
    }

    fn announce_change(&self) {
        bump(&self.changed.anything);
    }

    /// The database takes changes: one is made.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreFault> {
        self.db.write(execution::Ping).await
    }

    /// The database understands every statement, so its schema is the one of this version. Nothing else is to be done with this
    /// store afterwards: its connections remember the statements with the types that the server guessed.
    ///
    /// # Errors
    /// The first one that it does not understand.
    pub async fn prepare_all(&self) -> Result<(), StoreFault> {
        self.db.prepare_all().await
    }

    /// An incident as it stands.
    ///
    /// # Errors
    /// When the database fails or the row cannot be read.
    pub async fn incident(&self, id: IncidentId) -> Result<Option<Incident>, StoreFault> {
        let row = self.db.read_first(&sql::INCIDENT, args![id.0]).await?;
        row.as_ref().map(incident_of).transpose()
    }

    /// The incident whose channel this is.
    ///
    /// # Errors
    /// When the database fails or the row cannot be read.
    pub async fn incident_in(&self, channel: &ChannelId) -> Result<Option<Incident>, StoreFault> {
        let row = self.db.read_first(&sql::INCIDENT_IN, args![channel.0.as_str()]).await?;
        row.as_ref().map(incident_of).transpose()
    }

    /// How many incidents are open, and the worst of them, as many as are looked at for lists and Home.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_incidents(&self) -> Result<OpenIncidents, StoreFault> {
        let rows = self.db.read(&sql::OPEN_INCIDENTS, args![i64::from(LOOKED_AT)]).await?;
        let count = if rows.len() < LOOKED_AT as usize {
            rows.len()
        } else {
            usize::try_from(self.count(&sql::OPEN_COUNT, Args::none()).await?).unwrap_or(0).max(rows.len())
        };
        Ok(OpenIncidents { count, worst: readable(&rows) })
    }

    /// Every open incident's number, worst first, then oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn every_open_incident(&self) -> Result<Vec<IncidentId>, StoreFault> {
        let rows = self.db.read(&sql::OPEN_NUMBERS, Args::none()).await?;
        rows.iter().map(|row| row.int("id").map(IncidentId)).collect()
    }

    /// The newest incidents, open or not, newest first.
    ///
    /// # Errors
    /// When the database fails or a row cannot be read.
    pub async fn recent_incidents(&self, limit: u32) -> Result<Vec<Incident>, StoreFault> {
        self.db.read(&sql::RECENT_INCIDENTS, args![i64::from(limit)]).await?.iter().map(incident_of).collect()
    }

    /// An incident's timeline, oldest first.
    ///
    /// # Errors
    /// When the database fails or a row cannot be read.
    pub async fn timeline(&self, id: IncidentId) -> Result<Vec<Entry>, StoreFault> {
        let rows = self.db.read(&sql::TIMELINE, args![id.0]).await?;
        rows.iter().map(|row| read("timeline entry", row.text("entry")?)).collect()
    }
}

/// Which database an address names.
enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    fn of(url: &str) -> Result<Self, StoreFault> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Kind::Sqlite),
            Some("postgres" | "postgresql") => Ok(Kind::Postgres),
            Some(scheme) => {
                let why = format!("“{scheme}” is no database that this version knows");
                Err(StoreFault::Address { url: format!("{scheme}:…"), why })
            }
            None => {
                Err(StoreFault::Address { url: "…".to_owned(), why: "it does not say which database".to_owned() })
            }
        }
    }
}

fn incident_of(row: &Row) -> Result<Incident, StoreFault> {
    read("incident", row.text("state")?)
}

/// Those that can be read: one that cannot, which the watch tells of, must not hide all others.
fn readable(rows: &[Row]) -> Vec<Incident> {
    let read =
        |row: &Row| incident_of(row).map_err(|fault| tracing::error!(%fault, "an open incident is left out")).ok();
    rows.iter().filter_map(read).collect()
}

fn read<T: DeserializeOwned>(what: &'static str, text: String) -> Result<T, StoreFault> {
    serde_json::from_str(&text).map_err(|error| StoreFault::Unreadable { what, why: error.to_string() })
}

fn write<T: Serialize>(what: &'static str, value: &T) -> Result<String, StoreFault> {
    serde_json::to_string(value).map_err(|error| StoreFault::Unreadable { what, why: error.to_string() })
}
