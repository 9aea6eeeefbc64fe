//! What the store cannot do, and what that means for whoever asked.

use std::io::ErrorKind;

use sqlx::Error::{BeginFailed, Database, Io, PoolTimedOut, Protocol, Tls, WorkerCrashed};

/// What the store cannot do, in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The address is not one that is understood.
    #[error("DATABASE_URL “{url}” is not understood: {why}. Use sqlite://vigie.db or postgres://user@host/database")]
    Address {
        /// The address, without credentials.
        url: String,
        /// Why.
        why: String,
    },
    /// The file cannot be made, opened or read as a database.
    #[error("the database {path} cannot be opened: {why}. Check the path in DATABASE_URL and who may write there")]
    File {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// Another process has the database open.
    #[error("{path} is in use by another vigie process. Stop that one, or give this one another DATABASE_URL")]
    InUse {
        /// The file.
        path: String,
    },
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// What waits would not be done in its order.
    #[error(
        "the database gives each connection {size} numbers of {sequence} in advance, and what waits is done in the order of its \
         numbers. Run ALTER SEQUENCE {sequence} CACHE 1; on YugabyteDB set ysql_sequence_cache_minval=1 before that"
    )]
    Order {
        /// The sequence.
        sequence: String,
        /// How many numbers each connection takes.
        size: i64,
    },
    /// A newer release has the database.
    #[error(
        "a newer vigie has this database (it keeps release {found}; this one knows {known}). Start that one; to go back to \
         this one, restore the backup that was made before into an empty database"
    )]
    Newer {
        /// What is kept there.
        found: i64,
        /// What this one knows.
        known: i64,
    },
    /// A stored value cannot be read: it was written by a newer version, or damaged.
    #[error("a stored {what} cannot be read ({why}). Was the database written by a newer version?")]
    Unreadable {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The database does not understand a statement: its schema is not the one of this version.
    #[error("the database does not understand {name} ({why}). Run vigie migrate, and one version only")]
    Statement {
        /// Its name.
        name: &'static str,
        /// Why.
        why: String,
    },
    /// A defect in Vigie itself.
    #[error("a {what} failed by a defect in Vigie; the log has the details, please report it")]
    Defect {
        /// What failed.
        what: &'static str,
    },
    /// A backup that could not be made or used.
    #[error("{0}")]
    Backup(String),
    /// The store was closed.
    #[error("the database is closed, for Vigie is stopping")]
    Closed,
    /// The store was opened to read.
    #[error("the database was opened to read and cannot be changed")]
    ReadOnly,
}

impl StoreFault {
    /// Why a statement could not be prepared: the database does not understand it, or has trouble that is no fault of its.
    pub(super) fn of_statement(name: &'static str, error: sqlx::Error) -> Self {
        let why = error.to_string();
        let fault = StoreFault::from(error);
        let is_understood = fault.code().is_none_or(|code| !names_what_is_not_there(&code));
        if is_understood { fault } else { StoreFault::Statement { name, why } }
    }

    /// The same change fails again, however often it is tried and however well the database is: it is too large, breaks a
    /// rule of the schema, cannot be read, or meets a defect. All else passes, or is no fault of this change.
    pub fn is_for_good(&self) -> bool {
        match self {
            StoreFault::Unreadable { .. } | StoreFault::Defect { .. } => true,
            StoreFault::Database(Database(_)) => {
                self.code().is_some_and(|code| refuses_postgres(&code) || refuses_sqlite(&code))
            }
            _ => false,
        }
    }

    /// It is the database that failed, and not what was asked of it: once it is well, the same may succeed.
    pub fn may_pass(&self) -> bool {
        match self {
            StoreFault::Database(Io(_) | PoolTimedOut | Protocol(_) | Tls(_) | WorkerCrashed | BeginFailed) => true,
            StoreFault::Database(Database(_)) => !self.is_for_good(),
            _ => false,
        }
    }

    /// What was asked may have been done: the answer was lost, or never came.
    pub(super) fn leaves_in_doubt(&self) -> bool {
        match self {
            StoreFault::Database(Io(error)) => error.kind() != ErrorKind::ConnectionRefused,
            StoreFault::Database(Protocol(_) | WorkerCrashed) => true,
            StoreFault::Database(Database(_)) => self.code().is_some_and(|code| may_be_done(&code)),
            _ => false,
        }
    }

    /// The connection is there, and nothing is under way on it any more.
    pub(super) fn leaves_connection_whole(&self) -> bool {
        match self {
            StoreFault::Database(Database(_)) => self.code().is_some_and(|code| is_of_the_statement(&code)),
            StoreFault::Database(Io(_) | Protocol(_) | Tls(_) | WorkerCrashed | BeginFailed) => false,
            _ => true,
        }
    }

    fn code(&self) -> Option<String> {
        let StoreFault::Database(Database(error)) = self else { return None };
        error.code().map(|code| code.into_owned())
    }
}

/// Data that does not fit (22, but for 22P03, which is of the connection), a rule of the schema (23), a limit of the
/// program (54), a page of the disk that is damaged. Of these 23505 was repeated before, see `postgres.rs`.
fn refuses_postgres(code: &str) -> bool {
    let class = code.get(..2).filter(|_| code.len() == 5 && code != "22P03");
    class.is_some_and(|class| ["22", "23", "54"].contains(&class)) || ["XX001", "XX002"].contains(&code)
}

/// Statement completion unknown (a node that answers for others lost them), transaction resolution unknown (the same from a
/// pooler), and a connection that was ended from the other side, maybe after the commit.
fn may_be_done(code: &str) -> bool {
    ["08007", "40003", "57P01", "57P02"].contains(&code)
}

/// Data that does not fit (22), a rule of the schema (23), a transaction that met another one (40, 55P03), a statement that is
/// not understood (42), a limit (54), no room on the disk or in memory (53100, 53200), one that took too long (57014):
/// PostgreSQL's connection lives on. SQLite's is a file, which does not hang up.
fn is_of_the_statement(code: &str) -> bool {
    let of_postgres = ["22", "23", "40", "42", "54"].iter().any(|class| code.starts_with(class));
    let of_server = ["53100", "53200", "55P03", "57014"].contains(&code);
    code.len() < 5 || of_server || (of_postgres && code != "22P03" && code != "40003")
}

/// `SQLITE_CORRUPT` (a page of the file that is damaged), `SQLITE_TOOBIG`, `SQLITE_CONSTRAINT`, `SQLITE_MISMATCH`: the lowest
/// eight bits of the code tell.
fn refuses_sqlite(code: &str) -> bool {
    code.len() < 5 && code.parse::<u32>().is_ok_and(|code| [11, 18, 19, 20].contains(&(code & 0xff)))
}

/// Syntax and names (42, but for 42501, which is a right that is lacking); of SQLite `SQLITE_ERROR`.
fn names_what_is_not_there(code: &str) -> bool {
    let is_postgres = code.len() == 5;
    if is_postgres { code.starts_with("42") && code != "42501" } else { code == "1" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_not_understood_only_where_the_database_says_so() {
        for (code, is_not_there) in [
            ("42P01", true),
            ("42703", true),
            ("1", true),
            ("42501", false),
            ("57P01", false),
            ("5", false),
            ("11", false),
        ] {
            assert_eq!(names_what_is_not_there(code), is_not_there, "{code}");
        }
        let lost = || sqlx::Error::Io(ErrorKind::ConnectionReset.into());
        assert!(matches!(StoreFault::of_statement("incident", lost()), StoreFault::Database(Io(_))));
    }

    #[test]
    fn what_passes_is_told_from_what_never_does() {
        for code in ["22021", "23505", "23514", "54000", "XX002"] {
            assert!(refuses_postgres(code) && !refuses_sqlite(code), "{code}");
        }
        // Collisions, a server that stops, a disk that is full, a statement that took too long: of the database, not of the input.
        for code in ["08006", "22P03", "25P03", "40001", "40P01", "42P01", "53100", "55P03", "57014", "57P01", "XX000"]
        {
            assert!(!refuses_postgres(code) && !refuses_sqlite(code), "{code}");
        }
        for (code, lives_on) in
            [("40001", true), ("55P03", true), ("23505", true), ("53100", true), ("25P03", false), ("57P01", false)]
        {
            assert_eq!(is_of_the_statement(code), lives_on, "{code}");
        }
        for (code, refuses) in [
            ("11", true),
            ("523", true),
            ("18", true),
            ("2067", true),
            ("787", true),
            ("20", true),
            ("5", false),
            ("13", false),
        ] {
            assert_eq!(refuses_sqlite(code), refuses, "{code}");
            assert!(!refuses_postgres(code), "{code}");
        }
    }
}
