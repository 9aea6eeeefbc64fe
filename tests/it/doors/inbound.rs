//! What people do in Slack reaches the record once, or is answered at once.

use serde_json::json;
use vigie::incident::decision::Input;
use vigie::incident::state::Status;
use vigie::incident::timeline::{Card, Fact};
use vigie::practice::SubmitOutcome;
use vigie::store::Target;

use super::world::World;

#[tokio::test]
async fn a_declaration_is_acknowledged_and_becomes_a_channel_with_its_pinned_card() {
    let world = World::open().await;
    let told = world.say("lead", "start sev2 checkout returns 500").await;
    assert!(told.is_some_and(|told| !told.is_empty()));
    let incident = world.incident().await;
    let channel = incident.usable_channel().unwrap();
    assert_eq!(channel.name, "inc-1-checkout-returns-500");
    let card = &incident.cards[&Card::Incident];
    assert_eq!(world.ws().pins(&channel.id.0).len(), 1);
    assert!(world.message(card)["text"].as_str().unwrap().contains("checkout returns 500"));
    assert!(incident.cards.contains_key(&Card::Announcement));
    assert!(world.ws().members(&channel.id.0).contains(&"U0LEAD".to_owned()));
    world.assert_no_violations();
}

#[tokio::test]
async fn a_command_delivered_twice_is_stored_once() {
    let world = World::open().await;
    world.ws().duplicate_next_envelopes(1);
    world.say("lead", "start sev2 checkout returns 500").await;
    assert_eq!(world.store.recent_incidents(10).await.unwrap().len(), 1);
    world.assert_no_violations();
}

#[tokio::test]
async fn a_line_that_is_not_understood_is_answered_and_not_stored() {
    let world = World::open().await;
    let ack = world.person("lead").command("ops", "/incident", "statr sev2 x").await;
    assert!(ack.text().is_some_and(|text| text.contains("start")), "{:?}", ack.text());
    assert!(!world.decide_all().await);
    assert!(world.store.recent_incidents(1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_page_is_acknowledged_with_one_click() {
    let world = World::open().await;
    let incident = world.declare().await;
    let page = incident.cards.iter().find(|(card, _)| matches!(card, Card::Page(_))).unwrap().1.clone();
    let clicked = world.person("oncall").click(&page.channel.0, &page.ts, "Acknowledge").await.unwrap();
    assert_eq!(clicked.failure, None);
    world.settle().await;
    let incident = world.incident().await;
    assert_eq!(incident.status, Status::Acknowledged);
    assert_eq!(incident.acknowledged.unwrap().by.person().unwrap().0, "U0ONCALL");
    world.assert_no_violations();
}

#[tokio::test]
async fn a_refused_click_is_told_to_the_one_who_clicked() {
    let world = World::open().await;
    let incident = world.declare().await;
    let page = incident.cards.iter().find(|(card, _)| matches!(card, Card::Page(_))).unwrap().1.clone();
    // Clicked twice before the card is drawn anew.
    for _ in 0..2 {
        world.person("oncall").click(&page.channel.0, &page.ts, "Acknowledge").await.unwrap();
    }
    world.settle().await;
    let told = world.ws().ephemerals("U0ONCALL");
    assert!(told.iter().any(|told| told["text"].as_str().unwrap().contains("already")), "{told:?}");
    let timeline = world.store.timeline(incident.id).await.unwrap();
    assert_eq!(timeline.iter().filter(|entry| entry.fact == Fact::Acknowledged).count(), 1);
}

#[tokio::test]
async fn a_bare_start_opens_a_dialog_that_declares() {
    let world = World::open().await;
    let ack = world.person("lead").command("ops", "/incident", "start").await;
    assert_eq!((ack.failure, ack.payload.filter(|payload| *payload != json!({}))), (None, None));
    let view = world.ws().top_view("U0LEAD").expect("a dialog is open");
    let outcome = world
        .person("lead")
        .submit(view["id"].as_str().unwrap(), json!({"title": "checkout returns 500"}))
        .await
        .unwrap();
    assert!(matches!(outcome, SubmitOutcome::Cleared | SubmitOutcome::Closed), "{outcome:?}");
    world.settle().await;
    assert_eq!(world.incident().await.title, "checkout returns 500");
    world.assert_no_violations();
}

#[tokio::test]
async fn the_global_shortcut_opens_the_same_dialog() {
    let world = World::open().await;
    world.person("lead").shortcut("start_incident").await.unwrap();
    assert!(world.ws().top_view("U0LEAD").is_some());
}

#[tokio::test]
async fn a_dialog_without_an_incident_is_refused_before_anything_is_typed() {
    let world = World::open().await;
    let ack = world.person("lead").command("ops", "/incident", "resolve").await;
    assert!(ack.text().is_some_and(|text| text.contains("No incident is open")), "{:?}", ack.text());
    assert!(world.ws().top_view("U0LEAD").is_none());
}

#[tokio::test]
async fn home_is_drawn_for_whoever_opens_it() {
    let world = World::open().await;
    world.person("lead").open_home().unwrap();
    world.until(|ws| ws.home("U0LEAD").is_some()).await;
    world.assert_no_violations();
}

#[tokio::test]
async fn a_pinned_message_is_captured_and_follows_its_edits() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    let lead = world.person("lead");
    let ts = lead.say(&channel, "it began at 09:12 & got worse").unwrap();
    lead.react(&channel, &ts, "pushpin").unwrap();
    let held = world.until_incident(|incident| !incident.captured.is_empty()).await;
    let captured = held.captured.values().next().unwrap();
    assert_eq!(captured.text, "it began at 09:12 & got worse");
    assert_eq!(captured.author.as_ref().unwrap().0, "U0LEAD");
    lead.edit(&channel, &ts, "it began at 09:10").unwrap();
    let edited = world.until_incident(|incident| incident.captured.values().any(|held| held.edited.is_some())).await;
    assert_eq!(edited.captured.values().next().unwrap().text, "it began at 09:10");
    lead.unreact(&channel, &ts, "pushpin").unwrap();
    world.until_incident(|incident| incident.captured.values().any(|held| held.withdrawn)).await;
    world.assert_no_violations();
}

#[tokio::test]
async fn a_reply_in_a_thread_is_captured_with_its_thread() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    let lead = world.person("lead");
    let root = lead.say(&channel, "the root").unwrap();
    let reply = lead.reply(&channel, &root, "the reply").unwrap();
    lead.react(&channel, &reply, "round_pushpin").unwrap();
    world.until_incident(|incident| !incident.captured.is_empty()).await;
    let timeline = world.store.timeline(incident.id).await.unwrap();
    let captured = timeline.iter().find_map(|entry| match &entry.fact {
        Fact::MessageCaptured { text, thread, .. } => Some((text.clone(), thread.clone())),
        _ => None,
    });
    assert_eq!(captured, Some(("the reply".to_owned(), Some(root))));
}

#[tokio::test]
async fn the_message_shortcut_captures_and_answers() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    let lead = world.person("lead");
    let ts = lead.say(&channel, "ask <@U0CTO> about <b>").unwrap();
    lead.message_shortcut("add_to_timeline", &channel, &ts).await.unwrap();
    let held = world.until_incident(|incident| !incident.captured.is_empty()).await;
    assert_eq!(held.captured.values().next().unwrap().text, "ask @CTO about <b>");
    assert!(!world.ws().ephemerals("U0LEAD").is_empty());
    world.assert_no_violations();
}

#[tokio::test]
async fn the_message_shortcut_outside_an_incident_is_refused_politely() {
    let world = World::open().await;
    let lead = world.person("lead");
    let ts = lead.say("ops", "nothing special").unwrap();
    lead.message_shortcut("add_to_timeline", "ops", &ts).await.unwrap();
    world.until(|ws| !ws.ephemerals("U0LEAD").is_empty()).await;
    assert!(!world.decide_all().await);
}

#[tokio::test]
async fn a_deleted_message_stays_in_the_record() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    let lead = world.person("lead");
    let ts = lead.say(&channel, "a wrong password in the log").unwrap();
    lead.react(&channel, &ts, "pushpin").unwrap();
    world.until_incident(|incident| !incident.captured.is_empty()).await;
    lead.delete(&channel, &ts).unwrap();
    let after = world.until_incident(|incident| incident.captured.values().any(|held| held.deleted)).await;
    assert_eq!(after.captured.values().next().unwrap().text, "a wrong password in the log");
}

#[tokio::test]
async fn an_archived_channel_is_lost_and_found_again() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    world.ws().archive_channel(&channel);
    let lost = world.until_incident(|incident| incident.usable_channel().is_none()).await;
    assert_eq!(lost.channel.unwrap().lost.as_deref(), Some("is_archived"));
    world.ws().unarchive_channel(&channel);
    world.until_incident(|incident| incident.usable_channel().is_some()).await;
}

#[tokio::test]
async fn a_channel_that_vigie_is_removed_from_is_lost() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    world.ws().kick_bot(&channel);
    let lost = world.until_incident(|incident| incident.usable_channel().is_none()).await;
    assert_eq!(lost.channel.unwrap().lost.as_deref(), Some("not_in_channel"));
}

#[tokio::test]
async fn an_event_whose_acknowledgement_is_lost_is_stored_once() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    let lead = world.person("lead");
    let ts = lead.say(&channel, "it began at 09:12").unwrap();
    world.until(|ws| ws.envelopes_waiting() == 0).await;
    world.ws().lose_next_acks(1);
    lead.react(&channel, &ts, "pushpin").unwrap();
    world.until_incident(|incident| !incident.captured.is_empty()).await;
    // Slack gives up waiting, and delivers again.
    world.clock.advance(vigie::incident::time::Millis::seconds(4));
    world.until(|ws| ws.envelopes_waiting() == 0).await;
    world.settle().await;
    let timeline = world.store.timeline(incident.id).await.unwrap();
    let captures = timeline.iter().filter(|entry| matches!(entry.fact, Fact::MessageCaptured { .. })).count();
    assert_eq!(captures, 1);
}

#[tokio::test]
async fn our_own_edits_are_not_taken_for_a_persons() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    let card = incident.cards[&Card::Incident].clone();
    world.person("lead").react(&channel, &card.ts, "pushpin").unwrap();
    let held = world.until_incident(|incident| !incident.captured.is_empty()).await;
    assert!(held.captured.contains_key(&card));
    world.say_in(&channel, "oncall", "ack").await;
    world.until(|ws| ws.envelopes_waiting() == 0).await;
    world.settle().await;
    assert!(world.incident().await.captured[&card].edited.is_none());
}

#[tokio::test]
async fn a_refused_click_in_a_dialog_keeps_what_was_typed() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    world.person("lead").command(&channel, "/incident", "resolve").await;
    let view = world.ws().top_view("U0LEAD").expect("a dialog is open");
    let outcome = world.person("lead").submit(view["id"].as_str().unwrap(), json!({})).await;
    // Slack itself, or Vigie, says which input is missing; the dialog stays.
    assert!(!matches!(outcome, Ok(SubmitOutcome::Cleared | SubmitOutcome::Closed)), "{outcome:?}");
    assert!(world.ws().top_view("U0LEAD").is_some());
    assert!(world.incident().await.status.is_open());
}

/// Slack keeps a dialog open whose acknowledgement it never saw.
#[tokio::test]
async fn a_dialog_that_is_sent_off_again_is_taken_once_and_says_so_if_its_text_is_another() {
    let world = World::open().await;
    world.person("lead").command("ops", "/incident", "start").await;
    let view = world.ws().top_view("U0LEAD").expect("a dialog is open")["id"].as_str().unwrap().to_owned();
    let (first, other) = (json!({"title": "checkout returns 500"}), json!({"title": "checkout and login return 500"}));
    world.ws().lose_next_acks(1);
    let lead = world.person("lead");
    let (lost, ()) = tokio::join!(lead.submit(&view, first.clone()), async {
        world.until(|ws| ws.acks_to_lose() == 0).await;
        // Slack gives up waiting.
        world.clock.advance(vigie::incident::time::Millis::seconds(4));
    });
    assert!(matches!(lost, Ok(SubmitOutcome::Failed(_))), "{lost:?}");
    world.settle().await;
    let told = world.person("lead").submit(&view, other).await;
    assert!(
        matches!(&told, Ok(SubmitOutcome::Errors(errors)) if errors.values().any(|told| told.as_str().unwrap().contains("sent first"))),
        "{told:?}"
    );
    assert_eq!(world.person("lead").submit(&view, first).await, Ok(SubmitOutcome::Cleared));
    world.settle().await;
    assert_eq!(world.incident().await.title, "checkout returns 500");
    assert_eq!(world.store.recent_incidents(5).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_dialog_that_slack_does_not_open_is_answered_with_a_reference() {
    let world = World::open().await;
    world.ws().faults().next("views.open", 1, vigie::practice::Trouble::Error("expired_trigger_id".into()));
    let ack = world.person("lead").command("ops", "/incident", "start").await;
    let text = ack.text().expect("an answer").to_owned();
    assert!(text.contains("reference") && !text.contains("trigger"), "{text}");
}

#[tokio::test]
async fn a_rejection_by_button_asks_for_its_reason() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    world.say_in(&channel, "oncall", "ack").await;
    world.say_in(&channel, "oncall", "rollback").await;
    let run = *world.incident().await.runs.keys().next().expect("a run was asked for");
    let plan = crate::script::plan("v1", vigie::incident::approval::Risk::Reversible);
    let planned = vigie::incident::decision::Report::Planned { run, plan: Ok(Box::new(plan)) };
    let (target, planned) = (Target::incident(incident.id), Input::Report(planned));
    world.store.receive("planned", target, &planned, world.clock.now()).await.unwrap();
    world.settle().await;
    let card = world.incident().await.cards[&Card::Run(run)].clone();
    world.person("lead").click(&card.channel.0, &card.ts, "Reject").await.unwrap();
    let view = world.ws().top_view("U0LEAD").expect("a dialog asks why");
    let id = view["id"].as_str().unwrap();
    world.person("lead").submit(id, json!({"reason": "the data has changed"})).await.unwrap();
    world.settle().await;
    let timeline = world.store.timeline(incident.id).await.unwrap();
    let reason = timeline.iter().find_map(|entry| match &entry.fact {
        Fact::PlanRejected { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, Some(Some("the data has changed".to_owned())));
    world.assert_no_violations();
}
