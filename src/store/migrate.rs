//! Bringing the schema up to date. Migrations only add, so that two releases can run side by side; an index may be replaced.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqlSafeStr as _};

use super::StoreFault;
use super::sqlite::unusable;

/// Version, name, and the text for each database. Embedded one by one, so that a new file is seen by the compiler.
const MIGRATIONS: [(i64, &str, &str, &str); 7] = [
    (
        1,
        "start",
        include_str!("../../migrations/sqlite/0001_start.sql"),
        include_str!("../../migrations/postgres/0001_start.sql"),
    ),
    (
        2,
        "progress",
        include_str!("../../migrations/sqlite/0002_progress.sql"),
        include_str!("../../migrations/postgres/0002_progress.sql"),
    ),
    (
        3,
        "kept_file",
        include_str!("../../migrations/sqlite/0003_kept_file.sql"),
        include_str!("../../migrations/postgres/0003_kept_file.sql"),
    ),
    (
        4,
        "answer",
        include_str!("../../migrations/sqlite/0004_answer.sql"),
        include_str!("../../migrations/postgres/0004_answer.sql"),
    ),
    (
        5,
        "lets_pass",
        include_str!("../../migrations/sqlite/0005_lets_pass.sql"),
        include_str!("../../migrations/postgres/0005_lets_pass.sql"),
    ),
    (
        6,
        "put_aside",
        include_str!("../../migrations/sqlite/0006_put_aside.sql"),
        include_str!("../../migrations/postgres/0006_put_aside.sql"),
    ),
    (
        7,
        "narrow",
        include_str!("../../migrations/sqlite/0007_narrow.sql"),
        include_str!("../../migrations/postgres/0007_narrow.sql"),
    ),
];

/// Processes that start at once may all try. At each migration one of them is first; the others fail, find it done, and go on
/// with the next.
const ATTEMPTS: usize = 2 * MIGRATIONS.len();

pub(super) async fn sqlite(options: &SqliteConnectOptions) -> Result<(), StoreFault> {
    let mut conn = options.connect().await.map_err(|why| unusable(options, &why))?;
    migrator(MIGRATIONS.map(|(version, name, sqlite, _)| (version, name, sqlite))).run(&mut conn).await?;
    conn.close().await?;
    Ok(())
}

pub(super) async fn postgres(pool: &PgPool) -> Result<(), StoreFault> {
    let mut migrator = migrator(MIGRATIONS.map(|(version, name, _, postgres)| (version, name, postgres)));
    // CockroachDB has no advisory locks.
    migrator.set_locking(false);
    let mut attempt = 1;
    loop {
        match migrator.run(pool).await {
            Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) if attempt < ATTEMPTS => attempt += 1,
            other => return Ok(other?),
        }
    }
}

fn migrator<const N: usize>(all: [(i64, &'static str, &'static str); N]) -> Migrator {
    let all = all.into_iter().map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, AssertSqlSafe(sql).into_sql_str(), false)
    });
    // An older release beside a newer one does not know the newest migrations.
    Migrator { migrations: all.collect::<Vec<_>>().into(), ignore_missing: true, ..Migrator::DEFAULT }
}
