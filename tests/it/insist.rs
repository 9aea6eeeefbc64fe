//! What happened outside is known to one process alone until it is kept: while the database fails it is not forgotten, and not
//! done once more.

use std::time::Duration;

use vigie::incident::approval::Outcome;
use vigie::incident::people::Way;
use vigie::incident::state::{PageOutcome, Phase};
use vigie::incident::time::Millis;
use vigie::practice::Trouble;

use crate::faults::until;
use crate::nowhere::logged;
use crate::progress::Gate;
use crate::world::{World, ts};

const PATIENCE: Duration = Duration::from_secs(20);
/// Says the log.
const NOT_KEPT: &str = "what happened could not be kept";

/// Waits until something could not be kept.
async fn it_cannot_be_kept(before: usize) {
    let is_said = async || (logged(NOT_KEPT) > before).then_some(());
    until("it cannot be kept", PATIENCE, is_said).await;
}

#[tokio::test]
async fn a_step_that_ended_while_the_database_failed_is_done_and_nobody_is_asked_what_became_of_it() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let gate = Gate::make(folder.path(), "gate");
    let begun = folder.path().join("begun");
    // Nothing tells afterwards whether it was done.
    let copy = format!(
        "actions:\n  copy:\n    title: Copy the orders\n    service: shop\n    risk: reversible\n    class: planned\n    \
         expected: 1m\n    approval: {{ by: [lead] }}\n    steps:\n      - command: {{ target: orders, risk: reversible, to: copied, \
         argv: [sh, -c, \"echo begun >> {}; cat {}\"] }}\n    verify: [health]\n",
        begun.display(),
        gate.0.display()
    );
    let world = World::open_changed(&[("actions:\n", &copy)]).await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 orders are lost").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "run copy").await;
    let card = world.message(&channel, "approve run_1_1");
    world.ws().person("U0LEAD").click(&channel, &ts(&card), "approve").await.expect("there is a button");
    let says = || std::fs::read_to_string(&begun).unwrap_or_default();
    until("the step begins", PATIENCE, async || (!says().is_empty()).then_some(())).await;
    world.database.does("ALTER TABLE execution RENAME TO execution_away").await;
    let before = logged(NOT_KEPT);
    gate.open().await;
    it_cannot_be_kept(before).await;
    world.database.does("ALTER TABLE execution_away RENAME TO execution").await;
    world.settle().await;
    let incident = world.incident(1).await;
    let run = incident.runs.values().next().expect("there is a run");
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{run:?}");
    assert_eq!(says(), "begun\n");
    world.close().await;
}

#[tokio::test]
async fn what_slack_took_while_the_database_failed_is_not_said_again() {
    let world = World::open().await;
    world.ws().faults().next("response_url", 1, Trouble::Slow(Duration::from_secs(4)));
    let ack = world.ws().person("U0ONCALL").command("C0GENERAL", "/incident", "list").await;
    assert_eq!(ack.failure, None);
    let said = || world.ws().ephemerals("U0ONCALL").len();
    let is_begun = async || {
        let waiting = world.setup.vigie.store.waiting().await.expect("the store answers");
        waiting.iter().any(|(queue, attempts, ..)| queue.starts_with("chat:reply") && *attempts == 1).then_some(())
    };
    until("it is being said", PATIENCE, is_begun).await;
    world.database.does("ALTER TABLE outbox RENAME TO outbox_away").await;
    it_cannot_be_kept(logged(NOT_KEPT)).await;
    assert_eq!(said(), 1);
    world.database.does("ALTER TABLE outbox_away RENAME TO outbox").await;
    world.settle().await;
    // Whatever was leased then would be anybody's by now.
    world.seconds(20).await;
    assert_eq!(said(), 1);
    world.close().await;
}

#[tokio::test]
async fn a_page_is_not_given_up_for_the_time_that_the_database_failed() {
    let world = World::open().await;
    // The first try comes to nothing, as the database does.
    world.ws().faults().next("conversations.open", 1, Trouble::Hang);
    let ack = world.ws().person("U0SUPPORT").command("C0GENERAL", "/incident", "start sev2 orders are lost").await;
    assert_eq!(ack.failure, None);
    let is_begun = async || {
        let waiting = world.setup.vigie.store.waiting().await.expect("the store answers");
        let is_alone = waiting.iter().all(|(queue, attempts, ..)| queue.starts_with("page:slack") && *attempts == 1);
        (is_alone && !waiting.is_empty()).then_some(())
    };
    until("it is all that is under way", PATIENCE, is_begun).await;
    world.database.does("ALTER TABLE outbox RENAME TO outbox_away").await;
    it_cannot_be_kept(logged(NOT_KEPT)).await;
    // Longer than a page is tried one way.
    world.clock.passes(Millis::seconds(40));
    world.database.does("ALTER TABLE outbox_away RENAME TO outbox").await;
    world.settle().await;
    let incident = world.incident(1).await;
    let by_slack = incident.pages.values().find(|page| page.way == Way::Slack).expect("somebody is paged in Slack");
    assert!(matches!(by_slack.outcome, PageOutcome::Delivered { .. }), "{by_slack:?}");
    let _ = world.ws().take_violations();
    world.close().await;
}

/// Nobody is asked twice, and what waits behind it goes on; the watch tells of it.
#[tokio::test]
async fn what_came_of_an_effect_and_is_refused_for_good_is_put_aside_and_the_effect_is_not_done_once_more() {
    let world = World::open().await;
    // Of each incident one page may tell that it was delivered, and no other.
    world
        .database
        .does("CREATE UNIQUE INDEX one_end ON inbox (incident) WHERE replace(input, 'page_delivered', '') <> input")
        .await;
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 orders are lost").await;
    let store = &world.setup.vigie.store;
    assert!(store.put_aside().await.expect("the store answers") > 0);
    world.database.does("DROP INDEX one_end").await;
    let tried = async || {
        let waiting = store.waiting().await.expect("the store answers");
        waiting.into_iter().map(|(queue, attempts, ..)| (queue, attempts)).collect::<Vec<_>>()
    };
    let before = tried().await;
    assert!(before.iter().any(|(queue, _)| queue.starts_with("page:")), "{before:?}");
    // Whatever was leased then would be anybody's by now.
    world.seconds(20).await;
    world.settle().await;
    assert_eq!(tried().await, before);
    let _ = world.ws().take_violations();
    world.close().await;
}
