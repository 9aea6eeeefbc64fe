//! PostgreSQL's own programs: where they are, how old, and how they are run: with an environment built from nothing, no
//! questions, nobody's settings, and the password in the environment only.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::databases::{DatabaseConfig, Tls};
use super::server::Facts;
use crate::actions::World;
use crate::actions::process::{self, Deadline, Ended, Finished, NotStarted, Program};
use crate::incident::words::Words;

/// From this version on the server notices by itself that whoever asked is gone.
const NOTICES_GONE: i32 = 140_000;

/// The programs for one database.
#[derive(Clone, Copy)]
pub(super) struct Tools<'a> {
    pub config: &'a DatabaseConfig,
    pub world: &'a World,
    /// What the server knows their connections by.
    pub mark: &'a str,
    /// The server's version, as a number.
    pub server: i32,
}

/// A program's version.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub shown: String,
    pub major: i32,
}

impl Tools<'_> {
    fn path(&self, name: &str) -> String {
        self.config.tools.as_ref().map_or_else(|| name.to_owned(), |folder| folder.join(name).display().to_string())
    }

    /// Its version, as `pg_dump (PostgreSQL) 15.18` tells it.
    pub(super) async fn version(&self, name: &str, within: Duration) -> Result<Version, Words> {
        let argv = [self.path(name), "--version".to_owned()];
        let program = Program {
            argv: &argv,
            cwd: None,
            environment: self.environment(""),
            deadline: Deadline::of_looking(within),
        };
        let finished = process::run(&program, &self.world.redactor, &|_| {}).await.map_err(|fault| fault.words())?;
        let version = finished.stdout.text.split_whitespace().nth(2).and_then(|shown| {
            let digits = shown.split(|c: char| !c.is_ascii_digit()).next()?;
            Some(Version { shown: shown.to_owned(), major: digits.parse().ok()? })
        });
        match (finished.ended, version) {
            (Ended::Exit(0), Some(version)) => Ok(version),
            _ => Err(Words::new("postgres.no_version").with("program", argv[0].as_str())),
        }
    }

    /// The version of a program that must be as new as something.
    pub(super) async fn as_new_as(
        &self,
        name: &str,
        major: i32,
        than: &str,
        within: Duration,
    ) -> Result<Version, Words> {
        let version = self.version(name, within).await?;
        if version.major >= major {
            return Ok(version);
        }
        let words = Words::new("postgres.old_tools").with("program", self.path(name));
        Err(words.with("found", version.shown).with("wanted", than))
    }

    /// Runs one of them on a database.
    pub(super) async fn run(
        &self,
        name: &str,
        arguments: Vec<String>,
        database: &str,
        within: Duration,
    ) -> Result<Finished, NotStarted> {
        let argv: Vec<String> = std::iter::once(self.path(name)).chain(arguments).collect();
        let program =
            Program { argv: &argv, cwd: None, environment: self.environment(database), deadline: Deadline::of(within) };
        process::run(&program, &self.world.redactor, &|_| {}).await
    }

    fn environment(&self, database: &str) -> BTreeMap<String, String> {
        let config = self.config;
        let place = config.socket.as_ref().map(|folder| folder.display().to_string());
        let tls = match config.tls {
            Tls::Disable => "disable",
            Tls::Prefer => "prefer",
            Tls::Require => "require",
            Tls::VerifyFull => "verify-full",
        };
        let mut environment: BTreeMap<String, String> = [
            ("PGHOST", place.or_else(|| config.host.clone()).unwrap_or_default()),
            ("PGPORT", config.port.to_string()),
            ("PGDATABASE", database.to_owned()),
            ("PGUSER", config.user.clone()),
            ("PGPASSFILE", "/dev/null".to_owned()),
            ("PGSSLMODE", tls.to_owned()),
            ("PGAPPNAME", self.mark.to_owned()),
            ("PGCONNECT_TIMEOUT", "10".to_owned()),
            ("PGCLIENTENCODING", "UTF8".to_owned()),
            ("LC_ALL", "C".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if self.server >= NOTICES_GONE {
            environment.insert("PGOPTIONS".to_owned(), "-c client_connection_check_interval=5s".to_owned());
        }
        if let Some(password) = &config.password {
            environment.insert("PGPASSWORD".to_owned(), password.expose_secret().to_owned());
        }
        if let Some(file) = &config.root_certificate {
            environment.insert("PGSSLROOTCERT".to_owned(), file.display().to_string());
        }
        environment
            .extend(self.world.environment.get_key_value("PATH").map(|(name, path)| (name.clone(), path.clone())));
        environment
    }
}

/// Nobody's version is older than what the server needs of whoever reads it whole.
pub(super) async fn dumps(tools: &Tools<'_>, facts: &Facts, within: Duration) -> Result<Version, Words> {
    tools.as_new_as("pg_dump", facts.version_number / 10_000, &facts.version, within).await
}

/// Why a program ended badly, in one sentence without what it worked on.
pub(super) fn complaint(program: &str, finished: &Finished, within: Duration) -> Words {
    let about = |key| Words::new(key).with("program", program);
    match finished.ended {
        Ended::Deadline => about("step.program_late").with("within_ms", crate::actions::check::millis(within).0),
        Ended::Signal(signal) => about("step.program_signal").with("signal", signal),
        Ended::Exit(_) if finished.stderr.text.contains("No space left on device") => Words::new("reason.disk_full"),
        Ended::Exit(code) => about("step.program_exit").with("code", code).with("last", said(finished)),
    }
}

/// The first error that it told of, without where in our files it came upon it; else the last thing it said.
fn said(finished: &Finished) -> Option<String> {
    let told = |sign: &str| {
        finished.stderr.text.lines().find_map(|line| line.split_once(sign).map(|(_, said)| said.trim().to_owned()))
    };
    let errors = ["FATAL: ", "ERROR: ", "PANIC: ", "error: "];
    errors.into_iter().find_map(told).or_else(|| finished.last_line().map(str::to_owned))
}
