//! Speaking with a database's server: one connection a look, in a transaction that can only read and ends by itself; and
//! the few changes that are made from here.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgRow, PgSslMode};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::databases::{DatabaseConfig, Tls, literal, quoted_table};
use super::draft_name;
use super::objects::{self, Objects};
use crate::actions::stopwatch::{Stopwatch, within};
use crate::incident::words::Words;
use crate::reason;

/// What the server knows our own looks by.
const LOOKING: &str = "vigie looking";

/// Why the server did not do what it was asked.
#[derive(Debug)]
pub(in crate::actions) enum Trouble {
    /// It did not end in time.
    Slow(Duration),
    /// It cannot be spoken with: it is not there, or the connection broke.
    Unreachable(Words),
    /// It said no.
    Refused(Words),
    /// It has no such table.
    Absent(Words),
}

impl Trouble {
    pub(in crate::actions) fn words(&self) -> Words {
        match self {
            Trouble::Slow(within) => {
                Words::new("look.no_answer").with("within_ms", crate::actions::check::millis(*within).0)
            }
            Trouble::Unreachable(why) | Trouble::Refused(why) | Trouble::Absent(why) => why.clone(),
        }
    }
}

/// A connection in a transaction that only reads, with a deadline for all of it.
pub(super) struct Reading<'a> {
    config: &'a DatabaseConfig,
    conn: PgConnection,
    watch: Stopwatch,
    within: Duration,
}

impl<'a> Reading<'a> {
    pub(super) async fn open(config: &'a DatabaseConfig, within: Duration) -> Result<Self, Trouble> {
        Self::of(config, &config.name, within).await
    }

    /// The same for another database of the server.
    pub(super) async fn of(config: &'a DatabaseConfig, database: &str, within: Duration) -> Result<Self, Trouble> {
        Self::begin(config, database, "BEGIN TRANSACTION READ ONLY", within).await
    }

    async fn begin(config: &'a DatabaseConfig, database: &str, begin: &str, within: Duration) -> Result<Self, Trouble> {
        let watch = Stopwatch::start();
        let conn = connected(config, database, within).await?;
        let mut reading = Self { config, conn, watch, within };
        reading.run(begin.to_owned()).await?;
        let most = reading.left().as_millis().max(1);
        reading.run(format!("SET LOCAL statement_timeout = {most}")).await?;
        reading.run(format!("SET LOCAL lock_timeout = {most}")).await?;
        Ok(reading)
    }

    fn left(&self) -> Duration {
        self.watch.left_of(self.within)
    }

    async fn run(&mut self, statement: String) -> Result<(), Trouble> {
        self.rows(statement, &[]).await.map(|_| ())
    }

    /// The rows of one statement; the server takes no second one behind it.
    pub(super) async fn rows(&mut self, statement: String, bound: &[&str]) -> Result<Vec<PgRow>, Trouble> {
        let left = self.left();
        let query = bound.iter().fold(sqlx::query(AssertSqlSafe(statement)), |query, value| query.bind(*value));
        // Not kept in the server's memory for a second time that does not come; poolers know no such memory.
        let answer = within(left, query.persistent(false).fetch_all(&mut self.conn)).await;
        answer.map_err(|_| Trouble::Slow(self.within))?.map_err(|error| trouble(error, self.config, self.within))
    }

    /// The transaction ends without having changed anything.
    pub(super) async fn close(mut self) {
        let left = self.left();
        let ending = async {
            sqlx::query("ROLLBACK").execute(&mut self.conn).await?;
            self.conn.close().await
        };
        if !matches!(within(left, ending).await, Ok(Ok(()))) {
            tracing::debug!("a connection to a database did not end in good order");
        }
    }
}

async fn connected(config: &DatabaseConfig, database: &str, most: Duration) -> Result<PgConnection, Trouble> {
    let options = options(config, database);
    let answer = within(most, PgConnection::connect_with(&options)).await.map_err(|_| Trouble::Slow(most))?;
    answer.map_err(|error| trouble(error, config, most))
}

fn options(config: &DatabaseConfig, database: &str) -> PgConnectOptions {
    // Every field is set: what is left out would come from variables that are meant for other programs.
    let mut options = PgConnectOptions::new_without_pgpass()
        .port(config.port)
        .username(&config.user)
        .password(config.password.as_ref().map_or("", |password| password.expose_secret()))
        .database(database)
        .ssl_mode(match config.tls {
            Tls::Disable => PgSslMode::Disable,
            Tls::Prefer => PgSslMode::Prefer,
            Tls::Require => PgSslMode::Require,
            Tls::VerifyFull => PgSslMode::VerifyFull,
        })
        .application_name(LOOKING)
        .statement_cache_capacity(0);
    if let Some(file) = &config.root_certificate {
        options = options.ssl_root_cert(file);
    }
    match (&config.socket, &config.host) {
        (Some(folder), _) => options.socket(folder),
        (None, host) => options.host(host.as_deref().unwrap_or("localhost")),
    }
}

fn trouble(error: sqlx::Error, config: &DatabaseConfig, within: Duration) -> Trouble {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast::<PgDatabaseError>() {
            Ok(error) => said(&error, config, within),
            Err(error) => Trouble::Refused(quoted(error.message())),
        },
        sqlx::Error::Io(error) if error.to_string().contains("lookup address") => {
            Trouble::Unreachable(Words::new("reason.no_such_host"))
        }
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Trouble::Unreachable(Words::new("reason.broken_off"))
        }
        sqlx::Error::Io(error) => Trouble::Unreachable(reason::of_request(&error)),
        sqlx::Error::Tls(error) => Trouble::Unreachable(reason::of_request(error.as_ref())),
        other => Trouble::Unreachable(Words::verbatim(other.to_string())),
    }
}

/// What the server's code means; what has no words of ours keeps the server's.
fn said(error: &PgDatabaseError, config: &DatabaseConfig, within: Duration) -> Trouble {
    let names = |key| Words::new(key).with("user", config.user.as_str()).with("database", config.name.as_str());
    match error.code() {
        // Statement and lock timeouts.
        "57014" | "55P03" => Trouble::Slow(within),
        "57P01" | "57P02" | "57P03" | "53300" => Trouble::Unreachable(quoted(error.message())),
        "28P01" => Trouble::Refused(names("postgres.wrong_password")),
        "28000" => Trouble::Refused(names("postgres.not_let_in").with("said", error.message())),
        "3D000" => Trouble::Refused(names("postgres.no_database")),
        "42P01" | "3F000" => Trouble::Absent(quoted(error.message())),
        "25006" => Trouble::Refused(Words::new("postgres.would_change")),
        _ => Trouble::Refused(quoted(error.message())),
    }
}

fn quoted(said: &str) -> Words {
    Words::new("postgres.said").with("said", said)
}

/// The first row of a query, column by column as JSON; nothing when it finds nothing. It cannot change anything.
pub(in crate::actions) async fn first_row(
    config: &DatabaseConfig,
    query: &str,
    within: Duration,
) -> Result<Option<Vec<(String, String)>>, Trouble> {
    // On a line of its own, so that a comment at its end hides nothing of ours.
    let statement = format!(
        "SELECT c.name, coalesce(c.value::text, 'null') FROM \
         (SELECT to_json(t) AS found FROM (\n{query}\n) AS t LIMIT 1) AS r, \
         json_each(r.found) WITH ORDINALITY AS c(name, value, place) ORDER BY c.place"
    );
    let mut reading = Reading::open(config, within).await?;
    let rows = reading.rows(statement, &[]).await?;
    reading.close().await;
    let column = |row: &PgRow| Some((row.try_get(0).ok()?, row.try_get(1).ok()?));
    let row: Option<Vec<(String, String)>> = rows.iter().map(column).collect();
    Ok(row.filter(|row| !row.is_empty()))
}

/// The rows of a table; nothing where there is no such table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Count {
    pub table: String,
    pub rows: Option<i64>,
    /// They were not counted in time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_late: bool,
}

/// How a database stands.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The server's time.
    pub now_ms: i64,
    pub version: String,
    pub version_number: i32,
    pub bytes: u64,
    /// What no other database of the server ever was.
    pub oid: i64,
    pub comment: Option<String>,
    pub is_owner: bool,
    pub may_create: bool,
    pub counts: Vec<Count>,
    pub last_migration: Option<String>,
    pub others: Vec<Other>,
}

/// Somebody else who is connected, by program, with how many connections.
#[derive(Debug, Clone)]
pub(super) struct Other {
    pub words: Words,
    /// The configured role may end these connections.
    pub may_be_ended: bool,
}

const FACTS: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, current_setting('server_version'), \
    current_setting('server_version_num')::integer, pg_database_size(oid), oid::bigint, \
    shobj_description(oid, 'pg_database'), pg_has_role(datdba, 'USAGE'), \
    (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user) \
    FROM pg_database WHERE datname = current_database()";

/// Everybody but this look and those of a run.
const OTHERS: &str = "FROM (SELECT pid, coalesce(nullif(application_name, ''), usename::text, '?') AS who, \
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR NOT coalesce(rolsuper, true) \
    AND (pg_has_role(usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE')) AS may_be_ended \
    FROM pg_stat_activity LEFT JOIN pg_roles ON pg_roles.oid = usesysid \
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL \
    AND coalesce(application_name, '') NOT IN ($1, $2)) AS others";

/// The transaction goes on as before what went wrong.
const UNDO: &str = "ROLLBACK TO SAVEPOINT looking";

impl Facts {
    /// Looks at the configured database and counts nothing. `mark` is what the run's own programs are known by.
    pub(super) async fn of(config: &DatabaseConfig, mark: &str, within: Duration) -> Result<Self, Trouble> {
        let mut reading = Reading::open(config, within).await?;
        let facts = reading.facts(mark).await?;
        reading.close().await;
        Ok(facts)
    }

    /// The same for a plan, with what can be counted in half of the time: a plan can be made while the server is slow.
    pub(super) async fn planned(config: &DatabaseConfig, within: Duration) -> Result<Self, Trouble> {
        Self::counted(Reading::open(config, within).await?, "", Some(within / 2)).await
    }

    /// The same for any database of the server, with everything that is to be counted.
    pub(super) async fn of_database(
        config: &DatabaseConfig,
        database: &str,
        mark: &str,
        within: Duration,
    ) -> Result<Self, Trouble> {
        Self::counted(Reading::of(config, database, within).await?, mark, None).await
    }

    async fn counted(mut reading: Reading<'_>, mark: &str, most: Option<Duration>) -> Result<Self, Trouble> {
        let mut facts = reading.facts(mark).await?;
        facts.last_migration = reading.last_migration().await?;
        let config = reading.config;
        facts.counts = reading.counts(&config.counts, most).await?;
        reading.close().await;
        Ok(facts)
    }
}

fn read_facts(row: &PgRow) -> Result<Facts, sqlx::Error> {
    Ok(Facts {
        now_ms: row.try_get(0)?,
        version: row.try_get::<String, _>(1)?.split_whitespace().next().unwrap_or_default().to_owned(),
        version_number: row.try_get(2)?,
        bytes: u64::try_from(row.try_get::<i64, _>(3)?).unwrap_or(0),
        oid: row.try_get(4)?,
        comment: row.try_get(5)?,
        is_owner: row.try_get(6)?,
        may_create: row.try_get::<Option<bool>, _>(7)?.unwrap_or(false),
        counts: Vec::new(),
        last_migration: None,
        others: Vec::new(),
    })
}

impl Reading<'_> {
    async fn facts(&mut self, mark: &str) -> Result<Facts, Trouble> {
        let rows = self.rows(FACTS.to_owned(), &[]).await?;
        let row = rows.first().ok_or_else(|| Trouble::Refused(Words::new("look.no_row")))?;
        let mut facts = read_facts(row).map_err(|error| trouble(error, self.config, self.within))?;
        facts.others = self.others(mark).await?;
        Ok(facts)
    }

    /// The rows of tables. That one is gone may be why somebody looks. Those that are not counted in `most`, which is for
    /// all of them, are late; without it all of them are counted.
    async fn counts(&mut self, tables: &[String], most: Option<Duration>) -> Result<Vec<Count>, Trouble> {
        let watch = Stopwatch::start();
        let mut counts = Vec::new();
        for table in tables {
            if let Some(most) = most {
                // Never nothing, which would be no limit.
                let left = watch.left_of(most).as_millis().max(1);
                self.run(format!("SET LOCAL statement_timeout = {left}")).await?;
            }
            let rows = self.unless_absent(format!("SELECT count(*) FROM {}", quoted_table(table))).await;
            let is_late = most.is_some() && matches!(rows, Err(Trouble::Slow(_)));
            let rows = if is_late { self.run(UNDO.to_owned()).await.map(|()| None) } else { rows };
            let rows = rows?.and_then(|rows| rows.first()?.try_get(0).ok());
            counts.push(Count { table: table.clone(), rows, is_late });
        }
        Ok(counts)
    }

    async fn last_migration(&mut self) -> Result<Option<String>, Trouble> {
        let Some(query) = &self.config.last_migration else { return Ok(None) };
        let rows = self.unless_absent(format!("SELECT to_json(t)::text FROM (\n{query}\n) AS t LIMIT 1")).await?;
        let row: Option<String> = rows.and_then(|rows| rows.first()?.try_get(0).ok());
        let row = row.and_then(|row| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&row).ok());
        let value = row.and_then(|row| row.into_iter().next()).map(|(_, value)| value);
        Ok(value.filter(|value| !value.is_null()).map(|value| crate::actions::json::shown(&value)))
    }

    /// The rows of one statement; nothing where it speaks of a table that is not there.
    async fn unless_absent(&mut self, statement: String) -> Result<Option<Vec<PgRow>>, Trouble> {
        self.run("SAVEPOINT looking".to_owned()).await?;
        match self.rows(statement, &[]).await {
            Ok(rows) => Ok(Some(rows)),
            Err(Trouble::Absent(_)) => self.run(UNDO.to_owned()).await.map(|()| None),
            Err(trouble) => Err(trouble),
        }
    }

    async fn others(&mut self, mark: &str) -> Result<Vec<Other>, Trouble> {
        let query = format!("SELECT who, count(*), may_be_ended {OTHERS} GROUP BY 1, 3 ORDER BY 2 DESC, 1");
        let rows = self.rows(query, &[LOOKING, mark]).await?;
        let other = |row: &PgRow| {
            let (who, count) = (row.try_get::<String, _>(0).ok()?, row.try_get::<i64, _>(1).ok()?);
            let words = Words::new("postgres.other").with("who", who).with("count", count);
            Some(Other { words, may_be_ended: row.try_get(2).ok()? })
        };
        Ok(rows.iter().filter_map(other).collect())
    }
}

/// A state of a database that programs can be given, for as long as this is held.
pub(super) struct Snapshot<'a> {
    _holding: Reading<'a>,
    pub name: String,
    pub at_ms: i64,
    pub counts: Vec<Count>,
    pub last_migration: Option<String>,
    pub objects: Objects,
}

impl<'a> Snapshot<'a> {
    pub(super) async fn take(config: &'a DatabaseConfig, within: Duration) -> Result<Self, Trouble> {
        const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        let mut reading = Reading::begin(config, &config.name, BEGIN, within).await?;
        // The servers of some hosts end transactions that do nothing for a while; this one waits for a program.
        reading.run("SET LOCAL idle_in_transaction_session_timeout = 0".to_owned()).await?;
        let taken = "SELECT pg_export_snapshot(), (extract(epoch FROM now()) * 1000)::bigint".to_owned();
        let rows = reading.rows(taken, &[]).await?;
        let row = rows.first().and_then(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?)));
        let (name, at_ms) = row.ok_or_else(|| Trouble::Refused(Words::new("look.no_row")))?;
        let counts = reading.counts(&config.counts, None).await?;
        let last_migration = reading.last_migration().await?;
        let objects = objects::objects(&mut reading, config).await?;
        Ok(Self { _holding: reading, name, at_ms, counts, last_migration, objects })
    }
}

/// The rows of some tables, all in one state, for a plan: what can be counted in half of the time.
pub(super) async fn counted(
    config: &DatabaseConfig,
    tables: &[String],
    within: Duration,
) -> Result<Vec<Count>, Trouble> {
    let mut reading = Reading::open(config, within).await?;
    let counts = reading.counts(tables, Some(within / 2)).await?;
    reading.close().await;
    Ok(counts)
}

/// Whether the configured database holds large objects.
pub(super) async fn has_large_objects(config: &DatabaseConfig, within: Duration) -> Result<bool, Trouble> {
    let mut reading = Reading::open(config, within).await?;
    let rows = reading.rows("SELECT 1 FROM pg_largeobject_metadata LIMIT 1".to_owned(), &[]).await?;
    reading.close().await;
    Ok(!rows.is_empty())
}

/// Who else is connected to the configured database.
pub(super) async fn others(config: &DatabaseConfig, mark: &str, within: Duration) -> Result<Vec<Other>, Trouble> {
    let mut reading = Reading::open(config, within).await?;
    let others = reading.others(mark).await?;
    reading.close().await;
    Ok(others)
}

/// A step's own connections. Another Vigie on the same server may have a step of the same name.
const OWN: &str = "FROM pg_stat_activity WHERE application_name = $1 AND usename = current_user \
    AND datname IN (current_database(), $2)";

/// How many connections a run's own programs have.
pub(super) async fn running(config: &DatabaseConfig, mark: &str, within: Duration) -> Result<i64, Trouble> {
    let mut reading = Reading::open(config, within).await?;
    let rows = reading.rows(format!("SELECT count(*) {OWN}"), &[mark, &draft_name(config, mark)]).await?;
    reading.close().await;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or_default())
}

/// Ends a run's own connections.
pub(super) async fn end_own(config: &DatabaseConfig, mark: &str, within: Duration) -> Result<(), Trouble> {
    let mut reading = Reading::open(config, within).await?;
    reading.rows(format!("SELECT pg_terminate_backend(pid) {OWN}"), &[mark, &draft_name(config, mark)]).await?;
    reading.close().await;
    Ok(())
}

/// Ends everybody else's connections to the configured database that may be ended. Our own looks end by themselves.
pub(super) async fn end_others(config: &DatabaseConfig, mark: &str, within: Duration) -> Result<(), Trouble> {
    let mut reading = Reading::open(config, within).await?;
    let end = format!("SELECT pg_terminate_backend(pid) {OTHERS} WHERE may_be_ended");
    reading.rows(end, &[LOOKING, mark]).await?;
    reading.close().await;
    Ok(())
}

/// The comment of a database; nothing where there is no such database.
pub(super) async fn comment_of(
    config: &DatabaseConfig,
    database: &str,
    within: Duration,
) -> Result<Option<String>, Trouble> {
    let mut reading = Reading::open(config, within).await?;
    const COMMENT: &str =
        "SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = $1";
    let rows = reading.rows(COMMENT.to_owned(), &[database]).await?;
    reading.close().await;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()))
}

/// How to make an empty database that sorts and writes like the configured one.
pub(super) async fn creation(config: &DatabaseConfig, name: &str, within: Duration) -> Result<String, Trouble> {
    let mut reading = Reading::open(config, within).await?;
    // What a server knows of a database's locale depends on its version: the columns are looked for by name.
    const LIKE: &str = "SELECT to_jsonb(d)::text, pg_encoding_to_char(d.encoding) FROM pg_database d \
        WHERE d.datname = current_database()";
    let rows = reading.rows(LIKE.to_owned(), &[]).await?;
    reading.close().await;
    let text = |at: usize| rows.first().and_then(|row| row.try_get::<String, _>(at).ok()).unwrap_or_default();
    let columns: serde_json::Value = serde_json::from_str(&text(0)).unwrap_or_default();
    Ok(made_like(&columns, &text(1), name))
}

/// `CREATE DATABASE` from the columns of another database in `pg_database`.
fn made_like(columns: &serde_json::Value, encoding: &str, name: &str) -> String {
    let column = |name: &str| columns[name].as_str();
    let mut statement = format!("CREATE DATABASE {} TEMPLATE template0", super::databases::quoted(name));
    // PostgreSQL 17 has one column for what is ICU's and what is its own.
    let locale = column("datlocale").or_else(|| column("daticulocale"));
    let (provider, key) = match column("datlocprovider") {
        Some("i") => (Some("icu"), "ICU_LOCALE"),
        Some("b") => (Some("builtin"), "BUILTIN_LOCALE"),
        _ => (None, ""),
    };
    let options = [
        ("ENCODING", Some(encoding)),
        ("LC_COLLATE", column("datcollate")),
        ("LC_CTYPE", column("datctype")),
        ("LOCALE_PROVIDER", provider),
        (key, provider.and(locale)),
        ("ICU_RULES", column("daticurules")),
    ];
    for (key, value) in options {
        if let Some(value) = value {
            statement += &format!(" {key} {}", literal(value));
        }
    }
    statement
}

/// Changes something by one statement.
pub(super) async fn change(
    config: &DatabaseConfig,
    database: &str,
    statement: String,
    most: Duration,
) -> Result<(), Trouble> {
    let watch = Stopwatch::start();
    let mut conn = connected(config, database, most).await?;
    let doing = sqlx::query(AssertSqlSafe(statement)).persistent(false).execute(&mut conn);
    let done = within(watch.left_of(most), doing).await.map_err(|_| Trouble::Slow(most))?;
    done.map_err(|error| trouble(error, config, most))?;
    if !matches!(within(watch.left_of(most), conn.close()).await, Ok(Ok(()))) {
        tracing::debug!("a connection to a database did not end in good order");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::made_like;

    #[test]
    fn a_database_is_made_like_another_on_servers_of_every_version() {
        let cases = [
            (json!({"datcollate": "C", "datctype": "C"}), " LC_COLLATE E'C' LC_CTYPE E'C'"),
            (
                json!({"datcollate": "C", "datctype": "C", "datlocprovider": "i", "daticulocale": "fr", "daticurules": "&a<b"}),
                " LC_COLLATE E'C' LC_CTYPE E'C' LOCALE_PROVIDER E'icu' ICU_LOCALE E'fr' ICU_RULES E'&a<b'",
            ),
            (
                json!({"datcollate": "C", "datctype": "C", "datlocprovider": "b", "datlocale": "C.UTF-8"}),
                " LC_COLLATE E'C' LC_CTYPE E'C' LOCALE_PROVIDER E'builtin' BUILTIN_LOCALE E'C.UTF-8'",
            ),
            (
                json!({"datcollate": "fr_FR.utf8", "datctype": "C", "datlocprovider": "c", "daticulocale": null}),
                " LC_COLLATE E'fr_FR.utf8' LC_CTYPE E'C'",
            ),
        ];
        for (columns, options) in cases {
            let made = made_like(&columns, "UTF8", "shop");
            assert_eq!(made, format!("CREATE DATABASE \"shop\" TEMPLATE template0 ENCODING E'UTF8'{options}"));
        }
    }
}
