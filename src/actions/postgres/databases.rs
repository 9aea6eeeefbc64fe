//! The team's databases, as the configuration names them, and how each is reached. No connection is kept between two looks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use crate::actions::config::{ConfigFault, fault};

/// How a PostgreSQL database is reached.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// The server's name or address; or `socket`.
    pub host: Option<String>,
    /// The folder with the server's socket.
    pub socket: Option<PathBuf>,
    /// Its port: 5432 when it is not said.
    #[serde(default = "usual_port")]
    pub port: u16,
    /// The database's name there.
    pub name: String,
    /// The role that Vigie has there.
    pub user: String,
    /// The role's password.
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretString>,
    /// Whether the connection is encrypted: where the server can, when it is not said.
    #[serde(default)]
    pub tls: Tls,
    /// The file with the certificate of whoever vouches for the server; those that the machine knows when it is not said.
    pub root_certificate: Option<PathBuf>,
    /// The folder with pg_dump, pg_restore and psql; where programs usually are when it is not said.
    pub tools: Option<PathBuf>,
    /// The folder where its backups are kept.
    pub backups: Option<PathBuf>,
    /// Which backups are deleted after a good one; none when it is not said.
    pub keep: Option<Keep>,
    /// The schemas that backups hold and restores replace; all but the system's when none is named.
    #[serde(default)]
    pub schemas: Vec<String>,
    /// Tables whose rows are counted for backups and around restores, as `table` or `schema.table`.
    #[serde(default)]
    pub counts: Vec<String>,
    /// A query whose first column says which migration was applied last.
    pub last_migration: Option<String>,
}

/// A backup is deleted when every rule lets it go. Copies made before a restore stay.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// So many of the newest stay.
    pub newest: Option<u32>,
    /// Those of so many days stay.
    pub days: Option<u32>,
}

const fn usual_port() -> u16 {
    5432
}

/// Whether a connection is encrypted, and who is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Never.
    Disable,
    /// Where the server can.
    #[default]
    Prefer,
    /// Always, whoever answers.
    Require,
    /// Always, and the server shows a certificate for its name.
    VerifyFull,
}

impl DatabaseConfig {
    /// Where the server is: `db.example.com:5432`.
    pub(super) fn server_at(&self) -> String {
        let place = self.socket.as_ref().map(|folder| folder.display().to_string());
        format!("{}:{}", place.or_else(|| self.host.clone()).unwrap_or_default(), self.port)
    }

    /// Its backups would be taken for those of this other one.
    pub(in crate::actions) fn keeps_among(&self, other: &Self) -> bool {
        self.backups.is_some() && (&self.backups, &self.name) == (&other.backups, &other.name)
    }

    pub(in crate::actions) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.host.is_some() == self.socket.is_some() {
            faults.push(fault(path, "say how it is reached in exactly one way; host, or socket for a folder"));
        }
        for (name, value) in [("name", &self.name), ("user", &self.user)] {
            if value.trim().is_empty() || value.contains('\0') {
                faults.push(fault(format!("{path}.{name}"), "this is no name; write for example shop"));
            }
        }
        let folders = [
            ("socket", &self.socket),
            ("root_certificate", &self.root_certificate),
            ("tools", &self.tools),
            ("backups", &self.backups),
        ];
        for (name, _) in folders.into_iter().filter(|(_, path)| path.as_ref().is_some_and(|path| path.is_relative())) {
            faults.push(fault(format!("{path}.{name}"), "write the whole path, beginning with /"));
        }
        if self.host.as_ref().is_some_and(|host| host.contains(['/', '@', ':']) && !host.contains("::")) {
            faults.push(fault(format!("{path}.host"), "write the server's name only, for example db.example.com"));
        }
        for (index, table) in self.counts.iter().enumerate().filter(|(_, table)| !is_table(table)) {
            let sentence = format!("“{table}” is no table's name; write for example orders or sales.orders");
            faults.push(fault(format!("{path}.counts[{index}]"), sentence));
        }
        let is_schema = |schema: &String| is_table(schema) && !schema.contains('.');
        for (index, schema) in self.schemas.iter().enumerate().filter(|(_, schema)| !is_schema(schema)) {
            let sentence = format!("“{schema}” is no schema's name; write for example public");
            faults.push(fault(format!("{path}.schemas[{index}]"), sentence));
        }
        if let Some(keep) = &self.keep {
            if keep.newest.is_none() && keep.days.is_none() {
                faults.push(fault(format!("{path}.keep"), "say what stays; write newest, days or both"));
            }
            if keep.newest == Some(0) {
                faults.push(fault(format!("{path}.keep.newest"), "the newest one stays in any case; write 1 or more"));
            }
        }
        if self.tls == Tls::VerifyFull && self.root_certificate.is_none() && self.backups.is_some() {
            let sentence = "pg_dump and psql do not know whom the machine trusts; name the file of the certificate";
            faults.push(fault(format!("{path}.root_certificate"), sentence));
        }
    }
}

/// `table` or `schema.table`, each a name that needs no thought.
pub(super) fn is_table(name: &str) -> bool {
    let is_name = |part: &str| {
        part.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && part.len() <= 63
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))
    };
    let parts: Vec<&str> = name.split('.').collect();
    parts.len() <= 2 && parts.into_iter().all(is_name)
}

/// A table's name as SQL writes it, exactly as it is.
pub(super) fn quoted_table(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

/// A name as SQL writes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it, whatever the server thinks of backslashes.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// All databases, by their keys.
#[derive(Debug, Default)]
pub struct Databases(BTreeMap<String, DatabaseConfig>);

impl Databases {
    pub(in crate::actions) fn new(configs: &BTreeMap<String, DatabaseConfig>) -> Self {
        Self(configs.clone())
    }

    pub(in crate::actions) fn get(&self, key: &str) -> Option<&DatabaseConfig> {
        self.0.get(key)
    }
}
