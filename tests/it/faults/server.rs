//! The database server is restarted underneath: every connection breaks, and for a while there is nobody to ask.

use std::cell::Cell;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use vigie::app::practice::CONFIG;
use vigie::incident::approval::Outcome;
use vigie::incident::id::IncidentId;
use vigie::incident::state::Phase;
use vigie::incident::timeline::Fact;

use super::check::{Allowed, check};
use super::people::People;
use super::town::Town;
use super::{LEASE, chance, pass, rounds, until};

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
    let allowed = Allowed { late, after_answer: Duration::from_secs(10), asked_again: false };
    check(&town, &people, "server", "postgres", rounds, &allowed).await;
    bot.stop().await;
}

/// Longer than a lease, so that it ends over work that goes on.
#[tokio::test]
async fn what_a_process_is_doing_while_the_database_is_away_it_does_not_begin_anew() {
    const AWAY: Duration = LEASE.saturating_add(Duration::from_secs(4));
    let server = Server::up();
    let gates = tempfile::tempdir().expect("a folder can be made");
    let gate = gates.path().join("gate");
    let made = Command::new("mkfifo").arg(&gate).status().expect("mkfifo runs");
    assert!(made.success());
    let copy = format!(
        "actions:\n  copy:\n    title: Copy the orders\n    service: shop\n    risk: reversible\n    class: planned\n    \
         expected: 1m\n    approval: {{ by: [lead] }}\n    steps:\n      - command: {{ target: orders, risk: reversible, to: copied, \
         argv: [sh, -c, \"echo begun >> begun; cat {}\"] }}\n    verify: [health]\n",
        gate.display()
    );
    let town = Town::open_as(&server.url, &CONFIG.replacen("actions:\n", &copy, 1)).await;
    let people = People::of(&town);
    let bot = town.start().await;
    let number = people.declare("sev2").await;
    people.insists("U0ONCALL", &format!("run copy --in inc_{number}")).await;
    people.waits_for(number, &|run| run.phase == Phase::Pending).await;
    people.insists("U0LEAD", &format!("approve run_{number}_1")).await;
    let begun = || std::fs::read_to_string(town.path().join("begun")).unwrap_or_default();
    until("the step begins", Duration::from_secs(20), async || (!begun().is_empty()).then_some(())).await;
    server.down();
    pass(AWAY).await;
    server.again();
    // Whoever looks for what is due has looked by then.
    pass(Duration::from_secs(4)).await;
    std::fs::write(&gate, "on\n").expect("somebody waits at the gate");
    let run = people.waits_for(number, &|run| matches!(run.phase, Phase::Finished { .. })).await;
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{run:?}");
    assert_eq!(begun(), "begun\n");
    let timeline = town.store.timeline(IncidentId(number)).await.expect("the database answers");
    let begins = timeline.iter().filter(|entry| matches!(entry.fact, Fact::RunStarted { .. })).count();
    assert_eq!(begins, 1, "nobody took it over");
    bot.stop().await;
}
