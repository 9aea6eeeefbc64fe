//! Vigie looks after itself, and says aloud when it cannot do its work (durability rule 10).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use vigie::incident::id::IncidentId;
use vigie::incident::time::{Instant, Millis};
use vigie::practice::Trouble;
use vigie::practice::phones::{Door, Fault};
use vigie::slack::{CANARY_HEARD, Slack};
use vigie::store::{Store, Target};

use crate::database::{Database, Kind};
use crate::faults;
use crate::nowhere::logged;
use crate::store::{take_all, typed};
use crate::world::{INCIDENTS, World, shown, texts};

const START: &str = "start sev2 checkout returns 500";
const CANARY: &str = "C0GENERAL";

/// A service that counts heartbeats.
pub struct Alive {
    url: String,
    beats: Arc<AtomicUsize>,
}

impl Alive {
    pub async fn open() -> Self {
        let beats = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&beats);
        let beat = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async { "ok" }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/alive", listener.local_addr().expect("an address"));
        let routes = axum::Router::new().route("/alive", get(beat));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, beats }
    }

    pub fn beats(&self) -> usize {
        self.beats.load(Ordering::SeqCst)
    }

    async fn beats_beyond(&self, before: usize) {
        until("the heart beats", || self.beats() > before).await;
    }
}

/// The practice team with `watch:` set up.
pub async fn watched(alive: &Alive, canary: &str) -> World {
    let watch = format!("watch:\n  tell: [lead]\n  heartbeat: {}\n{canary}\nworkspace:", alive.url);
    World::open_changed(&[("workspace:", &watch)]).await
}

/// The line of the configuration that lets the canary sing.
pub fn sings() -> String {
    format!("  canary: {CANARY}\n")
}

/// A look of the watch has come by then, on a machine with much else to do, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a look of the watch, which comes with time, has shown itself.
async fn until(what: &str, mut seen: impl FnMut() -> bool) {
    faults::until(what, PATIENCE, async || seen().then_some(())).await;
}

/// How often the lead was told this by something that is not Slack.
fn told(world: &World, what: &str) -> usize {
    world.setup.phones.deliveries().iter().filter(|delivery| delivery.body.contains(what)).count()
}

/// Waits until each has sung, and one of those who share the database has heard it after it last sang.
async fn the_canary_is_heard_by_somebody(store: &Store, singers: &[&Slack]) {
    let is_heard = async || {
        let heard = store.number(CANARY_HEARD).await.expect("it reads").map(Instant);
        singers.iter().all(|one| one.canary_sung_at().is_some_and(|sung| heard >= Some(sung))).then_some(())
    };
    faults::until("the canary is heard", PATIENCE, is_heard).await;
}

/// Waits until the canary that sang last was heard.
pub async fn the_canary_is_heard(world: &World) {
    until("the canary is heard", || {
        let slack = &world.setup.vigie.slack;
        slack.canary_sung_at().is_some() && slack.canary_unheard().is_empty()
    })
    .await;
    world.settle().await;
}

#[tokio::test]
async fn an_absence_is_told_once_in_each_open_incident_and_made_up_for() {
    let mut world = World::open().await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    world.types("U0SUPPORT", "C0GENERAL", "start sev3 the search is slow").await;
    let (first, second) = (world.channel(1).await, world.channel(2).await);
    world.types("U0SUPPORT", "C0GENERAL", "resolve --in inc_2 it was the network").await;
    world.sleeps(17).await;

    let told = world.message(&first, "Vigie was away for");
    assert!(shown(&told).contains("The next level should have been paged meanwhile"), "{}", shown(&told));
    assert_eq!(world.incident(1).await.ladder.level, 1, "and it is paged now");
    let again = texts(&world.ws().messages(&second));
    assert!(!again.contains("was away"), "an incident that is over is left alone: {again}");

    world.restart().await;
    world.settle().await;
    let times = world.ws().messages(&first).iter().filter(|message| shown(message).contains("was away")).count();
    assert_eq!(times, 1, "a short restart is no absence");
    world.close().await;
}

/// How often an incident's channel was told of an absence.
pub fn told_of_an_absence(world: &World, channel: &str) -> usize {
    world.ws().messages(channel).iter().filter(|message| shown(message).contains("was away")).count()
}

/// Waits until the watch has said in the store that somebody works at this moment.
async fn the_watch_looks(world: &World) {
    let works = async || {
        let alive_at = world.setup.vigie.store.number("alive_at").await.ok().flatten();
        (alive_at == Some(world.clock.now().0)).then_some(())
    };
    faults::until("the watch looks", PATIENCE, works).await;
}

async fn somebody_works(world: &World) {
    the_watch_looks(world).await;
    world.settle_now().await;
}

/// As after SIGSTOP, or for a machine that was suspended: nobody starts anew.
#[tokio::test]
async fn who_stood_still_tells_of_it_once_and_moved_hands_are_no_absence() {
    let world = World::open().await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    let channel = world.channel(1).await;
    somebody_works(&world).await;
    world.pass(17).await;
    somebody_works(&world).await;
    assert_eq!(told_of_an_absence(&world, &channel), 0, "somebody moved the hands");
    for times in 1..=2 {
        world.clock.passes(Millis::minutes(17));
        world.ws().tick();
        somebody_works(&world).await;
        world.settle().await;
        assert_eq!(told_of_an_absence(&world, &channel), times, "told once each time");
    }
    world.close().await;
}

#[tokio::test]
async fn a_database_that_was_away_is_an_absence_that_is_told_once() {
    let world = World::open().await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    let channel = world.channel(1).await;
    somebody_works(&world).await;
    // No statement that looks for work is understood meanwhile.
    world.database.does("ALTER TABLE counter RENAME TO counter_away").await;
    let before = logged("could not look after itself");
    world.clock.advance(Millis::minutes(17));
    until("a look fails", || logged("could not look after itself") > before).await;
    world.database.does("ALTER TABLE counter_away RENAME TO counter").await;
    until("the incident is told", || told_of_an_absence(&world, &channel) == 1).await;
    world.settle().await;
    world.pass(2).await;
    somebody_works(&world).await;
    assert_eq!(told_of_an_absence(&world, &channel), 1, "and not again");
    world.close().await;
}

/// Lets a minute pass in which everybody worked, and be looked at.
async fn a_minute_passes(world: &World) {
    world.clock.passes(Millis::minutes(1));
    somebody_works(world).await;
}

/// What `/readyz` answers.
async fn ready(world: &World) -> (StatusCode, String) {
    asked(world, "/readyz").await
}

/// What Vigie answers to machines there.
async fn asked(world: &World, path: &str) -> (StatusCode, String) {
    let asked = axum::http::Request::get(path).body(axum::body::Body::empty()).expect("a request");
    let answer = world.setup.vigie.routes().oneshot(asked).await.expect("it answers");
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), 100_000).await.expect("a body");
    (status, String::from_utf8(body.to_vec()).expect("a text"))
}

/// Lets a minute pass after the other, and each be looked at, until this is seen.
async fn minute_by_minute(world: &World, what: &str, mut seen: impl FnMut() -> bool) {
    for _ in 0..10 {
        a_minute_passes(world).await;
        if seen() {
            return;
        }
    }
    until(what, seen).await;
}

/// The database takes one of those who are told of an absence at one moment, and no more: so it takes none.
const ONE_AT_A_TIME: &str =
    "CREATE UNIQUE INDEX one_at_a_time ON inbox (arrived_at) WHERE substr(source, 1, 5) = 'away:'";
const NOT_TOLD: &str = "whether anybody was away could not be looked at";

async fn with_three_incidents() -> (World, Vec<String>) {
    let world = World::open().await;
    let mut channels = Vec::new();
    for number in 1..=3 {
        world.types("U0SUPPORT", "C0GENERAL", START).await;
        channels.push(world.channel(number).await);
    }
    (world, channels)
}

async fn each_is_told_once(world: &World, channels: &[String]) {
    until("each is told", || channels.iter().all(|channel| told_of_an_absence(world, channel) > 0)).await;
    world.settle().await;
    world.pass(2).await;
    somebody_works(world).await;
    assert!(channels.iter().all(|channel| told_of_an_absence(world, channel) == 1), "and not again");
}

#[tokio::test]
async fn an_absence_that_could_not_be_told_to_all_is_told_to_all_later() {
    let (world, channels) = with_three_incidents().await;
    somebody_works(&world).await;
    world.database.does(ONE_AT_A_TIME).await;
    world.database.does("ALTER TABLE counter RENAME TO counter_away").await;
    let before = logged("could not look after itself");
    world.clock.advance(Millis::minutes(17));
    until("a look fails", || logged("could not look after itself") > before).await;
    let failed = logged(NOT_TOLD);
    world.database.does("ALTER TABLE counter_away RENAME TO counter").await;
    until("they cannot be told", || logged(NOT_TOLD) > failed).await;
    // A look comes with each minute, right after the try to tell them.
    let failed = logged(NOT_TOLD);
    world.clock.advance(Millis::minutes(1));
    until("they still cannot", || logged(NOT_TOLD) > failed).await;
    assert!(channels.iter().all(|channel| told_of_an_absence(&world, channel) == 0), "all or none");
    world.database.does("DROP INDEX one_at_a_time").await;
    each_is_told_once(&world, &channels).await;
    world.close().await;
}

#[tokio::test]
async fn an_absence_that_could_not_be_told_to_all_at_the_start_is_told_to_all_later() {
    let (mut world, channels) = with_three_incidents().await;
    world.database.does(ONE_AT_A_TIME).await;
    let failed = logged(NOT_TOLD);
    world.sleeps(17).await;
    assert!(logged(NOT_TOLD) > failed);
    world.database.does("DROP INDEX one_at_a_time").await;
    each_is_told_once(&world, &channels).await;
    world.close().await;
}

#[tokio::test]
async fn a_trouble_that_reached_nobody_is_told_again_a_minute_later_and_then_no_more() {
    let alive = Alive::open().await;
    let world = watched(&alive, "").await;
    somebody_works(&world).await;
    // It is late, too: each of the two troubles meets each way at its worst.
    for door in [Door::Call, Door::Sms, Door::Smtp] {
        world.setup.phones.fail_next(door, Fault::TooMany, 2);
    }
    let failed = logged("could not be told that Vigie itself has trouble");
    world.database.put_garbage_into_the_inbox().await;
    world.minutes(1).await;
    until("the lead cannot be told", || logged("could not be told that Vigie itself has trouble") > failed).await;
    assert_eq!(told(&world, "put aside"), 0);
    minute_by_minute(&world, "the lead is told", || told(&world, "put aside") == 1).await;
    for _ in 0..4 {
        world.pass(3).await;
    }
    assert_eq!(told(&world, "put aside"), 1);
    world.close().await;
}

#[tokio::test]
async fn people_who_do_not_answer_hold_up_no_look_and_are_no_absence() {
    let alive = Alive::open().await;
    let watch = format!("watch:\n  tell: [lead, oncall, dba]\n  heartbeat: {}\n\nworkspace:", alive.url);
    let world = World::open_changed(&[("workspace:", &watch)]).await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    let channel = world.channel(1).await;
    somebody_works(&world).await;
    for door in [Door::Smtp, Door::Sms, Door::Call, Door::Hook] {
        world.setup.phones.fail_next(door, Fault::Hang, 20);
    }
    world.database.put_garbage_into_the_inbox().await;
    for _ in 0..4 {
        world.clock.passes(Millis::minutes(1));
        somebody_works(&world).await;
    }
    assert!(logged("trouble=\"watch.put_aside\"") > 0, "they are being told");
    assert_eq!(told_of_an_absence(&world, &channel), 0);
    world.close().await;
}

#[tokio::test]
async fn the_heart_beats_while_all_is_well_and_stops_when_something_was_put_aside() {
    let alive = Alive::open().await;
    let world = watched(&alive, "").await;
    alive.beats_beyond(0).await;
    world.pass(2).await;
    alive.beats_beyond(1).await;

    // A row that no version can read: the others go on, somebody is told by e-mail, and the heart is silent.
    world.database.put_garbage_into_the_inbox().await;
    world.types("U0ONCALL", "C0GENERAL", START).await;
    assert_eq!(world.incident(1).await.title, "checkout returns 500", "the others go on");
    world.pass(2).await;
    until("the lead is told", || told(&world, "put aside") > 0).await;
    let before = alive.beats();
    world.pass(3).await;
    world.pass(3).await;
    assert_eq!(alive.beats(), before, "whoever listens for the heart hears of it");
    assert_eq!(told(&world, "put aside"), 1, "nobody is flooded");
    // Somebody knows by now, and whoever listens for the heart has to hear when something else happens.
    for _ in 0..25 {
        world.pass(3).await;
    }
    alive.beats_beyond(before).await;
    assert_eq!(told(&world, "put aside"), 1);
    world.close().await;
}

#[tokio::test]
async fn of_two_bots_either_may_hear_the_canary_and_neither_is_called_deaf() {
    let database = Database::of(Kind::Postgres).await;
    let alive = Alive::open().await;
    let watch = format!("watch:\n  tell: [lead]\n  heartbeat: {}\n{}\nworkspace:", alive.url, sings());
    let world = World::open_changed_on(database, &[("workspace:", &watch)]).await;
    let other = world.setup.another().await.unwrap_or_else(|fault| panic!("{fault}"));
    let (slack, stop) = (other.slack.clone(), CancellationToken::new());
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { other.run(stop).await }
    });
    let both = [&world.setup.vigie.slack, &slack];
    the_canary_is_heard_by_somebody(&world.setup.vigie.store, &both).await;
    let hellos = world.setup.vigie.health.gauge().hellos;
    for _ in 0..6 {
        let sung = both.map(Slack::canary_sung_at);
        let before = alive.beats();
        world.minutes(5).await;
        until("both sing again", || both.iter().zip(sung).all(|(one, before)| one.canary_sung_at() != before)).await;
        the_canary_is_heard_by_somebody(&world.setup.vigie.store, &both).await;
        world.minutes(1).await;
        alive.beats_beyond(before).await;
    }
    assert_eq!(told(&world, "Slack is not heard"), 0);
    assert_eq!(world.setup.vigie.health.gauge().hellos, hellos, "what works is left alone");
    stop.cancel();
    running.await.expect("it stops without a panic");
    // Time was moved while events were on their way.
    let _ = world.ws().take_violations();
    world.close().await;
}

#[tokio::test]
async fn an_incident_that_nothing_would_wake_any_more_is_woken_by_the_watch() {
    let alive = Alive::open().await;
    let mut world = watched(&alive, "").await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    world.settle().await;
    world.database.does("UPDATE incident SET wake_at = NULL").await;
    world.restart().await;
    world.pass(17).await;
    let climbs = async {
        while world.incident(1).await.ladder.level == 0 {
            world.pass(1).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), climbs).await.expect("the next level is paged");
    until("the lead is told", || told(&world, "would not have been looked at any more") == 1).await;
    world.close().await;
}

#[tokio::test]
async fn a_forgotten_incident_is_found_behind_any_number_that_need_no_wake() {
    let now = crate::script::START;
    let database = Database::fresh().await;
    let store = Store::open(&database.url).await.unwrap();
    for (source, line, incident) in
        [("1", "start sev2 one", None), ("2", "start sev2 two", None), ("3", "resolve x", Some(1))]
    {
        // The second has the number 500.
        database.does("UPDATE counter SET value = 499 WHERE name = 'incident' AND value = 1").await;
        let target = incident.map(|id| Target::incident(IncidentId(id))).unwrap_or_default();
        store.receive(source, target, &typed(line), now).await.unwrap();
        take_all(&store, now).await;
    }
    database.does("UPDATE incident SET wake_at = NULL").await;
    database
        .does(
            "WITH RECURSIVE n(x) AS (SELECT 3 UNION ALL SELECT x + 1 FROM n WHERE x < 203) \
             INSERT INTO incident (id, status, rank, state, seq, declared_at) \
             SELECT n.x, 'acknowledged', i.rank, i.state, i.seq, i.declared_at FROM incident i, n WHERE i.id = 1",
        )
        .await;
    assert_eq!(store.wake_the_forgotten(now).await.unwrap(), [IncidentId(500)]);
}

#[tokio::test]
async fn what_nobody_decides_upon_is_told_and_the_heart_is_silent_meanwhile() {
    let database = Database::of(Kind::Postgres).await;
    let alive = Alive::open().await;
    let watch = format!("watch:\n  tell: [lead]\n  heartbeat: {}\n\nworkspace:", alive.url);
    let world = World::open_changed_on(database, &[("workspace:", &watch)]).await;
    alive.beats_beyond(0).await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    world.settle().await;
    let mut held = world.database.holds_an_incident(1).await;
    let note =
        world.ws().person("U0ONCALL").command("C0GENERAL", "/incident", "note --in inc_1 is anybody there?").await;
    assert!(note.failure.is_none(), "it is taken all the same");
    world.minutes(2).await;
    until("the lead is told", || told(&world, "What is due is done") > 0).await;
    held.commits().await;
    world.settle().await;
    let before = alive.beats();
    world.pass(2).await;
    alive.beats_beyond(before).await;
    world.close().await;
}

#[tokio::test]
async fn the_canary_is_one_message_that_is_edited_and_heard() {
    let alive = Alive::open().await;
    let world = watched(&alive, &sings()).await;
    let canaries =
        || world.ws().messages(CANARY).into_iter().filter(|message| shown(message).contains("🐤")).collect::<Vec<_>>();
    the_canary_is_heard(&world).await;
    assert_eq!(canaries().len(), 1);
    for _ in 0..3 {
        let (before, sung) = (shown(&canaries()[0]), world.setup.vigie.slack.canary_sung_at());
        world.pass(6).await;
        until("it sings again", || world.setup.vigie.slack.canary_sung_at() != sung).await;
        assert_ne!(shown(&canaries()[0]), before, "it is edited");
        the_canary_is_heard(&world).await;
    }
    assert_eq!(canaries().len(), 1, "nobody is flooded");
    world.settle().await;
    assert!(world.setup.phones.deliveries().is_empty(), "all is well: {:?}", world.setup.phones.deliveries());
    world.close().await;
}

/// The connections look alive and bring nothing from now on, not even what the canary sings.
pub async fn it_sings_and_nothing_is_brought(world: &World) {
    let sung_at = || world.setup.vigie.slack.canary_sung_at();
    let sung = sung_at();
    world.ws().mute_sockets();
    world.minutes(6).await;
    until("it has sung", || sung_at() != sung).await;
}

/// Lets a minute pass and be looked at. What mute connections were given waits, so that nothing settles.
pub async fn a_minute_is_looked_at(world: &World) {
    world.minutes(1).await;
    the_watch_looks(world).await;
}

#[tokio::test]
async fn connections_that_bring_nothing_are_noticed_by_the_canary_and_replaced() {
    let alive = Alive::open().await;
    let world = watched(&alive, &sings()).await;
    the_canary_is_heard(&world).await;
    let hellos = world.setup.vigie.health.gauge().hellos;
    it_sings_and_nothing_is_brought(&world).await;
    world.minutes(1).await;
    until("every connection is replaced", || {
        world.setup.vigie.health.gauge().hellos > hellos && world.ws().open_sockets() > 0
    })
    .await;
    until("the lead is told", || told(&world, "Slack is not heard since") > 0).await;
    // Slack gives the mute ones up, and delivers again what went into the silence.
    until("the mute ones are gone", || world.ws().cut_silent_sockets() == 0).await;
    world.minutes(1).await;
    world.types("U0ONCALL", "C0GENERAL", START).await;
    world.is_whole(1).await;
    let _ = world.ws().take_violations();
    world.close().await;
}

/// Deaf is worse than dead: that new connections are tried makes nobody believe that all is well.
#[tokio::test]
async fn while_the_canary_is_not_heard_the_heart_is_silent_and_the_incidents_are_told_afterwards() {
    let alive = Alive::open().await;
    let world = watched(&alive, &sings()).await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    let channel = world.channel(1).await;
    the_canary_is_heard(&world).await;
    it_sings_and_nothing_is_brought(&world).await;
    a_minute_is_looked_at(&world).await;
    let beats = alive.beats();
    let is_pinged = || world.setup.vigie.health.gauge().last_heard == Some(world.clock.now());
    for _ in 0..2 {
        // What is opened instead brings nothing either.
        until("every connection is replaced", || world.ws().open_sockets() == 2).await;
        world.ws().mute_sockets();
        for _ in ["it sings", "it was not heard"] {
            a_minute_is_looked_at(&world).await;
            until("the connections look alive", is_pinged).await;
            let (status, why) = ready(&world).await;
            let is_said = why.contains("Slack has been silent");
            assert!(status == StatusCode::SERVICE_UNAVAILABLE && is_said, "{status} {why}");
        }
    }
    assert_eq!(alive.beats(), beats, "whoever listens for the heart hears of it");
    assert_eq!(told_of_an_absence(&world, &channel), 0, "it is not over yet");

    until("every connection is replaced", || world.ws().open_sockets() == 2).await;
    until("the mute ones are gone", || world.ws().cut_silent_sockets() == 0).await;
    a_minute_is_looked_at(&world).await;
    the_canary_is_heard(&world).await;
    a_minute_is_looked_at(&world).await;
    alive.beats_beyond(beats).await;
    until("the connections look alive", is_pinged).await;
    assert_eq!(ready(&world).await.0, StatusCode::OK);
    until("the incident is told", || told_of_an_absence(&world, &channel) == 1).await;
    world.pass(2).await;
    somebody_works(&world).await;
    assert_eq!(told_of_an_absence(&world, &channel), 1, "and not again");
    let _ = world.ws().take_violations();
    world.close().await;
}

#[tokio::test]
async fn minutes_without_any_connection_are_told_once_in_each_open_incident() {
    let (world, channels) = with_three_incidents().await;
    somebody_works(&world).await;
    until("both connections are open", || world.ws().open_sockets() == 2).await;
    world.ws().faults().until_cleared("apps.connections.open", Trouble::ServerError);
    world.ws().abort_sockets();
    let links = || world.setup.vigie.health.gauge().links;
    until("no connection is left", || links() == 0).await;
    for _ in 0..4 {
        a_minute_passes(&world).await;
    }
    assert!(channels.iter().all(|channel| told_of_an_absence(&world, channel) == 0), "it is not over yet");
    world.ws().faults().clear();
    until("Slack is heard again", || links() > 0).await;
    each_is_told_once(&world, &channels).await;
    let _ = world.ws().take_violations();
    world.close().await;
}

#[tokio::test]
async fn socket_mode_switched_off_by_somebody_is_said_at_once_by_mail_and_where_incidents_are_announced() {
    let alive = Alive::open().await;
    let world = watched(&alive, "").await;
    alive.beats_beyond(0).await;
    world.ws().disconnect_sockets("link_disabled");
    until("the lead is told", || told(&world, "Socket Mode was switched off") == 1).await;
    until("Slack is told", || texts(&world.ws().messages(INCIDENTS)).contains("Socket Mode was switched off")).await;
    assert!(world.setup.vigie.health.gauge().switched_off);
    world.close().await;
}

#[tokio::test]
async fn a_canary_that_slack_does_not_let_sing_is_not_taken_for_deafness() {
    let alive = Alive::open().await;
    let world = watched(&alive, &sings()).await;
    the_canary_is_heard(&world).await;
    let hellos = world.setup.vigie.health.gauge().hellos;
    world.ws().faults().until_cleared("chat.update", Trouble::ServerError);
    for _ in 0..4 {
        let (tried, beats) = (world.ws().calls_of("chat.update").len(), alive.beats());
        world.minutes(6).await;
        until("it tries to sing", || world.ws().calls_of("chat.update").len() > tried).await;
        alive.beats_beyond(beats).await;
    }
    assert_eq!(world.setup.vigie.health.gauge().hellos, hellos, "no connection is given up");
    world.ws().faults().clear();
    let sung = world.setup.vigie.slack.canary_sung_at();
    world.minutes(1).await;
    until("it sings again", || world.setup.vigie.slack.canary_sung_at() != sung).await;
    the_canary_is_heard(&world).await;
    assert!(world.setup.phones.deliveries().is_empty(), "nobody is woken: {:?}", world.setup.phones.deliveries());
    world.close().await;
}

#[tokio::test]
async fn a_canary_whose_channel_vigie_was_removed_from_is_no_deafness_and_it_comes_back() {
    let alive = Alive::open().await;
    let world = watched(&alive, &sings()).await;
    the_canary_is_heard(&world).await;
    let hellos = world.setup.vigie.health.gauge().hellos;
    world.ws().kick_bot(CANARY);
    // It hears that it has to go, and nothing after that.
    world.settle().await;
    let sung_at = || world.setup.vigie.slack.canary_sung_at();
    let sung = sung_at();
    world.minutes(6).await;
    until("it sings where it is not heard", || sung_at() != sung).await;
    world.minutes(1).await;
    until("it begins anew", || sung_at().is_none()).await;
    world.minutes(1).await;
    the_canary_is_heard(&world).await;
    assert_eq!(told(&world, "Slack is not heard"), 0);
    assert_eq!(world.setup.vigie.health.gauge().hellos, hellos, "what works is left alone");
    world.close().await;
}

#[tokio::test]
async fn a_canary_that_may_not_sing_at_all_is_told_of_and_is_no_deafness() {
    let alive = Alive::open().await;
    let world = watched(&alive, &sings()).await;
    the_canary_is_heard(&world).await;
    let hellos = world.setup.vigie.health.gauge().hellos;
    world.ws().archive_channel(CANARY);
    let is_told = || told(&world, "Vigie cannot look whether it still hears Slack") > 0;
    minute_by_minute(&world, "the lead is told", is_told).await;
    assert_eq!(told(&world, "Slack is not heard"), 0);
    assert_eq!(world.setup.vigie.health.gauge().hellos, hellos, "what works is left alone");
    let _ = world.ws().take_violations();
    world.close().await;
}

#[tokio::test]
async fn a_token_that_slack_takes_no_more_is_told_of_and_vigie_is_not_ready_until_it_is_taken_again() {
    let alive = Alive::open().await;
    let world = watched(&alive, &sings()).await;
    the_canary_is_heard(&world).await;
    world.ws().faults().until_cleared("*", Trouble::Error("token_revoked".into()));
    let is_told = || told(&world, "Slack takes Vigie’s token no more") > 0;
    minute_by_minute(&world, "the lead is told", is_told).await;
    let refusal = world.setup.vigie.slack.refusal().expect("it is known");
    assert!(refusal.contains("SLACK_BOT_TOKEN"), "{refusal}");
    assert_eq!(told(&world, "Vigie cannot look"), 0, "one reason is enough");
    let (status, why) = ready(&world).await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && why.contains("SLACK_BOT_TOKEN"), "{status} {why}");
    world.ws().faults().clear();
    minute_by_minute(&world, "it is taken again", || world.setup.vigie.slack.refusal().is_none()).await;
    let beats = alive.beats();
    world.clock.passes(Millis::minutes(1));
    alive.beats_beyond(beats).await;
    // Minutes passed by the hands of the clock alone, so it may say now that Slack was silent.
    let (_, why) = ready(&world).await;
    assert!(!why.contains("SLACK_BOT_TOKEN"), "{why}");
    let _ = world.ws().take_violations();
    world.close().await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_shows_no_backlog_rather_than_the_one_before() {
    let world = World::open().await;
    world.settle().await;
    let waiting = async || {
        let (status, figures) = asked(&world, "/metrics").await;
        assert_eq!(status, StatusCode::OK, "all other figures are told");
        ["vigie_inbox_waiting ", "vigie_outbox_waiting "]
            .map(|figure| figures.lines().find_map(|line| line.strip_prefix(figure)).map(str::to_owned))
    };
    assert_eq!(waiting().await, [Some("0".to_owned()), Some("0".to_owned())]);
    world.setup.vigie.store.close().await;
    assert_eq!(waiting().await, [Some("NaN".to_owned()), Some("NaN".to_owned())]);
}
