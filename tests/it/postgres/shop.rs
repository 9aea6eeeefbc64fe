//! A shop's database on the test server, with a role that owns it and has a password.

use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use url::Url;

use crate::database::server;
use crate::room::Room;

/// The role's password where the test chooses it.
pub const PASSWORD: &str = "keyed-9f3a-c2e1";

/// A database of 100 orders and 3 users, and a folder for whatever is kept of it.
pub struct Shop {
    /// The database's name and that of its owner.
    pub name: String,
    folder: TempDir,
}

impl Shop {
    pub async fn open() -> Self {
        let name = format!("shop_{}", uuid::Uuid::new_v4().simple());
        let shop = Self { name, folder: tempfile::tempdir().expect("a folder can be made") };
        let name = &shop.name;
        shop.admin(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' IN ROLE keyed")).await;
        shop.admin(&format!("CREATE DATABASE {name} OWNER {name}")).await;
        shop.sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, total numeric NOT NULL);
             CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL);
             CREATE TABLE migrations (version integer PRIMARY KEY);
             INSERT INTO orders SELECT n, n * 10 FROM generate_series(1, 100) AS n;
             INSERT INTO users VALUES (1, 'Ana'), (2, 'Bo'), (3, 'Cléo');
             INSERT INTO migrations VALUES (41), (42)",
        )
        .await;
        shop
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its backups are kept.
    pub fn backups(&self) -> PathBuf {
        let folder = self.folder().join("backups");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        folder
    }

    /// The server's port on loopback.
    pub fn port() -> u16 {
        address().port().expect("the test server's address has a port")
    }

    /// Does something as the server's master.
    pub async fn admin(&self, statement: &str) {
        let mut conn = PgConnection::connect(&server()).await.expect("the test server answers");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await.unwrap_or_else(|why| panic!("{why}"));
        conn.close().await.expect("the connection closes");
    }

    /// The same in one of its databases.
    pub async fn admin_in(&self, database: &str, statements: &str) {
        let mut conn = PgConnection::connect(self.address_of(database).as_str()).await.expect("the database answers");
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut conn).await.unwrap_or_else(|why| panic!("{why}"));
        conn.close().await.expect("the connection closes");
    }

    /// A connection of the owner's.
    pub async fn connection(&self) -> PgConnection {
        self.connection_to(&self.name).await
    }

    pub async fn connection_to(&self, database: &str) -> PgConnection {
        let mut conn = PgConnection::connect(self.address_of(database).as_str()).await.expect("the database answers");
        let own = format!("SET SESSION AUTHORIZATION {}", self.name);
        sqlx::raw_sql(AssertSqlSafe(own)).execute(&mut conn).await.expect("the role exists");
        conn
    }

    /// A connection as anybody has one, with the password.
    pub async fn logged_in(&self) -> PgConnection {
        let mut address = self.address_of(&self.name);
        address.set_username(&self.name).expect("it takes a name");
        address.set_password(Some(PASSWORD)).expect("it takes a password");
        PgConnection::connect(address.as_str()).await.expect("the role is let in")
    }

    /// A database on the test server, as its master reaches it.
    pub fn address_of(&self, database: &str) -> Url {
        let mut address = address();
        address.set_path(database);
        address
    }

    /// Does something as the owner.
    pub async fn sql(&self, statements: &str) {
        let mut conn = self.connection().await;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut conn).await.unwrap_or_else(|why| panic!("{why}"));
        conn.close().await.expect("the connection closes");
    }

    /// A figure of the database.
    pub async fn count(&self, query: &str) -> i64 {
        self.count_in(&self.name, query).await
    }

    pub async fn count_in(&self, database: &str, query: &str) -> i64 {
        let mut conn = self.connection_to(database).await;
        let count = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut conn).await;
        conn.close().await.expect("the connection closes");
        count.unwrap_or_else(|why| panic!("{query}: {why}"))
    }

    /// This database and whatever was made beside it, by name.
    pub async fn databases(&self) -> Vec<String> {
        let mut conn = PgConnection::connect(&server()).await.expect("the test server answers");
        let query = format!(
            "SELECT datname::text FROM pg_database WHERE datname LIKE '{}%' OR datname LIKE 'vigie%' \
             AND pg_get_userbyid(datdba) = '{}' ORDER BY 1",
            self.name, self.name
        );
        let names = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut conn).await.expect("a list");
        conn.close().await.expect("the connection closes");
        names
    }

    /// How the configuration describes it.
    pub fn described(&self, password: &str, more: &str) -> String {
        format!(
            "{{ host: 127.0.0.1, port: {}, name: {name}, user: {name}, password: \"{password}\"{more} }}",
            Self::port(),
            name = self.name
        )
    }

    /// The actions room with this database as `shop`, what the service `shop` is looked at by, and a step.
    pub fn room(&self, step: &str, check: &str, more: &str) -> Room {
        Room::with_sections(&format!("databases: {{ shop: {} }}\n", self.described(PASSWORD, more)), step, check)
    }
}

fn address() -> Url {
    server().parse().expect("the test server's address is one")
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Whatever a test made beside it is named after it.
        let script = format!(
            "SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname LIKE '{name}%' OR pg_get_userbyid(datdba) = '{name}' \\gexec\n\
             DROP ROLE {name};\n",
            name = self.name
        );
        let file = self.folder.path().join("drop.sql");
        let dropped = std::fs::write(&file, script)
            .and_then(|()| Command::new("psql").args(["-X", "-q", "-f"]).arg(&file).arg(server()).output());
        if !dropped.is_ok_and(|output| output.status.success()) {
            eprintln!("{} could not be dropped", self.name);
        }
    }
}
