//! The disk is full: nothing can be committed, so nothing is promised. Vigie says so, keeps what it has promised before,
//! and goes on by itself when there is room again.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::StatusCode;
use tempfile::TempDir;
use vigie::store::{Store, Target};

use super::check::{Allowed, check};
use super::people::{People, Trace};
use super::town::Town;
use super::{chance, pass, rounds, skip, until};
use crate::database::Database;
use crate::script::START;
use crate::store::typed;

/// A small disk. It goes away with this.
pub struct Disk(TempDir);

impl Disk {
    /// `None`, with the reason, where this user may not mount one.
    pub fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                skip(&format!("a small disk cannot be mounted: {}", String::from_utf8_lossy(&output.stderr).trim()));
                None
            }
            Err(why) => {
                skip(&format!("a small disk cannot be mounted: {why}"));
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("something-else")
    }

    /// Leaves no room for one byte more.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).expect("it can be made");
        for size in [64 * 1024, 4 * 1024, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn clear(&self) {
        std::fs::remove_file(self.filler()).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            println!("{} stays mounted", self.path().display());
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_told_in_a_sentence_and_nothing_that_was_taken_is_lost() {
    const FULL: std::ops::Range<u64> = 1_000..4_000;
    // Room for the database and its log.
    let Some(disk) = Disk::mount("24m") else { return };
    let town = Town::open(&format!("sqlite://{}", disk.path().join("vigie.db").display())).await;
    let (people, rounds) = (People::of(&town), rounds(2));
    let bot = town.start().await;
    let mut chance = chance();
    for _ in 0..rounds {
        let number = people.declare("sev2").await;
        disk.fill();
        // The log of the database may have a little room left in it.
        let refused = async || {
            people.types("U0LEAD", &format!("note --in inc_{number} is anybody there?")).await.is_none().then_some(())
        };
        until("a line is refused", Duration::from_secs(20), refused).await;
        let parts = bot.becomes(StatusCode::SERVICE_UNAVAILABLE).await;
        assert_ne!(parts["database"], "ok", "whoever asks is told: {parts}");
        let clearing = async {
            pass(Duration::from_millis(chance.u64(FULL))).await;
            disk.clear();
        };
        let note = format!("note --in inc_{number}");
        tokio::join!(clearing, people.says(Trace::Note, "U0ONCALL", &note, "there is room again"));
        people.insists("U0ONCALL", &format!("ack --in inc_{number}")).await;
        people.incident(false, false).await;
    }
    let answers = people.answers();
    let sorry = "That did not work, and nothing was changed. Try again";
    assert!(answers.iter().any(|answer| answer.contains(sorry)), "people are told: {answers:?}");
    let said = bot.said();
    assert!(said.iter().any(|line| line.contains("disk is full")), "whoever runs it is told: {said:#?}");
    let late = Duration::from_secs(30);
    check(
        &town,
        &people,
        "disk",
        "sqlite",
        rounds,
        &Allowed { late, after_answer: Duration::from_secs(10), asked_again: false },
    )
    .await;
    bot.stop().await;
}

#[tokio::test]
async fn a_backup_that_finds_no_room_leaves_nothing_behind() {
    let Some(disk) = Disk::mount("200k") else { return };
    let database = Database::fresh().await;
    let store = Store::open(&database.url).await.expect("it opens");
    for n in 0..200 {
        let note = typed(&format!("note {}", "x".repeat(2_000)));
        store.receive(&format!("n{n}"), Target::default(), &note, START).await.expect("it is taken");
    }
    let refused = store.backup(&disk.path().join("copy")).await.expect_err("there is no room");
    assert!(refused.to_string().contains("full"), "{refused}");
    assert_eq!(std::fs::read_dir(disk.path()).expect("it is there").count(), 0);
}
