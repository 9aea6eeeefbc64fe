//! The database server is restarted underneath: every connection breaks, and for a while there is nobody to ask.

use std::cell::Cell;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::check::{Allowed, check};
use super::people::People;
use super::town::Town;
use super::{LEASE, chance, pass, rounds};

/// A PostgreSQL server of this test's own, which it may stop. It goes away with this.
pub struct Server {
    folder: TempDir,
    pub url: String,
}

impl Server {
    pub fn up() -> Self {
        Self::up_with(&[])
    }

    /// One that speaks TLS with `server.crt` and `server.key` from this folder.
    pub fn up_with_certificate(from: &Path) -> Self {
        Self::up_with(&[("CERTIFICATE", from)])
    }

    fn up_with(wishes: &[(&str, &Path)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let url = script("up", folder.path(), wishes).unwrap_or_else(|why| panic!("{why}"));
        Self { folder, url }
    }

    /// Lets in whoever comes from these addresses, too.
    pub fn let_in(&self, addresses: &str) {
        let doors = self.folder.path().join("data/pg_hba.conf");
        let mut doors = File::options().append(true).open(doors).expect("the server has one");
        writeln!(doors, "host all all {addresses} trust").expect("it can be written");
        self.down();
        self.again();
    }

    fn down(&self) {
        script("down", self.folder.path(), &[]).unwrap_or_else(|why| panic!("{why}"));
    }

    fn again(&self) {
        script("up", self.folder.path(), &[]).unwrap_or_else(|why| panic!("{why}"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(why) = script("down", self.folder.path(), &[]) {
            println!("the server stays: {why}");
        }
    }
}

/// `tests/postgres`; gives what it prints.
fn script(verb: &str, folder: &Path, wishes: &[(&str, &Path)]) -> Result<String, String> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
    // What is committed stays committed, as on a real server.
    let output = Command::new(script).arg(verb).arg(folder).env("SAFE", "1").envs(wishes.iter().copied()).output();
    let output = output.map_err(|why| format!("tests/postgres {verb}: {why}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

#[tokio::test]
async fn a_database_server_that_is_restarted_underneath_costs_time_and_nothing_else() {
    const AWAY: std::ops::Range<u64> = 200..3_000;
    const THERE: std::ops::Range<u64> = 500..2_500;
    let server = Server::up();
    let town = Town::open(&server.url).await;
    let (people, is_over, rounds) = (People::of(&town), Cell::new(false), rounds(3));
    let bot = town.start().await;
    let restarting = async {
        let mut chance = chance();
        for _ in 0..rounds {
            pass(Duration::from_millis(chance.u64(THERE))).await;
            server.down();
            pass(Duration::from_millis(chance.u64(AWAY))).await;
            server.again();
        }
        is_over.set(true);
    };
    tokio::join!(restarting, people.work(&is_over));
    let late = LEASE + Duration::from_secs(10);
    let allowed = Allowed { late, after_answer: Duration::from_secs(10) };
    check(&town, &people, "server", "postgres", rounds, &allowed).await;
    bot.stop().await;
}
