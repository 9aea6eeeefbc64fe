//! People see how a step goes while it runs, and Slack is not flooded by it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vigie::clock::Clock;
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;
use vigie::incident::time::Millis;

use crate::bot::PATIENCE;
use crate::faults::until;
use crate::nowhere::logged;
use crate::world::{World, shown, ts};

/// A pipe that a program waits at until the test lets it go on.
pub struct Gate(pub PathBuf);

impl Gate {
    pub fn make(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
        assert!(made.success());
        Self(path)
    }

    pub async fn open(&self) {
        tokio::fs::write(&self.0, "on\n").await.expect("somebody waits at the gate");
    }
}

/// What a card says of how its step goes.
fn line_told(card: &Value) -> Option<String> {
    shown(card).lines().find(|line| line.contains('↳')).map(str::to_owned)
}

/// A world with an action whose only step is this line of a shell.
async fn copying(line: &str) -> World {
    let copy = format!(
        "actions:
  copy:
    title: Copy the orders
    service: shop
    risk: reversible
    class: planned
    expected: 1m
    approval: {{ by: [lead] }}
    steps:
      - command:
          target: orders
          risk: reversible
          to: copied
          argv: [sh, -c, \"{line}\"]
    verify: [health]
"
    );
    World::open_changed(&[("actions:\n", &copy)]).await
}

/// The incident's channel, and the card of its plan there.
async fn planned(world: &World) -> (String, Value) {
    world.types("U0ONCALL", "C0GENERAL", "start sev2 orders are lost").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "run copy").await;
    let card = world.message(&channel, "approve run_1_1");
    (channel, card)
}

async fn says(world: &World, channel: &str, card: &Value, line: &str) {
    let seen = world.ws().wait_for(|_| shown(&world.again(channel, card)).contains(line).then_some(())).await;
    seen.unwrap_or_else(|_| panic!("the card does not say “{line}”: {}", shown(&world.again(channel, card))));
}

#[tokio::test]
async fn the_card_says_how_a_step_goes_and_is_edited_at_most_once_a_second() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let gates = [Gate::make(folder.path(), "first"), Gate::make(folder.path(), "second")];
    let [first, second] = [gates[0].0.display(), gates[1].0.display()];
    let world =
        copying(&format!("echo copied 1 of 900; cat {first}; seq 2 900; echo all are copied; cat {second}")).await;
    let (channel, card) = planned(&world).await;
    let began = Clock::system().now();
    world.ws().person("U0LEAD").click(&channel, &ts(&card), "approve").await.expect("there is a button");
    says(&world, &channel, &card, "      ↳ copied 1 of 900").await;
    assert!(shown(&world.again(&channel, &card)).contains("Running: Copy the orders"));
    gates[0].open().await;
    says(&world, &channel, &card, "      ↳ all are copied").await;
    let mut lines = Vec::new();
    for call in world.ws().calls_of("chat.update") {
        lines.extend(line_told(&call.args).filter(|_| call.args["ts"] == card["ts"]));
    }
    // The decision that begins a step has the card edited, too, and shows the line that is told by then.
    lines.dedup();
    let seconds = Clock::system().now().since(began).0 / 1_000;
    let most = usize::try_from(seconds).expect("it took a while") + 1;
    assert!((2..=most).contains(&lines.len()), "{lines:?} in {seconds} s");
    gates[1].open().await;
    world.settle().await;
    let ended = shown(&world.again(&channel, &card));
    assert!(!ended.contains('↳'), "{ended}");
    let incident = world.incident(1).await;
    let run = incident.runs.values().next().expect("there is a run");
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done });
    // What was told on the way is nobody's history.
    assert!(!world.timeline("U0ONCALL", 1).await.contains("copied 1 of 900"));
    assert_eq!(world.setup.vigie.store.progress(run.id).await.expect("the store answers"), None);
    world.close().await;
}

#[tokio::test]
async fn what_the_database_did_not_take_of_how_a_step_goes_is_told_once_it_does() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let gate = Gate::make(folder.path(), "gate");
    let world = copying(&format!("echo copied 1 of 900; cat {}", gate.0.display())).await;
    let (channel, card) = planned(&world).await;
    world.database.does("ALTER TABLE progress RENAME TO progress_away").await;
    world.ws().person("U0LEAD").click(&channel, &ts(&card), "approve").await.expect("there is a button");
    let is_refused = async || (logged("how a step goes could not be kept") > 0).then_some(());
    until("it cannot be kept", PATIENCE, is_refused).await;
    world.database.does("ALTER TABLE progress_away RENAME TO progress").await;
    // The card could not be drawn meanwhile, and is tried again later.
    world.clock.passes(Millis::minutes(1));
    says(&world, &channel, &card, "      ↳ copied 1 of 900").await;
    gate.open().await;
    world.settle().await;
    world.close().await;
}
