//! What Vigie does in Slack is done once, whatever goes wrong on the way.

use std::time::Duration;

use serde_json::json;
use vigie::incident::decision::{Effect, ReplyTo, Report};
use vigie::incident::id::{ChannelId, IncidentId, UserId};
use vigie::incident::state::Incident;
use vigie::incident::time::Millis;
use vigie::incident::timeline::{Card, Fact};
use vigie::incident::waiting::OpenIncidents;
use vigie::incident::words::Words;
use vigie::practice::Trouble;
use vigie::slack::SlackFault;

use super::world::World;

fn channel_names(world: &World) -> Vec<String> {
    let all = world.ws().channels().into_iter().map(|channel| channel.name);
    all.filter(|name| name.starts_with("inc-")).collect()
}

#[tokio::test]
async fn a_lost_answer_never_doubles_a_card_or_a_channel() {
    for method in
        ["conversations.create", "chat.postMessage", "conversations.invite", "pins.add", "conversations.setPurpose"]
    {
        for trouble in [
            Trouble::CutAfter,
            Trouble::ServerErrorAfterWork,
            Trouble::CutBefore,
            Trouble::ServerError,
            Trouble::Garbage,
        ] {
            let world = World::open().await;
            world.ws().faults().next(method, 2, trouble.clone());
            let incident = world.declare().await;
            assert_eq!(channel_names(&world), ["inc-1-checkout-returns-500"], "{method} {trouble:?}");
            let channel = incident.usable_channel().unwrap().id.0.clone();
            assert_eq!(world.copies(&channel, "incident"), 1, "{method} {trouble:?}");
            assert_eq!(world.copies("incidents", "announcement"), 1, "{method} {trouble:?}");
            assert!(incident.cards.contains_key(&Card::Incident), "{method} {trouble:?}");
        }
    }
}

#[tokio::test]
async fn a_name_that_somebody_else_has_gets_a_number() {
    let world = World::with(
        |options| {
            let mut taken = options.channels.last().cloned().unwrap();
            taken.id = "C0OLD".into();
            taken.name = "inc-1-checkout-returns-500".into();
            taken.with_bot = true;
            options.channels.push(taken);
        },
        |_| {},
    )
    .await;
    world.connect().await;
    let incident = world.declare().await;
    assert_eq!(incident.usable_channel().unwrap().name, "inc-1-checkout-returns-500-2");
}

#[tokio::test]
async fn a_channel_of_an_earlier_life_is_not_taken_for_this_one() {
    let world = World::open().await;
    let first = world.declare().await;
    let old = first.usable_channel().unwrap().id.clone();
    // The store is lost, a day later incident 1 is declared again, in the same words.
    let mut again = first.clone();
    again.channel = None;
    again.declared.at = again.declared.at + Millis::minutes(24 * 60);
    let scene = vigie::slack::scene::Scene {
        rules: &world.rules,
        render: &world.render,
        now: again.declared.at,
        incident: Some(&again),
        timeline: &[],
        open: &OpenIncidents::default(),
        progress: None,
        kept: None,
        workspace: None,
    };
    let reports = world.slack.carry_out(&scene, &Effect::OpenChannel, 1).await.unwrap();
    let [Report::ChannelOpened { channel, name }] = reports.as_slice() else { panic!("{reports:?}") };
    assert_ne!(*channel, old);
    assert_eq!(name, "inc-1-checkout-returns-500-2");
}

#[tokio::test]
async fn a_private_channel_is_private() {
    let world = World::with(|_| {}, |rules| rules.private_channels = true).await;
    world.connect().await;
    let incident = world.declare().await;
    let id = &incident.usable_channel().unwrap().id.0;
    let channel = world.ws().channel(id).unwrap();
    assert_eq!(format!("{:?}", channel.kind), "Private");
    assert!(channel.purpose.value.contains("vigie inc_1"));
    world.assert_no_violations();
}

#[tokio::test]
async fn cards_follow_the_incident_by_edits() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    let before = world.message(&incident.cards[&Card::Incident]);
    world.say_in(&channel, "oncall", "ack").await;
    let after = world.message(&incident.cards[&Card::Incident]);
    assert_ne!(before["blocks"], after["blocks"]);
    assert_eq!(after["metadata"], before["metadata"]);
    assert_eq!(world.copies(&channel, "incident"), 1);
    world.assert_no_violations();
}

#[tokio::test]
async fn a_card_that_somebody_deleted_is_posted_anew() {
    let world = World::open().await;
    let incident = world.declare().await;
    let card = incident.cards[&Card::Announcement].clone();
    world.ws().faults().next("chat.update", 1, Trouble::Error("message_not_found".into()));
    world.carry_out(Some(incident.id), &Effect::ShowCard { card: Card::Announcement }, 1).await.map_or_else(
        |fault| panic!("{fault}"),
        |reports| {
            let [Report::CardPosted { message, .. }] = reports.as_slice() else { panic!("{reports:?}") };
            assert_ne!(*message, card);
        },
    );
}

/// Whoever posts it anew may lose the answer too.
#[tokio::test]
async fn a_card_that_somebody_deleted_is_posted_anew_once_though_the_answer_is_lost() {
    for trouble in [Trouble::CutAfter, Trouble::ServerErrorAfterWork] {
        let world = World::open().await;
        let incident = world.declare().await;
        let card = incident.cards[&Card::Announcement].clone();
        let show = Effect::ShowCard { card: Card::Announcement };
        world.ws().faults().next("chat.update", 2, Trouble::Error("message_not_found".into()));
        world.ws().faults().next("chat.postMessage", 1, trouble.clone());
        let lost = world.carry_out(Some(incident.id), &show, 1).await;
        assert!(lost.is_err(), "{trouble:?}: {lost:?}");
        let reports = world.carry_out(Some(incident.id), &show, 2).await.unwrap();
        let [Report::CardPosted { message, .. }] = reports.as_slice() else { panic!("{trouble:?}: {reports:?}") };
        assert_ne!(*message, card);
        // The one that Slack says is deleted, and the new one.
        assert_eq!(world.copies("incidents", "announcement"), 2, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_lost_channel_is_reported_with_slacks_word() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    world.ws().kick_bot(&channel);
    for effect in [Effect::ShowCard { card: Card::Incident }, Effect::ShowCard { card: Card::Notice(1) }] {
        let reports = world.carry_out(Some(incident.id), &effect, 1).await.unwrap();
        for report in reports {
            let Report::ChatFailed { code, why, effect: failed } = report else { panic!("{report:?}") };
            assert_eq!((code.as_str(), *failed), ("not_in_channel", effect.clone()));
            assert_eq!(why.key, "slack_fault.not_in_channel");
        }
    }
}

#[tokio::test]
async fn blocks_that_slack_refuses_do_not_silence_the_message() {
    let world = World::open().await;
    world.ws().faults().next("chat.postMessage", 1, Trouble::Error("invalid_blocks".into()));
    let incident = world.declare().await;
    assert!(incident.cards.contains_key(&Card::Announcement) && incident.cards.contains_key(&Card::Incident));
}

#[tokio::test]
async fn an_announcement_channel_that_vigie_is_not_in_is_joined() {
    let world = World::open().await;
    world.ws().faults().next("chat.postMessage", 1, Trouble::Error("not_in_channel".into()));
    let incident = world.declare().await;
    assert!(incident.cards.contains_key(&Card::Announcement));
    assert!(!world.ws().calls_of("conversations.join").is_empty());
}

#[tokio::test]
async fn one_person_who_cannot_be_invited_does_not_keep_the_others_out() {
    let world = World::open().await;
    let incident = world.declare().await;
    let users = ["U0COMMS", "U0NOBODY", "U0LEAD", "U0SECURITY"].map(UserId::from).to_vec();
    let reports = world.carry_out(Some(incident.id), &Effect::Invite { users }, 1).await.unwrap();
    let [Report::Invited { users, failed }] = reports.as_slice() else { panic!("{reports:?}") };
    let mut names: Vec<&str> = users.iter().map(|user| user.0.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["U0COMMS", "U0LEAD", "U0SECURITY"]);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].0.0, "U0NOBODY");
}

/// Slack refuses three in a way that says of nobody why, so they are asked one by one; two are in when this happens.
async fn asked_one_by_one(then: Trouble) -> (World, Incident, Effect) {
    let world = World::open().await;
    let incident = world.declare().await;
    let faults = world.ws().faults();
    faults.next("conversations.invite", 1, Trouble::Error("user_is_restricted".into()));
    faults.next("conversations.invite", 2, Trouble::Slow(Duration::ZERO));
    faults.next("conversations.invite", 1, then);
    let users = ["U0COMMS", "U0CTO", "U0SECURITY"].map(UserId::from).to_vec();
    (world, incident, Effect::Invite { users })
}

#[tokio::test]
async fn an_invitation_that_breaks_off_is_made_again_and_then_everybody_is_in() {
    let (world, incident, invite) = asked_one_by_one(Trouble::RateLimited { retry_after_s: 1 }).await;
    let broken_off = world.carry_out(Some(incident.id), &invite, 1).await.unwrap_err();
    assert!(matches!(broken_off, SlackFault::Retry { .. }), "{broken_off:?}");
    world.clock.advance(Millis::seconds(1));
    let reports = world.carry_out(Some(incident.id), &invite, 2).await.unwrap();
    let [Report::Invited { users, failed }] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((users.len(), failed.len()), (3, 0), "{reports:?}");
}

#[tokio::test]
async fn who_is_in_is_not_among_those_who_could_not_be_invited() {
    let (world, incident, invite) = asked_one_by_one(Trouble::Error("missing_scope".into())).await;
    let reports = world.carry_out(Some(incident.id), &invite, 1).await.unwrap();
    let [Report::Invited { users, failed }] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!(*users, ["U0COMMS", "U0CTO"].map(UserId::from));
    assert_eq!(*failed, [(UserId::from("U0SECURITY"), "missing_scope".to_owned())]);
}

/// How often the conversation with this person was asked for.
fn openings(world: &World, user: &str) -> usize {
    world.ws().calls_of("conversations.open").iter().filter(|call| call.args["users"] == user).count()
}

fn answer_to(user: &str) -> Effect {
    let to = ReplyTo::Person { user: UserId::from(user), channel: None, response_url: None };
    Effect::Reply { to, words: Words::new("refusal.no_incident") }
}

#[tokio::test]
async fn many_messages_to_one_person_at_once_open_one_conversation() {
    let world = World::open().await;
    world.ws().faults().until_cleared("conversations.open", Trouble::Slow(Duration::from_millis(150)));
    let answer = answer_to("U0SECURITY");
    futures_util::future::join_all((0..64).map(|_| world.carry_out(None, &answer, 1))).await;
    assert_eq!(openings(&world, "U0SECURITY"), 1);
}

#[tokio::test]
async fn a_conversation_that_was_not_opened_is_asked_for_by_the_next_who_waits() {
    let world = World::open().await;
    world.ws().faults().next("conversations.open", 1, Trouble::ServerError);
    let answer = answer_to("U0SECURITY");
    let answered = futures_util::future::join_all((0..3).map(|_| world.carry_out(None, &answer, 1))).await;
    assert_eq!(answered.iter().filter(|done| done.is_ok()).count(), 2, "{answered:?}");
    assert_eq!(openings(&world, "U0SECURITY"), 2);
}

#[tokio::test]
async fn a_storm_of_updates_stays_within_slacks_pace() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    for number in 0..80 {
        let line = format!("note step {number}");
        let ack = world.person("lead").command(&channel, "/incident", &line).await;
        assert_eq!(ack.failure, None);
    }
    world.settle().await;
    let refused: Vec<_> = world.ws().calls().into_iter().filter(|call| call.status == 429).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(world.ws().calls_of("conversations.history").is_empty(), "waiting for our turn is no reason to search");
    world.assert_no_violations();
}

#[tokio::test]
async fn slacks_own_limit_is_kept_with_its_waiting_time() {
    let world = World::open().await;
    let incident = world.declare().await;
    world.clock.advance(Millis::minutes(5));
    world.ws().faults().next("chat.update", 1, Trouble::RateLimited { retry_after_s: 7 });
    let show = Effect::ShowCard { card: Card::Incident };
    let refused = world.carry_out(Some(incident.id), &show, 1).await.unwrap_err();
    let SlackFault::Retry { after, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(after, Some(Duration::from_secs(7)));
    let calls = world.ws().calls_of("chat.update").len();
    let still = world.carry_out(Some(incident.id), &show, 1).await.unwrap_err();
    assert_eq!(still.code(), "budget");
    assert_eq!(world.ws().calls_of("chat.update").len(), calls, "Slack is not asked again before its time");
    world.clock.advance(Millis::seconds(7));
    world.carry_out(Some(incident.id), &show, 1).await.unwrap();
}

#[tokio::test]
async fn an_answer_finds_another_way_when_its_address_is_used_up() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.clone();
    let reply = |channel: Option<ChannelId>| Effect::Reply {
        to: ReplyTo::Person {
            user: UserId::from("U0LEAD"),
            channel,
            response_url: Some(format!("http://{}/commands/T0/none", world.practice.address())),
        },
        words: Words::new("refusal.no_incident"),
    };
    let before = world.ws().ephemerals("U0LEAD").len();
    world.carry_out(None, &reply(Some(channel)), 1).await.unwrap();
    assert_eq!(world.ws().ephemerals("U0LEAD").len(), before + 1);
    // Where Vigie may not speak, the answer goes by direct message.
    let nowhere = ChannelId::from("C0NOWHERE");
    world.carry_out(None, &reply(Some(nowhere)), 1).await.unwrap();
    assert_eq!(world.ws().ephemerals("U0LEAD").len(), before + 1);
    let opened = world.ws().calls_of("conversations.open");
    assert!(opened.iter().any(|call| call.args["users"] == "U0LEAD"), "{opened:?}");
}

#[tokio::test]
async fn the_post_mortem_is_shared_once_as_a_file() {
    let world = World::open().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    world.say_in(&channel, "oncall", "ack").await;
    world.say_in(&channel, "oncall", "resolve rolled back").await;
    world.ws().faults().next("files.completeUploadExternal", 1, Trouble::CutAfter);
    world.say_in(&channel, "oncall", "postmortem").await;
    let incident = world.incident().await;
    assert!(incident.cards.contains_key(&Card::PostMortem(1)), "{:?}", incident.cards);
    let shared: Vec<_> = world.ws().files().into_iter().filter(|file| !file.shares.is_empty()).collect();
    assert_eq!(shared.len(), 1);
    let text = String::from_utf8(shared[0].bytes.clone()).unwrap();
    assert!(text.contains("checkout returns 500") && text.contains("rolled back"), "{text}");
}

#[tokio::test]
async fn a_text_for_a_customer_channel_is_posted_once() {
    let world = World::open().await;
    world.ws().faults().next("chat.postMessage", 1, Trouble::CutAfter);
    let ops = ChannelId::from("C0OPS");
    let lost = world.slack.post_text(&ops, "We have difficulties.", "upd_1_1:customers", 1).await.unwrap_err();
    assert!(matches!(lost, SlackFault::Unknown { .. }), "{lost:?}");
    let found = world.slack.post_text(&ops, "We have difficulties.", "upd_1_1:customers", 2).await.unwrap();
    let texts = world.ws().messages("ops");
    assert_eq!(texts.iter().filter(|message| message["text"] == "We have difficulties.").count(), 1);
    assert!(texts.iter().any(|message| message["ts"] == found.ts));
}

#[tokio::test]
async fn bad_tokens_are_told_from_each_other_at_the_start() {
    let world = World::quiet().await;
    let config = |bot: &str, app: &str| vigie::slack::SlackConfig {
        bot_token: bot.into(),
        app_token: Some(app.into()),
        signing_secret: None,
        api_url: world.practice.api_url().to_owned(),
    };
    let check = async |bot: &str, app: &str| {
        let slack = vigie::slack::Slack::new(&config(bot, app), world.clock.clone()).unwrap();
        slack.check_tokens().await.map_err(|fault| fault.why().to_owned())
    };
    let (bot, app) = (world.practice.bot_token().to_owned(), world.practice.app_token().to_owned());
    assert_eq!(check(&bot, &app).await.unwrap().user.0, world.ws().app().bot_user);
    assert!(check("xoxb-wrong", &app).await.unwrap_err().contains("SLACK_BOT_TOKEN"));
    assert!(check(&bot, "xapp-wrong").await.unwrap_err().contains("SLACK_APP_TOKEN"));
    assert!(check(&bot, &bot).await.unwrap_err().contains("SLACK_APP_TOKEN"));
}

#[tokio::test]
async fn nobody_at_the_other_end_is_told_from_a_lost_answer() {
    let world = World::quiet().await;
    let config = vigie::slack::SlackConfig {
        bot_token: "xoxb-any".into(),
        app_token: None,
        signing_secret: None,
        // A port of this machine that nobody listens on: it was ours a moment ago.
        api_url: {
            let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}/api", tcp.local_addr().unwrap())
        },
    };
    let slack = vigie::slack::Slack::new(&config, world.clock.clone()).unwrap();
    let nobody = slack.check_tokens().await.unwrap_err();
    assert!(matches!(&nobody, SlackFault::Retry { code, .. } if code == "connect_failed"), "{nobody:?}");
    world.ws().faults().next("users.info", 1, Trouble::CutBefore);
    let lost = world.slack.profile(&UserId::from("U0LEAD")).await.unwrap_err();
    assert!(matches!(lost, SlackFault::Unknown { .. }), "{lost:?}");
    assert_eq!(world.slack.profile(&UserId::from("U0LEAD")).await.unwrap().name, "lead");
}

#[tokio::test]
async fn the_timeline_tells_what_could_not_be_said() {
    let world = World::open().await;
    world.ws().faults().until_cleared("conversations.create", Trouble::Error("restricted_action".into()));
    world.say("lead", "start sev2 checkout returns 500").await;
    let timeline = world.store.timeline(IncidentId(1)).await.unwrap();
    let told = timeline
        .iter()
        .any(|entry| matches!(&entry.fact, Fact::ChannelRefused { why } if why.key == "slack_fault.not_allowed"));
    assert!(told, "{timeline:#?}");
    // Paging does not wait for a channel.
    assert!(world.incident().await.cards.keys().any(|card| matches!(card, Card::Page(_))));
    assert_eq!(json!(channel_names(&world)), json!([]));
}
