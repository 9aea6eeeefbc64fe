//! Everything that leaves the bot, and everything that it keeps, searched for what must be nowhere: what Slack, telephones and
//! mailboxes got, shared files, every row of the database, and the log.

use std::io::{self, Write};
use std::sync::Mutex;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::world::World;

/// What the bots of this test logged. A test has a process of its own.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Where the log goes: to this page, and to the output of a test that fails.
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().expect("nobody panicked").extend_from_slice(bytes);
        print!("{}", String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How often the log says this.
pub fn logged(what: &str) -> usize {
    String::from_utf8_lossy(&LOG.lock().expect("nobody panicked")).matches(what).count()
}

/// Demands that none of these stands anywhere.
pub async fn demand(world: &World, secrets: &[&str]) {
    let ws = world.ws();
    let mut all: Vec<String> = ws.calls().iter().map(|call| format!("{:?}", call.args)).collect();
    all.extend(world.setup.phones.deliveries().iter().map(|delivery| format!("{delivery:?}")));
    all.extend(ws.files().iter().map(|file| String::from_utf8_lossy(&file.bytes).into_owned()));
    let rows = rows(world).await;
    assert!(!rows.is_empty(), "the database holds something");
    all.extend(rows);
    let log = String::from_utf8_lossy(&LOG.lock().expect("nobody panicked")).into_owned();
    assert!(!log.is_empty(), "something is logged");
    all.extend(log.lines().map(str::to_owned));
    for secret in secrets {
        let shown = all.iter().find(|text| text.contains(secret));
        assert!(shown.is_none(), "a secret is shown in {shown:?}");
    }
}

/// Every row of every table, by way of a backup: that reads either database.
async fn rows(world: &World) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("copy.db");
    world.setup.vigie.store.backup(&file).await.expect("a copy can be made");
    let mut copy = SqliteConnectOptions::new().filename(&file).connect().await.expect("the copy can be opened");
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(&mut copy)
        .await
        .expect("the tables have names");
    let mut rows = Vec::new();
    for table in tables {
        rows.extend(rows_of(&mut copy, &table).await);
    }
    copy.close().await.expect("the copy can be closed");
    rows
}

async fn rows_of(copy: &mut SqliteConnection, table: &str) -> Vec<String> {
    let names = format!("SELECT name FROM pragma_table_info('{table}')");
    let names: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(names)).fetch_all(&mut *copy).await.expect("the columns have names");
    let texts: Vec<String> = names.iter().map(|name| format!("coalesce(CAST(\"{name}\" AS TEXT), '')")).collect();
    // As bytes: not all that is kept is text.
    let query = format!("SELECT CAST('{table}' || ' ' || {} AS BLOB) FROM \"{table}\"", texts.join(" || ' ' || "));
    let rows: Vec<Vec<u8>> =
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(copy).await.expect("the rows can be read");
    rows.iter().map(|row| String::from_utf8_lossy(row).into_owned()).collect()
}
