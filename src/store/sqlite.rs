//! SQLite: one file, one process, one writer.
//!
//! A commit that survives a power cut costs a write to the disk, milliseconds on many machines. So changes that wait at
//! the same time share one transaction, as database servers do: each caller is answered when the commit that holds its
//! change is on the disk. What must be acknowledged to Slack goes first.

use std::fs::{File, TryLockError};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite};
use tokio::sync::{mpsc, oneshot};

use super::StoreFault;
use super::connections::Connections;
use super::db::{Conn, Write};

/// How many changes that nobody waits for with a deadline one commit may hold. An acknowledgement that comes meanwhile
/// waits for the change under way and for the commit.
const USUAL_IN_A_GROUP: usize = 16;
/// How many changes one commit may hold at all.
const GROUP: usize = 256;

/// How the file is opened.
pub(super) fn options(url: &str) -> Result<SqliteConnectOptions, StoreFault> {
    let address = |why: String| StoreFault::Address { url: url.to_owned(), why };
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(address("a database in memory would lose everything with the process".to_owned()));
    }
    let options = SqliteConnectOptions::from_str(url).map_err(|error| address(error.to_string()))?;
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true))
}

/// Connections that only read.
pub(super) async fn readers(options: SqliteConnectOptions, most: u32) -> Result<Connections<Sqlite>, StoreFault> {
    // A file does not hang up: a connection need not be tried before each use.
    let pool = SqlitePoolOptions::new().max_connections(most).test_before_acquire(false);
    Ok(Connections::of(pool.connect_with(options.read_only(true)).await?))
}

/// Holds a lock beside the database file for as long as the store lives, so that a second process refuses to start: by
/// whatever name it knows the file.
pub(super) fn lock(options: &SqliteConnectOptions) -> Result<File, StoreFault> {
    let named = options.get_filename();
    // One that is not there yet has no other name.
    let real = std::fs::canonicalize(named).unwrap_or_else(|_| named.to_owned());
    let mut name = real.into_os_string();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = File::create(&path).map_err(|why| unusable(options, &why))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreFault::InUse { path: options.get_filename().display().to_string() }),
        Err(TryLockError::Error(why)) => Err(unusable(options, &why)),
    }
}

/// The file cannot be used, for a reason that only the system knows.
pub(super) fn unusable(options: &SqliteConnectOptions, why: &dyn std::fmt::Display) -> StoreFault {
    StoreFault::File { path: options.get_filename().display().to_string(), why: why.to_string() }
}

/// The one writer. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    urgent: mpsc::UnboundedSender<Box<dyn Pending>>,
    usual: mpsc::UnboundedSender<Box<dyn Pending>>,
    close: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

impl Writer {
    /// Opens the file for writing.
    pub async fn open(options: SqliteConnectOptions) -> Result<Self, StoreFault> {
        let conn = options.connect().await?;
        let (urgent, urgents) = mpsc::unbounded_channel();
        let (usual, usuals) = mpsc::unbounded_channel();
        let (close, closes) = mpsc::unbounded_channel();
        tokio::spawn(Desk { conn, options, urgents, usuals, closes }.serve());
        Ok(Self { urgent, usual, close })
    }

    /// Makes a change and returns when it is on the disk.
    pub async fn write<W: Write>(&self, change: W) -> Result<W::Out, StoreFault> {
        let (answer, answered) = oneshot::channel();
        let queue = if W::URGENT { &self.urgent } else { &self.usual };
        let pending = Waiting { change, out: None, answer: Some(answer) };
        queue.send(Box::new(pending)).map_err(|_| StoreFault::Closed)?;
        answered.await.map_err(|_| StoreFault::Closed)?
    }

    /// Commits what is under way, refuses the rest, and closes the file.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.close.send(done).is_ok() {
            // An error means that it is closed already.
            let _ = closed.await;
        }
    }
}

type Ran<'a> = Pin<Box<dyn Future<Output = Result<(), StoreFault>> + Send + 'a>>;

/// A change that waits for its commit, whatever it gives back.
trait Pending: Send {
    fn is_urgent(&self) -> bool;
    fn is_single(&self) -> bool;
    fn run<'a>(&'a mut self, conn: &'a mut SqliteConnection) -> Ran<'a>;
    fn committed(&mut self);
    fn failed(&mut self, fault: StoreFault);
}

struct Waiting<W: Write> {
    change: W,
    out: Option<W::Out>,
    answer: Option<oneshot::Sender<Result<W::Out, StoreFault>>>,
}

impl<W: Write> Pending for Waiting<W> {
    fn is_urgent(&self) -> bool {
        W::URGENT
    }

    fn is_single(&self) -> bool {
        self.change.is_single()
    }

    fn run<'a>(&'a mut self, conn: &'a mut SqliteConnection) -> Ran<'a> {
        Box::pin(async move {
            // A defect in one change must not end the one writer.
            let change = AssertUnwindSafe(self.change.write(&mut Conn::Sqlite(conn))).catch_unwind().await;
            self.out = Some(change.map_err(|_| StoreFault::Defect { what: "change to the database" })??);
            Ok(())
        })
    }

    fn committed(&mut self) {
        // Whoever asked may be gone; what was committed stays.
        if let (Some(answer), Some(out)) = (self.answer.take(), self.out.take()) {
            let _ = answer.send(Ok(out));
        }
    }

    fn failed(&mut self, fault: StoreFault) {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Err(fault));
        }
    }
}

/// Where changes are handed in.
struct Desk {
    conn: SqliteConnection,
    options: SqliteConnectOptions,
    urgents: mpsc::UnboundedReceiver<Box<dyn Pending>>,
    usuals: mpsc::UnboundedReceiver<Box<dyn Pending>>,
    closes: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
}

impl Desk {
    async fn serve(mut self) {
        // What is urgent and the rest take turns, so that a flood of the one does not stop the other.
        let mut was_urgent = false;
        loop {
            let owed = if was_urgent { self.usuals.try_recv().ok() } else { None };
            let first = match owed {
                Some(first) => first,
                None => tokio::select! {
                    biased;
                    close = self.closes.recv() => {
                        self.leave(close).await;
                        return;
                    }
                    Some(first) = self.urgents.recv() => first,
                    Some(first) = self.usuals.recv() => first,
                },
            };
            was_urgent = first.is_urgent();
            let has_company = !self.urgents.is_empty() || (!was_urgent && !self.usuals.is_empty());
            if first.is_single() && !has_company {
                self.single(first).await;
                continue;
            }
            let mut group = Vec::new();
            if let Err(fault) = self.together(first, &mut group).await {
                tracing::debug!(%fault, changes = group.len(), "a shared transaction failed; each change is tried by itself");
                self.roll_back().await;
                for pending in group {
                    self.alone(pending).await;
                }
                continue;
            }
            group.iter_mut().for_each(|pending| pending.committed());
        }
    }

    /// One statement that nothing waits beside is a transaction by itself.
    async fn single(&mut self, mut pending: Box<dyn Pending>) {
        match pending.run(&mut self.conn).await {
            Ok(()) => pending.committed(),
            Err(fault) => pending.failed(fault),
        }
    }

    /// One transaction for what waits now. When anything in it fails, nothing of it is kept.
    async fn together(&mut self, first: Box<dyn Pending>, group: &mut Vec<Box<dyn Pending>>) -> Result<(), StoreFault> {
        let mut outcome = self.say("BEGIN IMMEDIATE").await;
        let mut rest = if first.is_urgent() { 0 } else { USUAL_IN_A_GROUP - 1 };
        let mut next = Some(first);
        while let Some(mut pending) = next {
            if outcome.is_ok() {
                outcome = pending.run(&mut self.conn).await;
            }
            group.push(pending);
            next = if outcome.is_ok() && group.len() < GROUP { self.next(&mut rest) } else { None };
        }
        match outcome {
            Ok(()) => self.say("COMMIT").await,
            Err(fault) => Err(fault),
        }
    }

    /// What else goes into this commit: everything urgent; and before there is any, a little of the rest.
    fn next(&mut self, rest: &mut usize) -> Option<Box<dyn Pending>> {
        if let Ok(next) = self.urgents.try_recv() {
            *rest = 0;
            return Some(next);
        }
        *rest = rest.checked_sub(1)?;
        self.usuals.try_recv().ok()
    }

    async fn alone(&mut self, mut pending: Box<dyn Pending>) {
        let mut outcome = self.say("BEGIN IMMEDIATE").await;
        if outcome.is_ok() {
            outcome = pending.run(&mut self.conn).await;
        }
        if outcome.is_ok() {
            outcome = self.say("COMMIT").await;
        }
        match outcome {
            Ok(()) => pending.committed(),
            Err(fault) => {
                self.roll_back().await;
                pending.failed(fault);
            }
        }
    }

    async fn say(&mut self, words: &'static str) -> Result<(), StoreFault> {
        sqlx::query(words).execute(&mut self.conn).await?;
        Ok(())
    }

    /// Rolls back; a connection that cannot even do that is replaced.
    async fn roll_back(&mut self) {
        if self.say("ROLLBACK").await.is_ok() {
            return;
        }
        match self.options.connect().await {
            Ok(conn) => self.conn = conn,
            Err(error) => tracing::error!(%error, "the database file could not be opened anew"),
        }
    }

    async fn leave(mut self, close: Option<oneshot::Sender<()>>) {
        self.urgents.close();
        self.usuals.close();
        while let Ok(mut pending) = self.urgents.try_recv() {
            pending.failed(StoreFault::Closed);
        }
        while let Ok(mut pending) = self.usuals.try_recv() {
            pending.failed(StoreFault::Closed);
        }
        if let Err(error) = self.conn.close().await {
            tracing::warn!(%error, "the database file was not closed well; nothing that was committed is lost");
        }
        if let Some(close) = close {
            // Whoever asked may be gone.
            let _ = close.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;
    use crate::store::Store;
    use crate::store::db::{Db, args};
    use crate::store::sql;

    enum Change {
        Good(&'static str),
        Broken,
        Defect,
    }

    impl Write for Change {
        type Out = ();

        async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
            match self {
                Change::Good(name) => conn.rows(&sql::NEXT_NUMBER, args![*name]).await.map(|_| ()),
                // A number that is none breaks a rule of the table.
                Change::Broken => conn.run(&sql::SET_NUMBER, args!["broken", None::<i64>]).await.map(|_| ()),
                Change::Defect => panic!("a defect"),
            }
        }
    }

    #[tokio::test]
    async fn of_changes_that_share_a_commit_those_that_fail_fail_alone_and_the_others_are_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}", folder.path().join("vigie.db").display())).await.unwrap();
        let Db::Sqlite { writer: Some(writer), .. } = store.db.clone() else { panic!("it is a file") };
        let changes = [Change::Good("a"), Change::Broken, Change::Good("b"), Change::Defect, Change::Good("a")];
        let mut writes: Vec<_> = changes.into_iter().map(|change| Box::pin(writer.write(change))).collect();
        // All of them are handed in before the first is begun.
        poll_fn(|cx| {
            writes.iter_mut().for_each(|write| assert!(write.as_mut().poll(cx).is_pending()));
            Poll::Ready(())
        })
        .await;
        let ended = futures_util::future::join_all(writes).await;
        let ended: Vec<bool> = ended.iter().map(Result::is_ok).collect();
        assert_eq!(ended, [true, false, true, false, true]);
        for (name, value) in [("a", Some(2)), ("b", Some(1)), ("broken", None)] {
            assert_eq!(store.number(name).await.unwrap(), value, "{name}");
        }
        store.set_number("after", 1).await.expect("the writer goes on");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_has_one_lock_by_whatever_name_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
        let _held = Store::open(&url("vigie.db")).await.unwrap();
        std::os::unix::fs::symlink(folder.path().join("vigie.db"), folder.path().join("current.db")).unwrap();
        let second = Store::open(&url("current.db")).await.expect_err("it is in use");
        assert!(matches!(second, StoreFault::InUse { .. }), "{second}");
    }

    /// How the connection that writes is set.
    struct Settings;

    impl Write for Settings {
        type Out = (String, i64, i64);

        async fn write(&self, conn: &mut Conn<'_>) -> Result<Self::Out, StoreFault> {
            let Conn::Sqlite(conn) = conn else { panic!("it is a file") };
            Ok((
                sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut **conn).await?,
                sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut **conn).await?,
                sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut **conn).await?,
            ))
        }
    }

    #[tokio::test]
    async fn what_is_committed_survives_a_power_cut() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}", folder.path().join("vigie.db").display())).await.unwrap();
        const FULL: i64 = 2;
        assert_eq!(store.db.write(Settings).await.unwrap(), ("wal".to_owned(), FULL, 1));
    }
}
