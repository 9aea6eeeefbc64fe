//! Two databases behind one face: statements go in, rows come out, and a change is one transaction.
//!
//! What differs between SQLite and PostgreSQL stands here, in `sqlite.rs`, in `postgres.rs` and in `sql.rs`; the rest of
//! the store does not know which of them it talks to.

use std::future::Future;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, Executor as _, Postgres, Row as _, SqlSafeStr as _, Sqlite, Type};

use super::StoreFault;
use super::connections::{Connections, Loan};
use super::postgres::{self, Pools};
use super::sql::{self, Statement};
use super::sqlite::Writer;

/// The database.
#[derive(Debug, Clone)]
pub(super) enum Db {
    /// One file, one process: one writer, readers beside it.
    Sqlite { writer: Option<Writer>, reader: Connections<Sqlite> },
    /// A server that several processes share.
    Postgres(Pools),
}

/// A change to the database: one transaction, all of it or nothing.
///
/// It may be run again when the database asks for that (a deadlock, a neighbour in the same commit that failed), so it
/// is given `&self` and may keep nothing between two runs.
pub(super) trait Write: Send + Sync + 'static {
    /// What it gives back once it is committed.
    type Out: Send + 'static;

    /// Does not wait behind changes that nobody waits for with a deadline.
    const URGENT: bool = false;

    /// One statement, which the database makes a transaction of by itself: that spares `BEGIN` and `COMMIT`.
    fn is_single(&self) -> bool {
        false
    }

    /// The change.
    fn write(&self, conn: &mut Conn<'_>) -> impl Future<Output = Result<Self::Out, StoreFault>> + Send;
}

impl Db {
    /// Makes a change and returns when it is committed.
    pub async fn write<W: Write>(&self, change: W) -> Result<W::Out, StoreFault> {
        #[cfg(test)]
        super::weather::before_commit().await?;
        let committed = self.commit(change).await;
        #[cfg(test)]
        super::weather::after_commit().await;
        committed
    }

    async fn commit<W: Write>(&self, change: W) -> Result<W::Out, StoreFault> {
        match self {
            Db::Sqlite { writer: Some(writer), .. } => writer.write(change).await,
            Db::Sqlite { writer: None, .. } => Err(StoreFault::ReadOnly),
            Db::Postgres(pools) => postgres::write(pools.of::<W>(), change).await,
        }
    }

    /// Reads what is committed.
    pub async fn read(&self, statement: &Statement, args: Args) -> Result<Vec<Row>, StoreFault> {
        match self {
            Db::Sqlite { reader, .. } => {
                let mut conn = reader.lend().await?;
                let rows = Conn::Sqlite(conn.conn()?).rows(statement, args).await;
                conn.back(rows)
            }
            Db::Postgres(pools) => {
                let mut conn = pools.urgent.lend().await?;
                let rows = Conn::Postgres(conn.conn()?).rows(statement, args).await;
                conn.back(rows)
            }
        }
    }

    /// Reads the first row, if there is one.
    pub async fn read_first(&self, statement: &Statement, args: Args) -> Result<Option<Row>, StoreFault> {
        Ok(self.read(statement, args).await?.into_iter().next())
    }

    /// A connection to read through, several statements in a row.
    pub async fn reading(&self) -> Result<Reading, StoreFault> {
        Ok(match self {
            Db::Sqlite { reader, .. } => Reading::Sqlite(reader.lend().await?),
            Db::Postgres(pools) => Reading::Postgres(pools.urgent.lend().await?),
        })
    }

    /// Prepares every statement there is, without running it.
    pub async fn prepare_all(&self) -> Result<(), StoreFault> {
        for statement in sql::ALL {
            let not_understood = |error| StoreFault::of_statement(statement.name, error);
            match self {
                Db::Sqlite { reader, .. } => {
                    let mut conn = reader.lend().await?;
                    let prepared = conn.conn()?.prepare(statement.sqlite.into_sql_str()).await.map(|_| ());
                    conn.back(prepared.map_err(not_understood))?;
                }
                Db::Postgres(pools) => {
                    let mut conn = pools.urgent.lend().await?;
                    let prepared = conn.conn()?.prepare(statement.postgres.into_sql_str()).await.map(|_| ());
                    conn.back(prepared.map_err(not_understood))?;
                }
            }
        }
        Ok(())
    }

    /// Closes the connections; every later call fails. A change that was not committed is rolled back.
    pub async fn close(&self) {
        match self {
            Db::Sqlite { writer, reader } => {
                if let Some(writer) = writer {
                    writer.close().await;
                }
                reader.close().await;
            }
            Db::Postgres(pools) => pools.close().await,
        }
    }
}

/// A connection on loan.
pub(super) enum Reading {
    Sqlite(Loan<Sqlite>),
    Postgres(Loan<Postgres>),
}

impl Reading {
    pub fn conn(&mut self) -> Result<Conn<'_>, StoreFault> {
        Ok(match self {
            Reading::Sqlite(conn) => Conn::Sqlite(conn.conn()?),
            Reading::Postgres(conn) => Conn::Postgres(conn.conn()?),
        })
    }

    /// Gives the connection back.
    pub fn end<T>(self, outcome: Result<T, StoreFault>) -> Result<T, StoreFault> {
        match self {
            Reading::Sqlite(conn) => conn.back(outcome),
            Reading::Postgres(conn) => conn.back(outcome),
        }
    }
}

/// A connection, inside a transaction or not.
pub(super) enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Conn<'_> {
    /// Runs a statement; the number of rows it changed.
    pub async fn run(&mut self, statement: &Statement, args: Args) -> Result<u64, StoreFault> {
        Ok(match self {
            Conn::Sqlite(conn) => {
                let query = sqlx::query_with(statement.sqlite, args.bound::<SqliteArguments>()?);
                query.execute(&mut **conn).await?.rows_affected()
            }
            Conn::Postgres(conn) => {
                let query = sqlx::query_with(statement.postgres, args.bound::<PgArguments>()?);
                postgres::answered(query.execute(&mut **conn)).await?.rows_affected()
            }
        })
    }

    /// Runs a statement that is put together from names in the program, never from what came in.
    pub async fn run_text(&mut self, text: String, args: Args) -> Result<u64, StoreFault> {
        let text = AssertSqlSafe(text);
        Ok(match self {
            Conn::Sqlite(conn) => {
                sqlx::query_with(text, args.bound::<SqliteArguments>()?).execute(&mut **conn).await?.rows_affected()
            }
            Conn::Postgres(conn) => {
                let query = sqlx::query_with(text, args.bound::<PgArguments>()?);
                postgres::answered(query.execute(&mut **conn)).await?.rows_affected()
            }
        })
    }

    /// Runs a statement of few words: `BEGIN`, `COMMIT`.
    pub async fn say(&mut self, words: &'static str) -> Result<(), StoreFault> {
        match self {
            Conn::Sqlite(conn) => sqlx::query(words).execute(&mut **conn).await.map(|_| ())?,
            Conn::Postgres(conn) => postgres::answered(sqlx::query(words).execute(&mut **conn)).await.map(|_| ())?,
        }
        Ok(())
    }

    /// Runs a statement and gives its rows.
    pub async fn rows(&mut self, statement: &Statement, args: Args) -> Result<Vec<Row>, StoreFault> {
        Ok(match self {
            Conn::Sqlite(conn) => {
                let query = sqlx::query_with(statement.sqlite, args.bound::<SqliteArguments>()?);
                query.fetch_all(&mut **conn).await?.into_iter().map(Row::Sqlite).collect()
            }
            Conn::Postgres(conn) => {
                let query = sqlx::query_with(statement.postgres, args.bound::<PgArguments>()?);
                postgres::answered(query.fetch_all(&mut **conn)).await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Runs a statement and gives its first row.
    pub async fn first(&mut self, statement: &Statement, args: Args) -> Result<Option<Row>, StoreFault> {
        Ok(self.rows(statement, args).await?.into_iter().next())
    }
}

/// The values of a statement's `$1`, `$2` …: whole numbers and texts, either of which may be absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Args(Vec<Arg>);

/// One value.
#[derive(Debug, Clone)]
pub(super) enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
}

impl Args {
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    pub const fn of(args: Vec<Arg>) -> Self {
        Self(args)
    }

    /// As a database's own driver takes them.
    fn bound<A: Arguments>(self) -> Result<A, StoreFault>
    where
        for<'t> Option<i64>: Encode<'t, A::Database> + Type<A::Database>,
        for<'t> Option<String>: Encode<'t, A::Database> + Type<A::Database>,
    {
        let mut bound = A::default();
        for arg in self.0 {
            match arg {
                Arg::Int(value) => bound.add(value),
                Arg::Text(value) => bound.add(value),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(bound)
    }
}

impl<const N: usize> From<[Arg; N]> for Args {
    fn from(args: [Arg; N]) -> Self {
        Self(args.into())
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Arg::Int(Some(value))
    }
}

impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Arg::Int(value)
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Arg::Text(Some(value.to_owned()))
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Arg::Text(Some(value))
    }
}

impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Arg::Text(value)
    }
}

/// `args![1, "two", None::<i64>]`: the values of a statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => { $crate::store::db::Args::from([$($crate::store::db::Arg::from($value)),*]) };
}
pub(super) use args;

/// One row of an answer.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A whole number that is always there.
    pub fn int(&self, column: &str) -> Result<i64, StoreFault> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A whole number that may be absent.
    pub fn maybe_int(&self, column: &str) -> Result<Option<i64>, StoreFault> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A text that is always there.
    pub fn text(&self, column: &str) -> Result<String, StoreFault> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A text that may be absent.
    pub fn maybe_text(&self, column: &str) -> Result<Option<String>, StoreFault> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        })
    }
}
