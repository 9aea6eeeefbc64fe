//! What shows whether everything that is due is being done (rule 10), and what may be forgotten.

use super::db::{Conn, Write, args};
use super::{Store, StoreFault, sql};
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
}

impl Lateness {
    /// The worst of them.
    pub fn worst(&self) -> Millis {
        self.wake.max(self.input).max(self.page)
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
        })
    }

    /// How many inputs and effects were put aside because they cannot be read or decided upon.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_aside(&self) -> Result<i64, StoreFault> {
        self.count(&sql::PUT_ASIDE, args![]).await
    }

    /// Forgets inputs that were decided upon and arrived before `then`: no sender repeats itself for so long.
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

struct Forget(Instant);

impl Write for Forget {
    type Out = u64;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<u64, StoreFault> {
        conn.run(&sql::FORGET_INPUTS, args![self.0.0]).await
    }
}
