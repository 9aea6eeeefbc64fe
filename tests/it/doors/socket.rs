//! Socket Mode breaks in every way it can, and nobody is left unheard.

use vigie::incident::id::IncidentId;

use super::world::World;

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
