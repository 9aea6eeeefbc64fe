//! The databases that the bots keep what they hear in: a SQLite file on a real disk, or a database of their own on the
//! PostgreSQL server that `VIGIE_BENCH_POSTGRES` names.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::place;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Sqlite => "SQLite",
            Kind::Postgres => "PostgreSQL",
        }
    }
}

/// A database that nobody has used.
pub struct Database {
    pub url: String,
    folder: Option<TempDir>,
}

impl Database {
    pub async fn fresh(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let folder = place::folder();
                let url = format!("sqlite://{}", folder.path().join("bot.db").display());
                Self { url, folder: Some(folder) }
            }
            Kind::Postgres => Self { url: on_the_server().await, folder: None },
        }
    }

    /// How many of `/incident list` are in the inbox, whichever bot's it is.
    pub async fn commands_kept(&self) -> usize {
        const COUNT: &str = r#"SELECT count(*) FROM inbox WHERE input LIKE '%"list"%'"#;
        let kept: Result<i64, sqlx::Error> = match self.folder {
            Some(_) => {
                let mut conn = SqliteConnection::connect(&self.url).await.expect("the file can be opened");
                sqlx::query_scalar(COUNT).fetch_one(&mut conn).await
            }
            None => {
                let mut conn = PgConnection::connect(&self.url).await.expect("the server answers");
                sqlx::query_scalar(COUNT).fetch_one(&mut conn).await
            }
        };
        usize::try_from(kept.expect("it has an inbox")).expect("a count")
    }
}

async fn on_the_server() -> String {
    let server = std::env::var_os("VIGIE_BENCH_POSTGRES").and_then(|url| url.into_string().ok());
    let server = server.expect("VIGIE_BENCH_POSTGRES names no PostgreSQL server; benches/run starts one and sets it");
    let name = format!("bot_{}", uuid::Uuid::new_v4().simple());
    let mut conn = PgConnection::connect(&server).await.expect("the server answers");
    let create = format!("CREATE DATABASE {name}");
    sqlx::query(AssertSqlSafe(create)).execute(&mut conn).await.expect("a database can be made");
    conn.close().await.expect("the connection closes");
    let mut url = url::Url::parse(&server).expect("the server's address is one");
    url.set_path(&name);
    url.into()
}
