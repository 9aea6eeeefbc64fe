//! The connections of one process to a database, with those at hand that were in use a moment ago.
//!
//! sqlx's pool asks the server after each use whether the connection still works: another round trip for each statement,
//! and a task to carry it. So a connection that has just answered well is kept at hand for whoever comes next, and the
//! pool gets those that failed, those that are too many, and now and then each, to see whether it is too old.

use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Database, Pool};
use tokio::time::Instant;

use super::StoreFault;

/// A connection that rested for so long is tried before it is used.
pub(super) const UNTRIED: Duration = Duration::from_secs(1);
/// And it is given up when it does not answer that in time: others are there, or can be opened.
pub(super) const TRIED_FOR: Duration = Duration::from_secs(1);
/// So long whoever closes them waits for those that are in use.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
/// So long a connection goes from hand to hand.
const FROM_HAND_TO_HAND: Duration = Duration::from_secs(60);

/// The connections. Cheap to clone.
#[derive(Debug)]
pub(super) struct Connections<DB: Database> {
    pub pool: Pool<DB>,
    at_hand: Arc<AtHand<DB>>,
}

impl<DB: Database> Clone for Connections<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), at_hand: Arc::clone(&self.at_hand) }
    }
}

impl<DB: Database> Connections<DB> {
    /// Those of a pool, so many of them at hand at most.
    pub fn of(pool: Pool<DB>, most: usize) -> Self {
        let shelf = Shelf { resting: Vec::new(), waiting: 0, closed: false };
        Self { pool, at_hand: Arc::new(AtHand { most, shelf: Mutex::new(shelf) }) }
    }

    /// A connection that works, as far as is known.
    pub async fn lend(&self) -> Result<Loan<DB>, StoreFault> {
        let waits = loop {
            let Resting { conn, since, rests_since } = match self.at_hand.take() {
                Ok(resting) => resting,
                Err(waits) => break waits,
            };
            let conn = if rests_since.elapsed() < UNTRIED { Some(conn) } else { still_works(conn).await };
            if let Some(conn) = conn {
                return Ok(Loan { conn: Lent(Some(conn)), since, at_hand: Arc::clone(&self.at_hand) });
            }
        };
        let conn = self.pool.acquire().await?;
        drop(waits);
        Ok(Loan { conn: Lent(Some(conn)), since: Instant::now(), at_hand: Arc::clone(&self.at_hand) })
    }

    /// Closes them all, once they are given back; but the end of the process waits for no server that is gone.
    pub async fn close(&self) {
        drop(self.at_hand.clear());
        if tokio::time::timeout(CLOSED_WITHIN, self.pool.close()).await.is_err() {
            tracing::warn!("connections to the database are left open, for what is under way on them does not end");
        }
    }
}

/// A connection in use.
pub(super) struct Loan<DB: Database> {
    conn: Lent<DB>,
    /// When the pool lent it.
    since: Instant,
    at_hand: Arc<AtHand<DB>>,
}

impl<DB: Database> Loan<DB> {
    /// The connection.
    pub fn conn(&mut self) -> Result<&mut DB::Connection, StoreFault> {
        self.conn.0.as_deref_mut().ok_or(StoreFault::Closed)
    }

    /// Gives the connection back; but not one whose server is gone, for others would wait for the same answer. Where
    /// something failed, the pool sees to what is left under way.
    pub fn back<T>(mut self, outcome: Result<T, StoreFault>) -> Result<T, StoreFault> {
        let is_there = !outcome.as_ref().is_err_and(is_gone);
        if let Some(conn) = self.conn.0.take_if(|_| is_there) {
            match &outcome {
                Ok(_) => self.at_hand.keep(conn, self.since),
                Err(_) => drop(conn),
            }
        }
        outcome
    }
}

/// A connection that somebody has. It is no longer the pool's when it does not answer, or when whoever has it goes away in the
/// middle: nobody knows then what is still under way on it, and the pool would wait for the answer for as long as the kernel
/// does, and keep the connection's place meanwhile.
struct Lent<DB: Database>(Option<PoolConnection<DB>>);

impl<DB: Database> Drop for Lent<DB> {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            drop(conn.detach());
        }
    }
}

struct AtHand<DB: Database> {
    most: usize,
    shelf: Mutex<Shelf<DB>>,
}

impl<DB: Database> Debug for AtHand<DB> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtHand").field("most", &self.most).finish_non_exhaustive()
    }
}

struct Shelf<DB: Database> {
    /// The last one was in use last.
    resting: Vec<Resting<DB>>,
    /// So many wait for the pool: what is given back is theirs.
    waiting: usize,
    closed: bool,
}

struct Resting<DB: Database> {
    conn: PoolConnection<DB>,
    since: Instant,
    rests_since: Instant,
}

impl<DB: Database> AtHand<DB> {
    fn shelf(&self) -> MutexGuard<'_, Shelf<DB>> {
        // Whoever panicked has left it whole: nothing is done to it in several steps.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>) -> Result<Resting<DB>, Waits<DB>> {
        let mut shelf = self.shelf();
        shelf.resting.pop().ok_or_else(|| {
            shelf.waiting += 1;
            Waits(Arc::clone(self))
        })
    }

    fn keep(&self, conn: PoolConnection<DB>, since: Instant) {
        let now = Instant::now();
        let mut shelf = self.shelf();
        let has_room = shelf.waiting == 0 && shelf.resting.len() < self.most;
        if has_room && !shelf.closed && now - since < FROM_HAND_TO_HAND {
            shelf.resting.push(Resting { conn, since, rests_since: now });
        }
    }

    fn clear(&self) -> Vec<Resting<DB>> {
        let mut shelf = self.shelf();
        shelf.closed = true;
        std::mem::take(&mut shelf.resting)
    }
}

/// Somebody waits for the pool.
struct Waits<DB: Database>(Arc<AtHand<DB>>);

impl<DB: Database> Drop for Waits<DB> {
    fn drop(&mut self) {
        self.0.shelf().waiting -= 1;
    }
}

/// The connection, if it answers in time.
async fn still_works<DB: Database>(conn: PoolConnection<DB>) -> Option<PoolConnection<DB>> {
    let mut tried = Lent(Some(conn));
    within(TRIED_FOR, tried.0.as_mut()?.ping()).await.ok()?;
    tried.0.take()
}

/// What comes in time, or word that the server is gone.
pub(super) async fn within<T>(
    limit: Duration,
    asking: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let gone = |_| Err(std::io::Error::new(ErrorKind::TimedOut, "the server has not answered").into());
    tokio::time::timeout(limit, asking).await.unwrap_or_else(gone)
}

/// Whether [`within`] said so.
pub(super) fn is_gone(fault: &StoreFault) -> bool {
    matches!(fault, StoreFault::Database(sqlx::Error::Io(error)) if error.kind() == ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use sqlx::Sqlite;
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    async fn connections(most: u32) -> (Connections<Sqlite>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("vigie.db").display());
        let pool = SqlitePoolOptions::new().max_connections(most).acquire_timeout(Duration::from_secs(10));
        (Connections::of(pool.connect(&url).await.unwrap(), most as usize), folder)
    }

    /// What one connection knows of itself: a table that no other sees.
    async fn marks(loan: &mut Loan<Sqlite>) {
        sqlx::query("CREATE TEMP TABLE mark (it INTEGER)").execute(loan.conn().unwrap()).await.unwrap();
    }

    async fn is_marked(loan: &mut Loan<Sqlite>) -> bool {
        sqlx::query("SELECT it FROM mark").execute(loan.conn().unwrap()).await.is_ok()
    }

    #[tokio::test]
    async fn what_has_answered_well_is_lent_next_and_what_failed_is_not_at_hand() {
        let (connections, _folder) = connections(2).await;
        let mut first = connections.lend().await.unwrap();
        let second = connections.lend().await.unwrap();
        marks(&mut first).await;
        second.back(Ok(())).unwrap();
        first.back(Ok(())).unwrap();
        let mut again = connections.lend().await.unwrap();
        assert!(is_marked(&mut again).await, "the one that was in use last");
        assert!(again.back::<()>(Err(StoreFault::Closed)).is_err());
        let mut other = connections.lend().await.unwrap();
        assert!(!is_marked(&mut other).await);
    }

    #[tokio::test]
    async fn whoever_waits_gets_what_is_given_back_and_it_is_not_put_by() {
        let (connections, _folder) = connections(1).await;
        let only = connections.lend().await.unwrap();
        let waits = tokio::spawn({
            let connections = connections.clone();
            async move { connections.lend().await.map(|loan| loan.back(Ok(()))) }
        });
        while connections.at_hand.shelf().waiting == 0 {
            tokio::task::yield_now().await;
        }
        only.back(Ok(())).unwrap();
        waits.await.unwrap().expect("it is lent on").unwrap();
        assert_eq!(connections.at_hand.shelf().waiting, 0);
        connections.lend().await.expect("it is at hand").back(Ok(())).unwrap();
    }

    #[tokio::test]
    async fn what_rested_for_long_is_tried_and_nobody_gets_it_of_whom_that_is_not_known() {
        let (connections, _folder) = connections(1).await;
        let mut loan = connections.lend().await.unwrap();
        marks(&mut loan).await;
        loan.back(Ok(())).unwrap();
        let rests_for_long = || connections.at_hand.shelf().resting[0].rests_since -= UNTRIED;
        rests_for_long();
        let mut loan = connections.lend().await.unwrap();
        assert!(is_marked(&mut loan).await, "it answered");
        loan.back(Ok(())).unwrap();
        rests_for_long();
        // Whoever asks goes away before it has answered.
        assert!(connections.lend().now_or_never().is_none());
        let mut loan = connections.lend().await.expect("another one is opened");
        assert!(!is_marked(&mut loan).await);
    }

    #[tokio::test]
    async fn one_that_is_not_given_back_leaves_its_place_to_another() {
        let (connections, _folder) = connections(1).await;
        let mut loan = connections.lend().await.unwrap();
        marks(&mut loan).await;
        // Whoever has it goes away in the middle.
        drop(loan);
        assert_eq!(connections.pool.size(), 0);
        let mut loan = connections.lend().await.expect("another one is opened");
        assert!(!is_marked(&mut loan).await);
    }

    #[tokio::test]
    async fn all_of_them_close_though_some_are_at_hand_and_one_comes_back_later() {
        let (connections, _folder) = connections(2).await;
        let late = connections.lend().await.unwrap();
        connections.lend().await.unwrap().back(Ok(())).unwrap();
        let closing = tokio::spawn({
            let connections = connections.clone();
            async move { connections.close().await }
        });
        while !connections.pool.is_closed() {
            tokio::task::yield_now().await;
        }
        late.back(Ok(())).unwrap();
        closing.await.unwrap();
        assert!(connections.lend().await.is_err(), "they are closed");
    }
}
