//! Of each minute in which nobody worked or heard Slack the open incidents are told once, whoever notices (durability rule 10).

use std::time::Duration;

use vigie::incident::id::IncidentId;
use vigie::incident::time::{Instant, Millis};
use vigie::incident::timeline::Fact;
use vigie::practice::Trouble;
use vigie::store::{Store, Target};

use crate::database::Database;
use crate::faults::until;
use crate::script::START;
use crate::store::{take_all, typed};
use crate::watch::{
    Alive, a_minute_is_looked_at, it_sings_and_nothing_is_brought, sings, the_canary_is_heard, told_of_an_absence,
    watched,
};
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(20);
const LEAST: Millis = Millis::minutes(2);

fn minute(number: i64) -> Instant {
    START + Millis::minutes(number)
}

async fn with_an_incident(database: &Database) -> Store {
    let store = Store::open(&database.url).await.unwrap();
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    store
}

/// What the incident was told: from which minute to which.
async fn told(store: &Store) -> Vec<(i64, i64)> {
    take_all(store, minute(60)).await;
    let minutes = |at: u64| (i64::try_from(at).unwrap() - START.0) / 60_000;
    let told = store.timeline(IncidentId(1)).await.unwrap().into_iter().filter_map(|entry| match entry.fact {
        Fact::Fault { words } if words.key == "fault.was_away" => {
            let at = |name: &str| minutes(words.vars[name].as_u64().unwrap());
            Some((at("from"), at("until")))
        }
        _ => None,
    });
    told.collect()
}

#[tokio::test]
async fn of_two_who_notice_at_the_same_time_one_tells_whatever_each_knows() {
    let database = Database::fresh().await;
    let store = with_an_incident(&database).await;
    let (one, other) = tokio::join!(
        store.tell_absence(minute(10), minute(20), LEAST),
        store.tell_absence(minute(9), minute(20), LEAST)
    );
    assert!(one.unwrap() != other.unwrap());
    assert_eq!(told(&store).await.len(), 1);
    // Who noticed a little later has nothing new to tell.
    assert!(!store.tell_absence(minute(9), minute(21), LEAST).await.unwrap());
    assert!(store.tell_absence(minute(9), minute(25), LEAST).await.unwrap());
    assert_eq!(told(&store).await[1], (20, 25));
}

#[tokio::test]
async fn with_an_absence_the_deafness_that_went_before_it_is_told() {
    let database = Database::fresh().await;
    let store = with_an_incident(&database).await;
    store.note_deaf(Some(minute(5))).await.unwrap();
    assert!(store.tell_absence(minute(12), minute(20), LEAST).await.unwrap());
    assert_eq!(told(&store).await, [(5, 20)]);
    // It is deaf still; of what comes later the incidents are told later.
    assert_eq!(store.deaf_since().await.unwrap(), Some(minute(5)));
    assert!(store.tell_absence(minute(28), minute(30), LEAST).await.unwrap());
    assert_eq!(told(&store).await[1], (20, 30));
    store.note_deaf(None).await.unwrap();
    assert!(store.tell_absence(minute(40), minute(44), LEAST).await.unwrap());
    assert_eq!(told(&store).await[2], (40, 44));
}

#[tokio::test]
async fn whoever_starts_the_bot_anew_because_it_hears_nothing_is_told_of_the_time_before() {
    let alive = Alive::open().await;
    let mut world = watched(&alive, &sings()).await;
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 orders are lost").await;
    let channel = world.channel(1).await;
    the_canary_is_heard(&world).await;
    it_sings_and_nothing_is_brought(&world).await;
    a_minute_is_looked_at(&world).await;
    for _ in 0..2 {
        // What is opened instead brings nothing either.
        until("every connection is replaced", PATIENCE, async || (world.ws().open_sockets() == 2).then_some(())).await;
        world.ws().mute_sockets();
        for _ in ["it sings", "it was not heard"] {
            a_minute_is_looked_at(&world).await;
        }
    }
    let deaf_since = world.setup.vigie.store.deaf_since().await.expect("the store answers");
    assert!(deaf_since.is_some(), "it was noticed");
    assert_eq!(told_of_an_absence(&world, &channel), 0, "it is not over yet");
    world.crash().await;
    the_canary_is_heard(&world).await;
    for _ in 0..2 {
        a_minute_is_looked_at(&world).await;
    }
    until("it is told", PATIENCE, async || (told_of_an_absence(&world, &channel) == 1).then_some(())).await;
    let beats = alive.beats();
    a_minute_is_looked_at(&world).await;
    until("the heart beats", PATIENCE, async || (alive.beats() > beats).then_some(())).await;
    assert_eq!(told_of_an_absence(&world, &channel), 1, "and not again");
    let _ = world.ws().take_violations();
    world.close().await;
}

#[tokio::test]
async fn a_door_that_opens_again_ends_its_own_deafness_and_the_canary_adds_nothing_to_it() {
    let alive = Alive::open().await;
    let world = watched(&alive, &sings()).await;
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 orders are lost").await;
    let channel = world.channel(1).await;
    the_canary_is_heard(&world).await;
    until("both connections are open", PATIENCE, async || (world.ws().open_sockets() == 2).then_some(())).await;
    world.ws().faults().until_cleared("apps.connections.open", Trouble::ServerError);
    world.ws().abort_sockets();
    let links = || world.setup.vigie.health.gauge().links;
    until("no connection is left", PATIENCE, async || (links() == 0).then_some(())).await;
    let noted = async || world.setup.vigie.store.deaf_since().await.expect("the store answers");
    for _ in 0..3 {
        if noted().await.is_none() {
            a_minute_is_looked_at(&world).await;
        }
    }
    assert!(noted().await.is_some(), "it was noticed");
    world.ws().faults().clear();
    until("Slack is heard again", PATIENCE, async || (links() > 0).then_some(())).await;
    until("it is no longer noted", PATIENCE, async || noted().await.is_none().then_some(())).await;
    world.settle().await;
    let (told, beats) = (told_of_an_absence(&world, &channel), alive.beats());
    for _ in 0..3 {
        a_minute_is_looked_at(&world).await;
    }
    until("the heart beats", PATIENCE, async || (alive.beats() > beats).then_some(())).await;
    world.settle().await;
    assert_eq!((told_of_an_absence(&world, &channel), noted().await), (told, None));
    let _ = world.ws().take_violations();
    world.close().await;
}

/// Nothing else would ever end it, and each later absence would be told as one that began then.
#[tokio::test]
async fn a_deafness_that_a_former_configuration_noted_is_forgotten_by_one_that_hears() {
    let world = World::open().await;
    world.setup.vigie.store.note_deaf(Some(START)).await.expect("the store answers");
    a_minute_is_looked_at(&world).await;
    let noted = async || world.setup.vigie.store.deaf_since().await.expect("the store answers");
    until("it is forgotten", PATIENCE, async || noted().await.is_none().then_some(())).await;
    world.close().await;
}

/// How long the door was shut is known without the canary.
#[tokio::test]
async fn a_deafness_of_the_door_is_told_though_the_canary_may_not_sing() {
    let alive = Alive::open().await;
    let world = watched(&alive, "  canary: C0NOWHERE\n").await;
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 orders are lost").await;
    let channel = world.channel(1).await;
    let opened = world.setup.vigie.health.gauge().connected_since.expect("the door is open");
    world.setup.vigie.store.note_deaf(Some(opened - Millis::minutes(10))).await.expect("the store answers");
    a_minute_is_looked_at(&world).await;
    until("it is told", PATIENCE, async || (told_of_an_absence(&world, &channel) == 1).then_some(())).await;
    let noted = async || world.setup.vigie.store.deaf_since().await.expect("the store answers");
    until("it is forgotten", PATIENCE, async || noted().await.is_none().then_some(())).await;
    let _ = world.ws().take_violations();
    world.close().await;
}
