//! Socket Mode breaks in every way it can, and nobody is left unheard.

use std::future::Future;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::watch;
use vigie::incident::id::IncidentId;
use vigie::practice::Trouble;
use vigie::slack::{Health, Inbound, Patience, Slack, SlackConfig, SocketDoor};

use super::world::{World, patience};

async fn is_heard(world: &World) {
    let told = world.say("lead", "start sev2 checkout returns 500").await;
    assert!(told.is_some());
    assert!(world.store.incident(IncidentId(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn two_connections_stand_side_by_side() {
    let world = World::open().await;
    let gauge = world.health.gauge();
    assert_eq!((gauge.links, gauge.hellos, gauge.fault), (2, 2, None));
    assert!(gauge.connected_since.is_some() && gauge.last_heard.is_some());
}

#[tokio::test]
async fn cut_connections_are_opened_again_at_once() {
    let world = World::open().await;
    world.ws().abort_sockets();
    world.until(|_| world.health.gauge().hellos >= 4).await;
    world.until(|ws| ws.open_sockets() == 2).await;
    is_heard(&world).await;
}

#[tokio::test]
async fn a_refresh_never_leaves_fewer_connections_than_before() {
    let world = World::open().await;
    world.ws().disconnect_sockets("warning");
    let mut fewest = usize::MAX;
    world
        .ws()
        .wait_for(|ws| {
            fewest = fewest.min(ws.open_sockets());
            (world.health.gauge().hellos >= 4).then_some(())
        })
        .await
        .unwrap();
    assert!(fewest >= 2, "{fewest}");
    is_heard(&world).await;
    world.assert_no_violations();
}

#[tokio::test]
async fn a_peer_that_fell_silent_is_noticed_and_replaced() {
    let world = World::open().await;
    world.ws().silence_sockets();
    world.until(|ws| ws.open_sockets() == 2).await;
    // The dead connections look open to Slack for a while, and swallow what it sends there.
    let lead = world.person("lead");
    let line = "start sev2 checkout returns 500";
    let said = futures_util::future::join_all((0..4).map(|_| lead.command("ops", "/incident", line)));
    let (acks, heard) = tokio::join!(said, async {
        let heard = world.until_incident(|_| true).await;
        world.clock.advance(vigie::incident::time::Millis::seconds(4));
        heard
    });
    assert_eq!(heard.title, "checkout returns 500");
    assert!(acks.iter().any(|ack| ack.failure.is_none()));
}

#[tokio::test]
async fn a_switched_off_socket_mode_is_reported_and_survived() {
    let world = World::open().await;
    world.ws().disconnect_sockets("link_disabled");
    world.until(|_| world.health.gauge().fault.is_some()).await;
    assert!(world.health.gauge().fault.unwrap().contains("switched off"));
    world.ws().enable_socket_mode();
    world.until(|_| world.health.gauge().fault.is_none()).await;
    world.until(|ws| ws.open_sockets() == 2).await;
    is_heard(&world).await;
}

#[tokio::test]
async fn envelopes_are_taken_side_by_side() {
    let world = World::open().await;
    // One dialog opens slowly; a command beside it is not held up.
    let slow = vigie::practice::Trouble::Slow(std::time::Duration::from_millis(1_500));
    world.ws().faults().next("views.open", 2, slow);
    let lead = world.person("lead");
    let cto = world.person("cto");
    let security = world.person("security");
    let (first, second, quick) = tokio::join!(
        lead.command("ops", "/incident", "start"),
        cto.command("ops", "/incident", "start"),
        security.command("ops", "/incident", "start sev2 checkout returns 500"),
    );
    assert_eq!((first.failure, second.failure, quick.failure), (None, None, None));
    assert!(quick.elapsed < first.elapsed / 2, "{:?} beside {:?}", quick.elapsed, first.elapsed);
}

#[tokio::test]
async fn what_was_read_is_stored_and_acknowledged_before_vigie_stops() {
    let world = World::open().await;
    let lead = world.person("lead");
    let (ack, ()) = tokio::join!(lead.command("ops", "/incident", "start sev2 checkout returns 500"), async {
        // The envelope is on its way by now.
        tokio::task::yield_now().await;
        world.stop.cancel();
    });
    world.decide_all().await;
    let stored = world.store.incident(IncidentId(1)).await.unwrap().is_some();
    // Either it was read, and then it is stored and acknowledged, or it was not, and then Slack tells the person.
    assert_eq!(ack.failure.is_none(), stored);
}

#[tokio::test]
async fn a_waiting_time_that_slack_names_for_connections_is_kept() {
    let world = World::quiet().await;
    let limited = Trouble::RateLimited { retry_after_s: 1 };
    world.ws().faults().next("apps.connections.open", 2, limited);
    let begun = std::time::Instant::now();
    world.connect().await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

/// What stands between may say no in Slack's place for a while.
#[tokio::test]
async fn a_refusal_that_looks_final_is_asked_about_as_soon_as_any_other() {
    let world = World::quiet().await;
    world.ws().faults().next("apps.connections.open", 4, Trouble::Error("invalid_auth".into()));
    let never_by_itself = Patience { disabled_pause: Duration::from_secs(3_600), ..patience() };
    connect_to(&world, world.practice.api_url().to_owned(), never_by_itself);
    world.until(|ws| ws.open_sockets() == 1).await;
}

/// A Slack with one way to treat every connection: its address, and how many it has taken.
async fn treating<F, Treated>(treat: F) -> (String, watch::Receiver<usize>)
where
    F: Fn(WebSocket) -> Treated + Clone + Send + Sync + 'static,
    Treated: Future<Output = ()> + Send + 'static,
{
    let (taken, count) = watch::channel(0);
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = tcp.local_addr().expect("an address");
    let link = move |upgrade: WebSocketUpgrade| {
        let (taken, treat) = (taken.clone(), treat.clone());
        std::future::ready(upgrade.on_upgrade(move |socket| {
            taken.send_modify(|taken| *taken += 1);
            treat(socket)
        }))
    };
    let open = move || async move { Json(json!({"ok": true, "url": format!("ws://{address}/link")})) };
    let routes = Router::new().route("/api/apps.connections.open", post(open)).route("/link", get(link));
    tokio::spawn(async move { axum::serve(tcp, routes).await });
    (format!("http://{address}/api"), count)
}

/// Connects with one link to such a Slack.
fn connect_to(world: &World, api_url: String, patience: Patience) {
    let config = SlackConfig {
        bot_token: world.practice.bot_token().into(),
        app_token: Some(world.practice.app_token().into()),
        signing_secret: None,
        api_url,
    };
    let slack = Slack::new(&config, world.clock.clone()).unwrap();
    let (rules, render) = (world.rules.clone(), world.render.clone());
    let inbound = Inbound::new(world.store.clone(), world.clock.clone(), rules, render, slack);
    let one = Patience { links: 1, ..patience };
    tokio::spawn(SocketDoor::new(inbound, Health::default(), one).run(world.stop.clone()));
}

async fn until_taken(count: &mut watch::Receiver<usize>, at_least: usize) {
    let taken = tokio::time::timeout(Duration::from_secs(20), count.wait_for(|taken| *taken >= at_least)).await;
    taken.expect("another one is opened").expect("the peer stands");
}

#[tokio::test]
async fn a_connection_that_is_alive_and_never_greeted_is_given_up() {
    let world = World::quiet().await;
    let (api_url, mut taken) = treating(|mut socket| async move {
        let mut next = tokio::time::interval(Duration::from_millis(10));
        while socket.send(Message::Ping("ping".into())).await.is_ok() {
            next.tick().await;
        }
    })
    .await;
    connect_to(&world, api_url, Patience { answer_within: Duration::from_millis(300), ..patience() });
    until_taken(&mut taken, 2).await;
}

/// As where more connections are open than Slack allows: each new one is greeted, and then sent away.
#[tokio::test]
async fn connections_that_are_sent_away_at_once_are_not_opened_in_circles() {
    let world = World::quiet().await;
    let (api_url, mut taken) = treating(|mut socket| async move {
        let farewell = json!({"type": "disconnect", "reason": "too_many_websockets"});
        for frame in [json!({"type": "hello"}), farewell] {
            if socket.send(Message::Text(frame.to_string().into())).await.is_err() {
                return;
            }
        }
        while let Some(Ok(_)) = socket.recv().await {}
    })
    .await;
    let patience = patience();
    let pauses = [1, 2, 4, 8].map(|doubled| (patience.first_pause * doubled).min(patience.longest_pause));
    // A pause is half of its length at least, and all of it at most.
    let least: Duration = pauses.iter().sum::<Duration>() / 2;
    let begun = std::time::Instant::now();
    connect_to(&world, api_url, patience);
    until_taken(&mut taken, 1 + pauses.len()).await;
    assert!(begun.elapsed() >= least, "{:?} for {} pauses", begun.elapsed(), pauses.len());
}
