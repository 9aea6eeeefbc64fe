//! Slack fails in the middle of a start: nothing is lost, nothing is made twice.

use std::time::Duration;

use vigie::incident::id::IncidentId;
use vigie::incident::people::Way;
use vigie::incident::state::PageOutcome;
use vigie::incident::time::Millis;
use vigie::practice::phones::DeliveryKind;
use vigie::practice::{Trouble, Workspace};

use crate::faults::until;
use crate::nowhere::logged;
use crate::world::{World, texts, ts};

/// Every method that a start calls, and the address that its answer goes to.
const START_PATH: [&str; 11] = [
    "conversations.open",
    "conversations.create",
    "conversations.setTopic",
    "conversations.setPurpose",
    "bookmarks.list",
    "bookmarks.add",
    "chat.postMessage",
    "chat.update",
    "pins.add",
    "conversations.invite",
    "response_url",
];

/// Starts an incident while `times` calls of each method meet this trouble, and demands that nothing is missing or
/// there twice.
async fn start_survives(world: &World, number: i64, methods: &[&str], times: u32, trouble: &Trouble) {
    println!("{number}: {methods:?} {times} times {trouble:?}");
    for method in methods {
        world.ws().faults().next(method, times, trouble.clone());
    }
    let title = format!("trouble number {number} of the night");
    world.types("U0ONCALL", "C0GENERAL", &format!("start sev2 {title}")).await;
    let unmet = world.ws().faults().left();
    world.ws().faults().clear();
    assert_eq!(unmet, 0, "every trouble was met");
    world.is_whole(number).await;

    let incident = world.incident(number).await;
    for page in incident.pages.values() {
        assert!(matches!(page.outcome, PageOutcome::Delivered { .. }), "{:?} {:?}", page.way, page.outcome);
    }
    let page = incident.pages.iter().find(|(_, page)| page.way == Way::Slack).map(|(id, _)| id.to_string());
    let page = page.expect("the on-call engineer is paged in Slack");
    assert_eq!(world.cards(&world.dm("U0ONCALL"), number, &page).len(), 1, "the page is there once");
    let mails = world.setup.phones.deliveries();
    let mails = mails.iter().filter(|mail| mail.kind == DeliveryKind::Email && mail.subject.contains(&title)).count();
    assert_eq!(mails, 1, "one e-mail");
    world.whisper("U0ONCALL", &format!("inc_{number} is declared"));
}

async fn each_method_by_itself(trouble: Trouble) {
    let world = World::open().await;
    for (number, method) in (1..).zip(START_PATH) {
        start_survives(&world, number, &[method], 1, &trouble).await;
    }
    start_survives(&world, 12, &["conversations.create", "chat.postMessage", "pins.add"], 3, &trouble).await;
    world.close().await;
}

#[tokio::test]
async fn a_server_error_of_any_method_delays_a_start_and_nothing_more() {
    each_method_by_itself(Trouble::ServerError).await;
}

#[tokio::test]
async fn a_server_error_after_the_work_was_done_makes_nothing_twice() {
    each_method_by_itself(Trouble::ServerErrorAfterWork).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_nothing_twice() {
    each_method_by_itself(Trouble::CutAfter).await;
}

/// The answer to a card is lost, and Slack puts off the search for it: that the search did nothing says nothing of the
/// card.
#[tokio::test]
async fn a_search_that_slack_puts_off_is_made_before_anything_is_posted_again() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    world.ws().faults().next("chat.postMessage", 1, Trouble::CutAfter);
    world.ws().faults().next("conversations.history", 1, Trouble::RateLimited { retry_after_s: 7 });
    world.types("U0ONCALL", &channel, "rollback").await;
    assert_eq!(world.ws().faults().left(), 0, "every trouble was met");
    assert_eq!(world.cards(&channel, 1, "run_1_1").len(), 1, "the plan is there once");
    world.close().await;
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_work_is_made_up_for() {
    each_method_by_itself(Trouble::CutBefore).await;
}

/// A `response_url` is answered with a bare word, so there a 200 is all that can be known.
#[tokio::test]
async fn an_answer_that_is_no_json_is_made_up_for() {
    let world = World::open().await;
    let methods = START_PATH.into_iter().filter(|method| *method != "response_url");
    for (number, method) in (1..).zip(methods) {
        start_survives(&world, number, &[method], 1, &Trouble::Garbage).await;
    }
    world.close().await;
}

/// A proxy that wants a sign-in, or a firewall that refuses, for a while.
#[tokio::test]
async fn what_stands_between_vigie_and_slack_delays_a_start_and_nothing_more() {
    let world = World::open().await;
    for (number, (method, status)) in (1..).zip(START_PATH.into_iter().zip([403, 407, 302, 401].into_iter().cycle())) {
        start_survives(&world, number, &[method], 1, &Trouble::Between(status)).await;
    }
    world.close().await;
}

#[tokio::test]
async fn an_error_of_slacks_own_is_tried_again() {
    each_method_by_itself(Trouble::Error("internal_error".into())).await;
}

#[tokio::test]
async fn a_429_is_waited_for_as_long_as_slack_says() {
    let world = World::open().await;
    let limited = Trouble::RateLimited { retry_after_s: 7 };
    for (number, method) in (1..).zip(START_PATH) {
        start_survives(&world, number, &[method], 1, &limited).await;
        let calls = world.ws().calls_of(method);
        for (place, refused) in calls.iter().enumerate().filter(|(_, call)| call.status == 429) {
            let again = calls[place + 1..].iter().find(|call| call.args == refused.args);
            let waited = again.map(|again| again.at_ms - refused.at_ms);
            assert!(waited.is_none_or(|waited| waited >= 7_000), "{method} was called again after {waited:?} ms");
        }
    }
    world.close().await;
}

#[tokio::test]
async fn a_card_to_act_upon_does_not_wait_for_edits_that_slack_puts_off() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    for method in ["chat.update", "conversations.setTopic"] {
        world.ws().faults().next(method, 1, Trouble::RateLimited { retry_after_s: 50 });
    }
    for text in ["severity sev1", "rollback"] {
        let ack = world.ws().person("U0ONCALL").command(&channel, "/incident", text).await;
        assert_eq!(ack.failure, None, "/incident {text}");
        world.settle_now().await;
    }
    assert_eq!(world.ws().faults().left(), 0, "every trouble was met");
    let edited = |world: &World| world.ws().calls_of("chat.update").iter().filter(|call| call.status == 200).count();
    let before = edited(&world);
    let plan = world.cards(&channel, 1, "run_1_1");
    assert_eq!(plan.len(), 1, "the plan is there, and the clock stood still");
    world.settle().await;
    assert!(edited(&world) > before, "the edits come when Slack takes them");
    world.is_whole(1).await;
    world.close().await;
}

/// Slack takes ten seconds to be given up, in real time: every method has a world of its own, side by side.
async fn each_method_at_once(trouble: Trouble) {
    let worlds = START_PATH.map(|method| {
        let trouble = trouble.clone();
        async move {
            let world = World::open().await;
            start_survives(&world, 1, &[method], 1, &trouble).await;
            world.close().await;
        }
    });
    futures_util::future::join_all(worlds).await;
}

#[tokio::test]
async fn a_method_that_never_answers_is_given_up_and_tried_again() {
    each_method_at_once(Trouble::Hang).await;
}

#[tokio::test]
async fn a_method_that_works_and_never_answers_makes_nothing_twice() {
    each_method_at_once(Trouble::HangAfterWork).await;
}

#[tokio::test]
async fn a_slack_that_is_down_delays_the_channel_and_not_the_page() {
    let world = World::open().await;
    world.ws().faults().until_cleared("*", Trouble::ServerError);
    let ack = world.ws().person("U0ONCALL").command("C0GENERAL", "/incident", "start sev2 all is dark").await;
    assert_eq!(ack.failure, None, "the command came by the open socket");
    world.settle_now().await;
    let mail = world.setup.phones.deliveries().pop().expect("the e-mail went out at once");
    assert_eq!((mail.to.as_str(), mail.at_ms), ("oncall@example.com", world.clock.now().0));

    // Half a minute on, the page by Slack gives way to a text message, while Slack is still down.
    for _ in 0..12 {
        world.seconds(10).await;
    }
    let incident = world.incident(1).await;
    assert_eq!(incident.channel, None);
    let sms = incident.pages.values().find(|page| page.way == Way::Sms).expect("the next way is tried");
    assert!(matches!(sms.outcome, PageOutcome::Delivered { .. }), "{:?}", sms.outcome);
    for _ in 0..8 {
        world.seconds(60).await;
    }

    world.ws().faults().clear();
    world.settle().await;
    world.is_whole(1).await;
    world.whisper("U0ONCALL", "inc_1 is declared");
    world.close().await;
}

#[tokio::test]
async fn a_page_that_slack_puts_off_for_too_long_goes_another_way() {
    let world = World::open().await;
    world.ws().faults().next("conversations.open", 1, Trouble::RateLimited { retry_after_s: 120 });
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let incident = world.incident(1).await;
    let ways: Vec<(Way, bool)> =
        incident.pages.values().map(|page| (page.way, matches!(page.outcome, PageOutcome::Delivered { .. }))).collect();
    assert_eq!(ways, [(Way::Slack, false), (Way::Email, true), (Way::Sms, true)]);
    world.is_whole(1).await;
    world.close().await;
}

#[tokio::test]
async fn a_workspace_that_allows_no_channel_is_told_so_and_paging_goes_on() {
    let world = World::open().await;
    world.ws().faults().until_cleared("conversations.create", Trouble::Error("restricted_action".into()));
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let incident = world.incident(1).await;
    assert_eq!(incident.channel, None);
    assert!(incident.pages.values().all(|page| matches!(page.outcome, PageOutcome::Delivered { .. })));
    world.message(crate::world::INCIDENTS, "checkout returns 500");
    let timeline = world.setup.vigie.store.timeline(incident.id).await.expect("the store answers");
    let faults: Vec<_> = timeline.iter().filter(|entry| entry.fact.kind() == "chat_failed").collect();
    assert!(!faults.is_empty(), "the refusal is on record");
    // The page can be answered, and says what is known.
    let dm = world.dm("U0ONCALL");
    let page = world.dms("U0ONCALL").pop().expect("a page came");
    world.clicks("U0ONCALL", &dm, &crate::world::ts(&page), "ack").await;
    assert!(world.incident(1).await.acknowledged.is_some());
    world.types("U0ONCALL", "C0GENERAL", "timeline --in inc_1").await;
    world.whisper("U0ONCALL", "could not be opened");
    world.close().await;
}

#[tokio::test]
async fn a_socket_that_is_cut_in_the_middle_is_opened_again_and_nothing_is_lost() {
    let world = World::open().await;
    world.ws().faults().next("conversations.create", 1, Trouble::CutAfter);
    let typed = world.ws().person("U0ONCALL");
    let ack = typed.command("C0GENERAL", "/incident", "start sev2 checkout returns 500").await;
    assert_eq!(ack.failure, None);
    world.ws().abort_sockets();
    world.settle().await;
    world.is_whole(1).await;
    world.connected().await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "ack").await;
    assert!(world.incident(1).await.acknowledged.is_some());
    world.close().await;
}

#[tokio::test]
async fn the_same_envelope_twice_does_everything_once() {
    let world = World::open().await;
    world.ws().duplicate_next_envelopes(1);
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    world.is_whole(1).await;
    let open = world.setup.vigie.store.open_incidents().await.expect("the store answers");
    assert_eq!(open.count, 1);
    let channel = world.channel(1).await;
    world.ws().duplicate_next_envelopes(1);
    world.types("U0ONCALL", &channel, "note seen once").await;
    let timeline = world.setup.vigie.store.timeline(open.worst[0].id).await.expect("the store answers");
    assert_eq!(timeline.iter().filter(|entry| entry.fact.kind() == "note_added").count(), 1);
    world.close().await;
}

#[tokio::test]
async fn an_acknowledgement_that_is_lost_costs_nothing_but_the_second_delivery() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    let said = world
        .ws()
        .person("U0LEAD")
        .join(&channel)
        .and_then(|()| world.ws().person("U0LEAD").say(&channel, "the deploy was at two"));
    let said = said.expect("the lead speaks");
    world.settle().await;
    world.ws().lose_next_acks(1);
    world.ws().person("U0LEAD").react(&channel, &said, "pushpin").expect("a reaction");
    world.ws().wait_for(|ws| (ws.acks_to_lose() == 0).then_some(())).await.expect("an acknowledgement is lost");
    world.setup.vigie.advance(Millis::seconds(4)).await.expect("the store answers");
    world.ws().tick();
    world.settle().await;
    let incident = world.incident(1).await;
    assert_eq!(incident.captured.len(), 1);
    let late = world.ws().take_violations();
    assert!(late.iter().all(|violation| violation.rule == "late_ack"), "only the ordered loss: {late:?}");
    world.close().await;
}

#[tokio::test]
async fn what_the_database_cannot_take_is_delivered_again_and_whoever_clicked_is_told() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.joins("U0LEAD", &channel).await;
    let said = world.ws().person("U0LEAD").say(&channel, "the deploy was at two").expect("the lead speaks");
    world.settle().await;
    let (dm, page) = (world.dm("U0ONCALL"), world.dms("U0ONCALL").pop().expect("a page came"));
    world.database.does("ALTER TABLE inbox RENAME TO inbox_away").await;
    let refused = logged("an event was not taken");
    world.ws().person("U0LEAD").react(&channel, &said, "pushpin").expect("a reaction");
    let clicked = world.ws().person("U0ONCALL").click(&dm, &ts(&page), "ack").await;
    assert_eq!(clicked.expect("it can be clicked").failure, None);
    let told = |ws: &Workspace| {
        texts(&ws.ephemerals("U0ONCALL")).contains("That did not work, and nothing was changed").then_some(())
    };
    world.ws().wait_for(told).await.expect("whoever clicked is told");
    let is_refused = async || (logged("an event was not taken") > refused).then_some(());
    until("the event is not kept", Duration::from_secs(20), is_refused).await;
    assert!(world.ws().envelopes_waiting() > 0, "it is not acknowledged");
    world.database.does("ALTER TABLE inbox_away RENAME TO inbox").await;
    world.setup.vigie.advance(Millis::seconds(4)).await.expect("the store answers");
    world.ws().tick();
    world.settle().await;
    assert_eq!(world.incident(1).await.captured.len(), 1, "it is delivered again, and kept");
    let late = world.ws().take_violations();
    assert!(late.iter().all(|violation| violation.rule == "late_ack"), "only what the database refused: {late:?}");
    world.close().await;
}

/// Whether somebody's account is in use is asked beside the page, for Slack takes messages for one that is not.
#[tokio::test]
async fn a_page_that_stands_in_slack_is_known_to_be_there_though_slack_says_nothing_of_the_person() {
    let world = World::open().await;
    world.ws().faults().until_cleared("users.info", Trouble::Hang);
    let started = world.ws().person("U0ONCALL").command("C0GENERAL", "/incident", "start sev2 one").await;
    assert_eq!(started.failure, None);
    let is_known = async || {
        let incident = world.setup.vigie.store.incident(IncidentId(1)).await.expect("the store answers")?;
        let mut pages = incident.pages.values().filter(|page| page.way == Way::Slack);
        pages.any(|page| matches!(page.outcome, PageOutcome::Delivered { .. })).then_some(())
    };
    until("the page is known to be there", Duration::from_secs(60), is_known).await;
    let asked = world.ws().calls_of("users.info");
    assert!(!asked.is_empty() && asked.iter().all(|call| !call.is_ok()), "it was asked, and has not answered");
    assert_eq!(logged("whether the account is in use is not known"), 0, "nobody waited for as long as a call may take");
    world.ws().faults().clear();
    world.close().await;
}
