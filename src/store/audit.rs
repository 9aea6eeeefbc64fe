//! What shows whether everything that is due is being done (rule 10), and what may be forgotten.

use super::aside::PutWakeAside;
use super::db::{Conn, Write, args};
use super::{Store, StoreFault, incident_of, sql};
use crate::incident::id::IncidentId;
use crate::incident::time::{Instant, Millis};

/// How late the oldest thing of each kind is; zero when nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lateness {
    /// An incident that should have been woken.
    pub wake: Millis,
    /// An input that nobody has decided upon.
    pub input: Millis,
    /// A page that nobody has sent, or whose sender is gone.
    pub page: Millis,
    /// A change to a system, or a word to customers, that nobody has begun.
    pub work: Millis,
    /// A message to Slack that no limit of Slack's holds back. Many at once wait for each other.
    pub chat: Millis,
    /// What somebody had in hand who is gone, and nobody has taken over.
    pub lease: Millis,
}

impl Lateness {
    /// The worst of them, but for chat, which may take its time.
    pub fn worst(&self) -> Millis {
        self.wake.max(self.input).max(self.page).max(self.work).max(self.lease)
    }
}

impl Store {
    /// How late things are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lateness(&self, now: Instant) -> Result<Lateness, StoreFault> {
        let since = |at: Option<Instant>| at.map(|at| now.since(at)).filter(|late| late.0 > 0).unwrap_or_default();
        Ok(Lateness {
            wake: since(self.next_wake().await?),
            input: since(self.instant(&sql::OLDEST_INPUT).await?),
            page: since(self.instant(&sql::OLDEST_DUE_PAGE).await?),
            work: since(self.instant(&sql::OLDEST_DUE_WORK).await?),
            chat: since(self.instant(&sql::OLDEST_DUE_CHAT).await?),
            lease: since(self.instant(&sql::OLDEST_LEASE).await?),
        })
    }

    /// Has every open incident woken in its time that should be and never will be: which these are. None is there unless a
    /// defect or a hand in the database took its wake away. One that cannot be read is put aside, and the others are looked at.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wake_the_forgotten(&self, now: Instant) -> Result<Vec<IncidentId>, StoreFault> {
        let (mut forgotten, mut seen) = (Vec::new(), 0);
        loop {
            // Most of them need no wake: somebody answered, and no update is due.
            let rows = self.db.read(&sql::OPEN_WITHOUT_WAKE, args![seen]).await?;
            let Some(last) = rows.last() else { break };
            seen = last.int("id")?;
            for row in &rows {
                let id = row.int("id")?;
                match incident_of(row) {
                    Ok(incident) => {
                        let Some(at) = incident.wake_at() else { continue };
                        self.db.write(WakeAt { id, at }).await?;
                        forgotten.push(IncidentId(id));
                    }
                    Err(fault) => {
                        tracing::error!(%fault, incident = id, "an open incident cannot be read");
                        self.db.write(PutWakeAside { incident: id, fault: fault.to_string(), now }).await?;
                    }
                }
            }
        }
        if !forgotten.is_empty() {
            self.announce_arrival();
        }
        Ok(forgotten)
    }

    /// How many inputs and effects were put aside because they cannot be read or decided upon.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_aside(&self) -> Result<i64, StoreFault> {
        self.count(&sql::PUT_ASIDE, args![]).await
    }

    /// Forgets inputs that were decided upon and arrived before `then`, for no sender repeats itself for so long; and answers
    /// that nobody has read since.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_inputs(&self, then: Instant) -> Result<u64, StoreFault> {
        self.db.write(Forget(then)).await
    }

    async fn instant(&self, statement: &sql::Statement) -> Result<Option<Instant>, StoreFault> {
        let row = self.db.read_first(statement, args![]).await?;
        Ok(row.map(|row| row.maybe_int("at")).transpose()?.flatten().map(Instant))
    }
}

struct WakeAt {
    id: i64,
    at: Instant,
}

impl Write for WakeAt {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run(&sql::WAKE_FORGOTTEN, args![self.id, self.at.0]).await?;
        Ok(())
    }
}

struct Forget(Instant);

impl Write for Forget {
    type Out = u64;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<u64, StoreFault> {
        conn.run(&sql::FORGET_ANSWERS, args![self.0.0]).await?;
        conn.run(&sql::FORGET_INPUTS, args![self.0.0]).await
    }
}
