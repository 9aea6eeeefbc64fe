//! PostgreSQL: a server that several processes share without a leader (rules 9 and 11).
//!
//! Nothing is used that CockroachDB or YugabyteDB lack: no advisory locks, no NOTIFY. What is due is found by asking.

use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{Connection as _, Postgres, Row as _};

use super::StoreFault;
use super::connections::{Connections, within};
use super::db::{Conn, Write};

/// Connections of one process for its usual changes: four deciders, all of which may wait for one row, and lanes beside them.
/// More of them take the server's processors from each other, and from whoever waits for an acknowledgement.
const USUAL: u32 = 6;
/// And for what waits for no row: what Slack waits for, and whoever only looks, as the doors do before they answer.
const URGENT: u32 = 8;
/// So many of each are opened at the start: to open one while somebody waits takes long.
const READY: u32 = 4;
/// Longer than the server lets a statement take: whoever has not answered by then is gone, and its host with it. The kernel would
/// wait for a quarter of an hour.
const GONE_AFTER: Duration = Duration::from_secs(12);
/// A transaction that another one got in the way of is repeated so often; where a row was in the way, which it sees when it
/// is repeated; and where it stood still itself.
const ATTEMPTS: u32 = 20;
const ATTEMPTS_WITH_A_ROW: u32 = 5;
const ATTEMPTS_AFTER_STANDING_STILL: u32 = 5;

/// The connections of one process, apart so that changes which wait for a row hold up no acknowledgement. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pools {
    pub usual: Connections<Postgres>,
    pub urgent: Connections<Postgres>,
}

impl Pools {
    /// Those that a change is made through.
    pub fn of<W: Write>(&self) -> &Connections<Postgres> {
        if W::URGENT { &self.urgent } else { &self.usual }
    }

    /// Closes them all.
    pub async fn close(&self) {
        tokio::join!(self.usual.close(), self.urgent.close());
    }
}

/// Connects. A process that freezes inside a transaction loses it after three seconds, so that it holds nobody up.
pub(super) async fn open(url: &str) -> Result<Pools, StoreFault> {
    let address = |error: sqlx::Error| StoreFault::Address { url: scheme(url), why: error.to_string() };
    let options = PgConnectOptions::from_str(url).map_err(address)?.application_name("vigie").options([
        ("idle_in_transaction_session_timeout", "3s"),
        ("statement_timeout", "10s"),
        ("lock_timeout", "3s"),
        // Each statement that runs by itself has its index; where one has none, the server compiles it, for tens of
        // milliseconds. The server counts a table seldom, and takes the outbox for empty when it was so then:
        // the thousands that a storm brings would be read from end to end, once for each of them. CockroachDB takes the
        // setting for compatibility and has no use for it.
        ("enable_seqscan", "off"),
    ]);
    // One try by itself first: a pool would go on trying for as long as it may wait, and say only that it waited.
    PgConnection::connect_with(&options).await?.close().await?;
    let pools = Pools { usual: pool(&options, USUAL), urgent: pool(&options, URGENT) };
    for one in [&pools.usual, &pools.urgent] {
        tokio::spawn(get_ready(one.clone()));
    }
    Ok(pools)
}

/// Opens those that will be needed soon. The pool's own least number of connections is not used: where the server is away it
/// goes on trying for minutes, keeps the places of those it has not got from whoever needs them, and does not let the pool close.
async fn get_ready(connections: Connections<Postgres>) {
    let loans = join_all((0..READY).map(|_| connections.lend())).await;
    for loan in loans.into_iter().flatten() {
        // Nothing was asked of it.
        let _ = loan.back(Ok(()));
    }
}

fn pool(options: &PgConnectOptions, most: u32) -> Connections<Postgres> {
    Connections::of(PgPoolOptions::new().max_connections(most).connect_lazy_with(options.clone()))
}

/// What waits is done in the order of its numbers, so they are given out one by one. Asked of a connection without our
/// settings, by which the server would take a look at its own catalogue for a long one, and compile it.
pub(super) async fn keeps_order(url: &str) -> Result<(), StoreFault> {
    const CACHED: &str = "SELECT CAST(sequencename AS TEXT) AS sequence, cache_size AS size FROM pg_sequences \
        WHERE schemaname = current_schema() AND cache_size > 1 ORDER BY sequencename LIMIT 1";
    let mut conn = answered(PgConnection::connect(url)).await?;
    let row = answered(sqlx::query(CACHED).fetch_optional(&mut conn)).await?;
    conn.close().await?;
    let Some(row) = row else { return Ok(()) };
    Err(StoreFault::Order { sequence: row.try_get("sequence")?, size: row.try_get("size")? })
}

/// The address without what may be secret in it.
fn scheme(url: &str) -> String {
    format!("{}:…", url.split(':').next().unwrap_or_default())
}

/// One transaction, carried through even when whoever asked for it goes away: else its connection would be closed in the middle,
/// and another one opened, each time that somebody does not wait.
pub(super) async fn write<W: Write>(pool: &Connections<Postgres>, change: W) -> Result<W::Out, StoreFault> {
    let pool = pool.clone();
    let carried = tokio::spawn(async move { repeated(&pool, &change).await }).await;
    carried.unwrap_or_else(|end| {
        Err(if end.is_panic() { StoreFault::Defect { what: "change to the database" } } else { StoreFault::Closed })
    })
}

/// One transaction, repeated while the database says that another one was in its way, or that this one took too long.
async fn repeated<W: Write>(pool: &Connections<Postgres>, change: &W) -> Result<W::Out, StoreFault> {
    let mut attempt = 1;
    loop {
        match once(pool, change).await {
            Err(fault) if attempt < attempts(&fault) => {
                tracing::debug!(%fault, attempt, "a transaction was not let through; it is repeated");
                attempt += 1;
            }
            other => return other,
        }
    }
}

async fn once<W: Write>(pool: &Connections<Postgres>, change: &W) -> Result<W::Out, StoreFault> {
    let mut conn = pool.lend().await?;
    let outcome = transaction(conn.conn()?, change).await;
    conn.back(outcome)
}

async fn transaction<W: Write>(conn: &mut PgConnection, change: &W) -> Result<W::Out, StoreFault> {
    if change.is_single() {
        return change.write(&mut Conn::Postgres(conn)).await;
    }
    let mut tx = answered(conn.begin()).await?;
    match change.write(&mut Conn::Postgres(&mut tx)).await {
        Ok(out) => {
            answered(tx.commit()).await?;
            Ok(out)
        }
        // Nothing more can be asked there.
        Err(fault) if !fault.leaves_connection_whole() => Err(fault),
        Err(fault) => {
            // Waited for: what is left locked would be skipped when this is repeated.
            if let Err(error) = answered(tx.rollback()).await {
                tracing::debug!(%error, "a transaction that failed could not be rolled back; it ends with its connection");
                let error = StoreFault::from(error);
                if !error.leaves_connection_whole() {
                    return Err(error);
                }
            }
            Err(fault)
        }
    }
}

/// What the server answers, unless it is gone.
pub(super) async fn answered<T>(asking: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    within(GONE_AFTER, asking).await
}

/// How often in all a change is tried that ended so. Serialization failure, deadlock, lock not available (rule 9); a row that
/// somebody else put there after this transaction had looked; and a process that stood still in the middle, of which the server
/// keeps nothing.
fn attempts(fault: &StoreFault) -> u32 {
    let StoreFault::Database(sqlx::Error::Database(error)) = fault else { return 1 };
    match error.code().as_deref() {
        Some("40001" | "40P01" | "55P03") => ATTEMPTS,
        Some("23505") => ATTEMPTS_WITH_A_ROW,
        Some("25P03") => ATTEMPTS_AFTER_STANDING_STILL,
        _ => 1,
    }
}
