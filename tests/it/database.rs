//! The databases that the promises are kept on: a SQLite file of its own for each world, or a schema of its own on the
//! PostgreSQL server that `VIGIE_TEST_POSTGRES` names (`tests/run` starts one).

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use vigie::incident::decision::Input;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// The one that this run of the suite is about: `VIGIE_TEST_DATABASE`, else SQLite.
    pub fn chosen() -> Self {
        match std::env::var_os("VIGIE_TEST_DATABASE") {
            Some(name) if name == "postgres" => Kind::Postgres,
            None => Kind::Sqlite,
            Some(name) if name == "sqlite" => Kind::Sqlite,
            Some(other) => panic!("VIGIE_TEST_DATABASE is {other:?}; write sqlite or postgres"),
        }
    }

    /// Its name, as in `VIGIE_TEST_DATABASE`.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
        }
    }
}

/// A database that nobody has used, and goes away with this.
#[derive(Debug)]
pub struct Database {
    pub url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    /// One of the chosen kind.
    pub async fn fresh() -> Self {
        Self::of(Kind::chosen()).await
    }

    /// One of this kind.
    pub async fn of(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder can be made");
                let url = format!("sqlite://{}", folder.path().join("vigie.db").display());
                Self { url, _folder: Some(folder) }
            }
            Kind::Postgres => Self { url: schema().await, _folder: None },
        }
    }
}

impl Database {
    /// An input that no version can read, as a damaged disk or a newer version could leave it.
    pub async fn put_garbage_into_the_inbox(&self) {
        self.does(
            "INSERT INTO inbox (source, input, state, arrived_at) VALUES ('garbage', '{\"input\": 7}', 'new', 0)",
        )
        .await;
    }

    /// Somebody has their hands in it.
    pub async fn does(&self, statement: &'static str) {
        if let Some(path) = self.url.strip_prefix("sqlite://") {
            let mut conn = SqliteConnection::connect(path).await.expect("the file opens");
            sqlx::query(statement).execute(&mut conn).await.expect("it is done");
        } else {
            let mut conn = PgConnection::connect(&self.url).await.expect("the server answers");
            sqlx::query(statement).execute(&mut conn).await.expect("it is done");
        }
    }
}

/// What another process has done in a transaction that is still open.
pub struct Uncommitted {
    conn: PgConnection,
    watcher: PgConnection,
}

impl Database {
    /// Another process has decided and not committed yet: PostgreSQL only.
    pub async fn copies_an_effect_and_does_not_commit_yet(&self, effect: i64) -> Uncommitted {
        let copy = format!(
            "INSERT INTO outbox (incident, lane, queue, fold, effect, state, created_at, due_at, attempts) \
             SELECT incident, lane, queue, fold, effect, 'waiting', created_at, due_at, 0 FROM outbox WHERE id = {effect}"
        );
        self.has_done_and_not_committed(copy).await
    }

    /// Another process is receiving an input: it has its place in the inbox, and nobody sees it yet.
    pub async fn receives_and_does_not_commit_yet(&self, incident: i64, input: &Input) -> Uncommitted {
        let input = serde_json::to_string(input).expect("an input can be written").replace('\'', "''");
        let receive = format!(
            "INSERT INTO inbox (source, incident, input, state, arrived_at) VALUES ('open', {incident}, '{input}', 'new', 0)"
        );
        self.has_done_and_not_committed(receive).await
    }

    /// Another process has an incident in hand.
    pub async fn holds_an_incident(&self, incident: i64) -> Uncommitted {
        self.has_done_and_not_committed(format!("SELECT id FROM incident WHERE id = {incident} FOR UPDATE")).await
    }

    /// Another process has changed an incident's row.
    pub async fn changes_an_incident_and_does_not_commit_yet(&self, incident: i64) -> Uncommitted {
        self.has_done_and_not_committed(format!("UPDATE incident SET rank = rank WHERE id = {incident}")).await
    }

    async fn has_done_and_not_committed(&self, statement: String) -> Uncommitted {
        let mut conn = PgConnection::connect(&self.url).await.expect("the server answers");
        let watcher = PgConnection::connect(&self.url).await.expect("the server answers");
        sqlx::query("BEGIN").execute(&mut conn).await.expect("a transaction begins");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut conn).await.expect("it is done");
        Uncommitted { conn, watcher }
    }
}

impl Uncommitted {
    /// Returns when somebody waits for this transaction's end.
    pub async fn when_somebody_waits_for_it(&mut self) {
        self.when_so_many_wait_for_it(1).await;
    }

    /// Returns when so many wait for this transaction's end, behind each other too.
    pub async fn when_so_many_wait_for_it(&mut self, many: i64) {
        let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut self.conn).await.expect("a number");
        const WAITS: &str = "WITH RECURSIVE waits AS (\
            SELECT pid FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)) \
            UNION SELECT a.pid FROM pg_stat_activity a JOIN waits w ON w.pid = ANY (pg_blocking_pids(a.pid))) \
            SELECT COUNT(*) FROM waits";
        let waited = async {
            loop {
                let waiting: i64 =
                    sqlx::query_scalar(WAITS).bind(own).fetch_one(&mut self.watcher).await.expect("a count");
                if waiting >= many {
                    return;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), waited).await.expect("they wait for it");
    }

    /// Returns when so many have waited for this transaction's end, each for as long as it may.
    pub async fn when_it_was_waited_for_in_vain(&mut self, times: usize) {
        let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut self.conn).await.expect("a number");
        // Who waits begins anew: each try is a statement of its own.
        const TRIES: &str =
            "SELECT query_start::text FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)) LIMIT 1";
        let mut begun = std::collections::BTreeSet::new();
        let waited = async {
            while begun.len() <= times {
                let try_at: Option<String> =
                    sqlx::query_scalar(TRIES).bind(own).fetch_optional(&mut self.watcher).await.expect("an answer");
                begun.extend(try_at);
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), waited).await.expect("they try again");
    }

    /// Locks every input that waits, after what it holds already: not in the order in which a decision locks. It fails when the
    /// server sees a circle and chooses this transaction to end.
    pub async fn asks_for_what_came_in(&mut self) -> Result<(), sqlx::Error> {
        let asked = sqlx::query("SELECT position FROM inbox WHERE state = 'new' ORDER BY position FOR UPDATE");
        asked.execute(&mut self.conn).await.map(|_| ())
    }

    /// Nothing stays of its work.
    pub async fn gives_up(&mut self) {
        sqlx::query("ROLLBACK").execute(&mut self.conn).await.expect("it ends");
    }

    /// Its work stands from now on.
    pub async fn commits(&mut self) {
        sqlx::query("COMMIT").execute(&mut self.conn).await.expect("it commits");
    }
}

/// A schema of its own on the test server.
async fn schema() -> String {
    let server = server();
    let name = format!("t_{}", uuid::Uuid::new_v4().simple());
    let mut conn = PgConnection::connect(&server).await.expect("the test server answers");
    let create = format!("CREATE SCHEMA {name}");
    sqlx::query(AssertSqlSafe(create)).execute(&mut conn).await.expect("a schema can be made");
    conn.close().await.expect("the connection closes");
    format!("{server}?options[search_path]={name}")
}

/// The test server's address.
pub fn server() -> String {
    std::env::var_os("VIGIE_TEST_POSTGRES")
        .and_then(|url| url.into_string().ok())
        .expect("VIGIE_TEST_POSTGRES names no PostgreSQL server; tests/run starts one and sets it")
}
