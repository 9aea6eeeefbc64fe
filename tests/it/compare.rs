//! What a roll-back is for: the figures afterwards are held against those that the plan was approved with (D5, H6).

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use vigie::incident::approval::Outcome;
use vigie::incident::state::{Phase, Run};

use crate::world::{World, shown, ts};

/// The practice shop with a log of its own, whose errors must not be more than before.
struct Logged {
    world: World,
    folder: TempDir,
    channel: String,
    plan: Value,
}

impl Logged {
    async fn open(lines: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let log = folder.path().join("shop.log");
        let check = format!(
            "checks:\n      - key: journal\n        title: Errors in the log\n        log: {{ file: {}, filter: ERROR, \
             limits: {{ than_before: {{ fail_above: 1 }} }} }}\n      - key: health",
            log.display()
        );
        write(&log, lines);
        let changes = [
            ("checks:\n      - key: health", check.as_str()),
            ("verify: [health, checkout]", "verify: [health, journal]"),
            ("verify_within: 1m", "verify_within: 2s"),
        ];
        let world = World::open_changed(&changes).await;
        world.setup.shop.break_it();
        world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
        let channel = world.channel(1).await;
        world.types("U0ONCALL", &channel, "rollback").await;
        let plan = world.message(&channel, "approve run_1_1");
        Self { world, folder, channel, plan }
    }

    /// The log has so many errors by now, and the plan is approved and run.
    async fn approved_with(&self, lines: usize) -> Run {
        write(&self.folder.path().join("shop.log"), lines);
        self.world.clicks("U0LEAD", &self.channel, &ts(&self.plan), "tick run_1_1 data").await;
        self.world.clicks("U0LEAD", &self.channel, &ts(&self.plan), "approve").await;
        self.world.incident(1).await.runs.into_values().next().expect("there is a run")
    }

    fn card(&self) -> String {
        shown(&self.world.again(&self.channel, &self.plan))
    }
}

fn write(log: &PathBuf, lines: usize) {
    fs::write(log, "2026-01-01T08:00:00Z ERROR payment refused\n".repeat(lines)).expect("the log can be written");
}

#[tokio::test]
async fn a_roll_back_after_which_there_are_fewer_errors_has_worked() {
    let logged = Logged::open(3).await;
    assert!(shown(&logged.plan).contains("Errors in the log (3 now)"), "{}", shown(&logged.plan));
    let run = logged.approved_with(2).await;
    assert!(matches!(run.phase, Phase::Finished { outcome: Outcome::Done }), "{run:?}");
    let card = logged.card();
    assert!(card.contains("(3 before)"), "{card}");
    logged.world.close().await;
}

#[tokio::test]
async fn a_roll_back_after_which_there_are_more_errors_has_not() {
    let logged = Logged::open(3).await;
    let run = logged.approved_with(4).await;
    assert!(matches!(run.phase, Phase::Finished { outcome: Outcome::Failed { step: None, .. } }), "{run:?}");
    let card = logged.card();
    assert!(card.contains("4 lines") && card.contains("(3 before)") && card.contains("≤ 1 × before"), "{card}");
    logged.world.close().await;
}
