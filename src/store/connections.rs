//! The connections of one process to a database, with those at hand that were in use a moment ago.
//!
//! sqlx's pool asks the server after each use whether the connection still works: another round trip for each statement,
//! and a task to carry it; and should the server fall silent at that moment, the connection keeps its place in the pool for as
//! long as the kernel waits. So what the pool has lent never goes back to it: a connection that has just been answered is kept
//! at hand for whoever comes next, and any other is closed.

use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Database, Pool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::StoreFault;

/// So long whoever asks for a connection waits for one.
const LENT_WITHIN: Duration = Duration::from_secs(5);
/// A connection that rested for so long is tried before it is used.
const UNTRIED: Duration = Duration::from_secs(1);
/// And it is given up when it does not answer that in time: others are there, or can be opened.
const TRIED_FOR: Duration = Duration::from_secs(1);
/// So long whoever closes them waits for those that are in use.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
/// One that nobody needed for so long is closed.
const UNUSED: Duration = Duration::from_secs(10 * 60);
/// So old a connection becomes: the memory that a server keeps for each grows.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// The connections. Cheap to clone.
#[derive(Debug)]
pub(super) struct Connections<DB: Database> {
    pub pool: Pool<DB>,
    /// One for each connection that may be in use: whoever comes first is served first.
    places: Arc<Semaphore>,
    at_hand: Arc<AtHand<DB>>,
}

impl<DB: Database> Clone for Connections<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), places: Arc::clone(&self.places), at_hand: Arc::clone(&self.at_hand) }
    }
}

impl<DB: Database> Connections<DB> {
    /// Those of a pool.
    pub fn of(pool: Pool<DB>) -> Self {
        let places = Semaphore::new(pool.options().get_max_connections() as usize);
        let shelf = Shelf { resting: Vec::new(), closed: false };
        Self { pool, places: Arc::new(places), at_hand: Arc::new(AtHand(Mutex::new(shelf))) }
    }

    /// A connection that works, as far as is known.
    pub async fn lend(&self) -> Result<Loan<DB>, StoreFault> {
        let lent = tokio::time::timeout(LENT_WITHIN, self.lend_in_turn()).await;
        Ok(lent.unwrap_or(Err(sqlx::Error::PoolTimedOut))?)
    }

    /// Whoever has a place finds a connection at hand, or the pool has room for another one.
    async fn lend_in_turn(&self) -> Result<Loan<DB>, sqlx::Error> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        while let Some(Resting { conn, since, rests_since }) = self.at_hand.take() {
            let conn = if rests_since.elapsed() < UNTRIED { Some(conn) } else { still_works(conn).await };
            if let Some(conn) = conn {
                return Ok(self.loan(conn, since, place));
            }
            // Those that rest for as long would not answer either: nobody waits for each of them.
            self.at_hand.drop_rested(UNTRIED);
        }
        Ok(self.loan(self.pool.acquire().await?, Instant::now(), place))
    }

    fn loan(&self, conn: PoolConnection<DB>, since: Instant, place: OwnedSemaphorePermit) -> Loan<DB> {
        Loan { conn: Lent(Some(conn)), since, at_hand: Arc::clone(&self.at_hand), _place: place }
    }

    /// Closes them all, once they are given back; but the end of the process waits for no server that is gone.
    pub async fn close(&self) {
        self.places.close();
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
    /// Given up last, when the connection is at hand again or closed.
    _place: OwnedSemaphorePermit,
}

impl<DB: Database> Loan<DB> {
    /// The connection.
    pub fn conn(&mut self) -> Result<&mut DB::Connection, StoreFault> {
        self.conn.0.as_deref_mut().ok_or(StoreFault::Closed)
    }

    /// Gives the connection back, if it has been answered, well or not.
    pub fn back<T>(mut self, outcome: Result<T, StoreFault>) -> Result<T, StoreFault> {
        let is_whole = outcome.as_ref().map_or_else(StoreFault::leaves_connection_whole, |_| true);
        if let Some(conn) = self.conn.0.take_if(|_| is_whole) {
            self.at_hand.keep(conn, self.since);
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

struct AtHand<DB: Database>(Mutex<Shelf<DB>>);

impl<DB: Database> Debug for AtHand<DB> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtHand").finish_non_exhaustive()
    }
}

struct Shelf<DB: Database> {
    /// The last one was in use last.
    resting: Vec<Resting<DB>>,
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Resting<DB>> {
        self.shelf().resting.pop()
    }

    fn keep(&self, conn: PoolConnection<DB>, since: Instant) {
        let now = Instant::now();
        self.drop_rested(UNUSED);
        if now - since >= LIFETIME {
            return drop(conn.detach());
        }
        let mut shelf = self.shelf();
        if shelf.closed {
            // Whoever closes them waits for it.
            return drop(conn);
        }
        shelf.resting.push(Resting { conn, since, rests_since: now });
    }

    fn drop_rested(&self, long: Duration) {
        for old in self.shelf().resting.extract_if(.., |one| one.rests_since.elapsed() >= long) {
            drop(old.conn.detach());
        }
    }

    fn clear(&self) -> Vec<Resting<DB>> {
        let mut shelf = self.shelf();
        shelf.closed = true;
        std::mem::take(&mut shelf.resting)
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use sqlx::Sqlite;
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    async fn connections(most: u32) -> (Connections<Sqlite>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("vigie.db").display());
        let pool = SqlitePoolOptions::new().max_connections(most);
        (Connections::of(pool.connect(&url).await.unwrap()), folder)
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
        let refused = sqlx::query("SELECT no_such_column").execute(again.conn().unwrap()).await;
        assert!(again.back(refused.map_err(StoreFault::from)).is_err());
        let mut again = connections.lend().await.unwrap();
        assert!(is_marked(&mut again).await, "it has answered, though not well");
        let lost = sqlx::Error::Io(ErrorKind::ConnectionReset.into());
        assert!(again.back::<()>(Err(lost.into())).is_err());
        let mut other = connections.lend().await.unwrap();
        assert!(!is_marked(&mut other).await);
    }

    #[tokio::test]
    async fn whoever_waits_longest_gets_what_is_given_back_and_nobody_who_comes_later() {
        let (connections, _folder) = connections(1).await;
        let mut only = connections.lend().await.unwrap();
        marks(&mut only).await;
        let mut waits = Box::pin(connections.lend());
        assert!((&mut waits).now_or_never().is_none());
        only.back(Ok(())).unwrap();
        assert!(connections.lend().now_or_never().is_none(), "somebody was there before");
        let mut loan = waits.await.expect("it is lent on");
        assert!(is_marked(&mut loan).await);
        loan.back(Ok(())).unwrap();
        connections.lend().now_or_never().expect("it is at hand").unwrap().back(Ok(())).unwrap();
    }

    #[tokio::test]
    async fn one_that_has_become_old_is_closed_and_leaves_its_place_to_another() {
        let (connections, _folder) = connections(1).await;
        let mut loan = connections.lend().await.unwrap();
        marks(&mut loan).await;
        loan.since -= LIFETIME;
        loan.back(Ok(())).unwrap();
        assert_eq!(connections.pool.size(), 0);
        let mut loan = connections.lend().await.expect("another one is opened");
        assert!(!is_marked(&mut loan).await);
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
        // Whoever asks goes away before it has answered; where that was quicker, somebody else does.
        while let Some(loan) = connections.lend().now_or_never() {
            loan.unwrap().back(Ok(())).unwrap();
            rests_for_long();
            // Or the runtime would hold it up that this asks so much at once.
            tokio::task::yield_now().await;
        }
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
