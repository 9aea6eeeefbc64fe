//! Whatever is typed: a clear answer or a kept text, never a mention, never a half-made incident.

use futures_util::future::join_all;
use serde_json::{Value, json};
use vigie::incident::id::IncidentId;
use vigie::incident::state::PageOutcome;
use vigie::incident::timeline::Fact;
use vigie::practice::SubmitOutcome;
use vigie::practice::phones::Delivery;

use crate::database::Kind;
use crate::world::{INCIDENTS, World, marked_up, texts};

/// Tries to be markup, a mention, a link, an entity and an HTML tag.
const HOSTILE: &str = "<!channel> <!here> <@U0CTO> <#C0GENERAL> <!subteam^S0ALL> *b* _i_ ~s~ `c` & &lt;!everyone&gt; <script>alert(1)</script> <https://evil.example.com|click>";

/// The first place that customers of the practice team read.
const NEWSLETTER: &str = "      - name: newsletter\n";
/// Customers read a Slack channel, too.
const FORUM: &str = "      - name: forum\n        slack: C0INCIDENTS\n";

/// Everything Slack shows and reads markup in: channels, direct messages, whispers, topics, purposes, Home tabs.
fn everything_marked_up(world: &World) -> Vec<String> {
    let ws = world.ws();
    let mut all = Vec::new();
    for channel in ws.channels() {
        let bot = ws.app().bot_user;
        let by_bot = |message: &Value| message["user"] == bot.as_str() || message["bot_id"] != Value::Null;
        all.extend(ws.messages(&channel.id).iter().filter(|message| by_bot(message)).flat_map(marked_up));
        all.extend([channel.topic.value.clone(), channel.purpose.value.clone()]);
    }
    for member in ws.people() {
        all.extend(ws.ephemerals(&member.profile.id).iter().flat_map(marked_up));
        all.extend(ws.home(&member.profile.id).iter().flat_map(marked_up));
        all.extend(ws.top_view(&member.profile.id).iter().flat_map(marked_up));
    }
    all
}

fn mentions_nobody_new(world: &World) {
    for text in everything_marked_up(world) {
        for token in ["<!channel", "<!here", "<!everyone", "<!subteam", "<@U0CTO", "<#C0GENERAL", "<script", "|click>"]
        {
            assert!(!text.contains(token), "“{token}” became markup: {text}");
        }
    }
}

async fn timeline_texts(world: &World, number: i64) -> Vec<String> {
    let timeline = world.setup.vigie.store.timeline(IncidentId(number)).await.expect("the store answers");
    let text = |fact: &Fact| match fact {
        Fact::NoteAdded { text } => Some(text.clone()),
        _ => None,
    };
    timeline.iter().filter_map(|entry| text(&entry.fact)).collect()
}

#[tokio::test]
async fn a_line_that_is_not_understood_is_answered_with_its_cure_and_makes_nothing() {
    let world = World::open().await;
    for line in [
        "",
        "help",
        "frobnicate",
        "strat sev2 checkout",
        "start --severity",
        "start --severity sev9 checkout is down",
        "start --service warehouse checkout is down",
        "start sev1 --drill",
        "start \u{200b}\u{feff}",
        "approve",
        "approve run_",
        "approve run_1",
        "approve run_99999999999999999999_1",
        "approve run_1_1",
        "tick run_1_1 nothing",
        "send upd_1_1",
        "role",
        "role king",
        "page",
        "page level -1",
        "severity",
        "note",
        "note hello",
        "ack",
        "ack --in inc_7",
        "ack --in nonsense",
        "ack --in",
        "status --in inc_-1",
        "resolve done --in inc_9223372036854775807",
        "--in inc_1",
        "-",
        "— —",
        "\"",
        "start\u{0}",
        "<@U0CTO>",
        "🚒",
        "\u{202e}trats",
    ] {
        let before = world.ws().ephemerals("U0SUPPORT").len();
        let views = world.ws().views("U0SUPPORT").len();
        let ack = world.types("U0SUPPORT", "C0GENERAL", line).await;
        let answered = ack.text().is_some_and(|text| !text.trim().is_empty())
            || world.ws().ephemerals("U0SUPPORT").len() > before
            || world.ws().views("U0SUPPORT").len() > views;
        assert!(answered, "“{line}” got no answer");
    }
    assert_eq!(world.setup.vigie.store.recent_incidents(5).await.expect("the store answers"), []);
    assert_eq!(world.setup.phones.deliveries(), []);
    mentions_nobody_new(&world);
    println!("{}", texts(&world.ws().ephemerals("U0SUPPORT")));
    world.close().await;
}

#[tokio::test]
async fn texts_of_any_length_are_kept_whole_and_shown_short() {
    let world = World::open().await;
    for (number, length) in [(1, 3_000), (2, 40_000)] {
        let long: String = "é🚒 waterfall ".chars().cycle().take(length).collect();
        let long = long.trim();
        world.types("U0ONCALL", "C0GENERAL", &format!("start sev2 {long}")).await;
        let channel = world.is_whole(number).await;
        let incident = world.incident(number).await;
        assert!(incident.title.chars().count() <= 150, "{}", incident.title);
        assert_eq!(timeline_texts(&world, number).await, [long], "the whole text is kept");
        assert!(incident.pages.values().all(|page| matches!(page.outcome, PageOutcome::Delivered { .. })));
        for line in ["note", "severity sev1", "role ops @oncall", "page cto", "update", "mitigate", "resolve"] {
            world.types("U0ONCALL", &channel, &format!("{line} {long}")).await;
        }
        for line in ["status", "timeline", "list", "postmortem", "reopen"] {
            world.types("U0ONCALL", &channel, line).await;
        }
        let kept = timeline_texts(&world, number).await;
        assert!(kept.iter().filter(|text| text.as_str() == long).count() >= 2, "the note is kept whole");
        let file = world.ws().files().pop().expect("the post-mortem is shared");
        assert!(String::from_utf8_lossy(&file.bytes).contains(&long[..1_000]), "and written up");
        assert_eq!(world.incident(number).await.resolution.map(|_| ()), None, "it was opened again");
    }
    world.close().await;
}

#[tokio::test]
async fn injected_markup_is_shown_as_it_was_typed_and_calls_nobody() {
    let world = World::open_changed(&[(NEWSLETTER, &format!("{FORUM}{NEWSLETTER}"))]).await;
    world.types("U0ONCALL", "C0GENERAL", &format!("start sev2 checkout {HOSTILE}")).await;
    let channel = world.is_whole(1).await;
    world.types("U0ONCALL", &channel, &format!("note {HOSTILE}")).await;
    world.types("U0ONCALL", &channel, &format!("update {HOSTILE}")).await;
    world.types("U0ONCALL", &channel, &format!("severity sev3 {HOSTILE}")).await;
    world.types("U0ONCALL", &channel, &format!("page lead {HOSTILE}")).await;
    world.types("U0ONCALL", &channel, &format!("role {HOSTILE}")).await;
    let said = world.ws().person("U0ONCALL").say(&channel, HOSTILE).expect("said");
    world.ws().person("U0ONCALL").react(&channel, &said, "pushpin").expect("pinned");
    world.settle().await;
    // The dialog: what is typed there goes to the team's channels at once, and to customers' once it is approved.
    world.types("U0ONCALL", &channel, "update").await;
    let id = world.form("U0ONCALL")["id"].as_str().expect("a view has an id").to_owned();
    let kind = "customer_difficulties";
    let acted = world.ws().person("U0ONCALL").select_in_view(&id, "kind/choice", kind).await.expect("it can be chosen");
    assert_eq!(acted.failure, None);
    let filled = json!({"internal": HOSTILE, "customer:customer_difficulties": HOSTILE});
    assert_eq!(world.submits("U0ONCALL", filled).await, SubmitOutcome::Cleared);
    world.types("U0COMMS", &channel, "send upd_1_2").await;
    for (place, at_least) in [("C0GENERAL", 2), (INCIDENTS, 1)] {
        let told = world.ws().messages(place);
        let told = told.iter().filter(|message| message["text"].as_str().is_some_and(|text| text.contains("alert(1)")));
        assert!(told.count() >= at_least, "the text went out to {place}");
    }
    for line in ["status", "timeline", "list", HOSTILE, "mitigate <!channel>", "resolve <!here> & done", "postmortem"] {
        world.types("U0ONCALL", &channel, line).await;
    }
    world.ws().person("U0ONCALL").open_home().expect("there is a Home tab");
    world.settle().await;
    mentions_nobody_new(&world);

    let card = world.cards(&channel, 1, "incident").pop().expect("the card");
    assert!(
        marked_up(&card).join("\n").contains("&lt;!channel&gt;") || card.to_string().contains("@channel"),
        "{card:#}"
    );
    world.message(INCIDENTS, "checkout");
    world.close().await;
}

#[tokio::test]
async fn emoji_and_right_to_left_text_are_kept_as_they_are() {
    let world = World::open().await;
    let titles =
        ["🔥🔥🔥 👩‍👩‍👧‍👦", "الدفع لا يعمل", "התשלום נכשל \u{202e}abc", "決済が失敗する", "Ünïcödé e\u{301}te\u{301}"];
    for (number, title) in (1..).zip(titles) {
        world.types("U0ONCALL", "C0GENERAL", &format!("start sev3 {title}")).await;
        let channel = world.is_whole(number).await;
        assert_eq!(world.incident(number).await.title, title);
        let note = format!("{title} — {title}");
        world.types("U0ONCALL", &channel, &format!("note {note}")).await;
        assert_eq!(timeline_texts(&world, number).await, [note]);
        world.message(&channel, title);
        let name = world.ws().channel(&channel).expect("it exists").name;
        assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')), "{name}");
    }
    world.close().await;
}

#[tokio::test]
async fn payloads_of_shapes_that_nobody_expects_are_acknowledged_and_change_nothing() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    let before = world.incident(1).await.seq;
    for (kind, event) in [
        ("reaction_added", json!({"type": "reaction_added"})),
        (
            "reaction_added",
            json!({"type": "reaction_added", "user": 7, "item": {"type": "file"}, "reaction": "pushpin"}),
        ),
        (
            "reaction_added",
            json!({"type": "reaction_added", "user": "U0LEAD", "reaction": "pushpin",
            "item": {"type": "message", "channel": "C0NOWHERE", "ts": "1.1"}}),
        ),
        ("channel_archive", json!({"type": "channel_archive"})),
        ("channel_archive", json!({"type": "channel_archive", "channel": {"name": "x"}})),
        ("channel_deleted", json!({"type": "channel_deleted", "channel": null})),
        ("message.channels", json!({"type": "message", "subtype": "message_changed", "channel": channel})),
        (
            "message.channels",
            json!({"type": "message", "subtype": "message_deleted", "channel": channel, "deleted_ts": ""}),
        ),
        ("member_left_channel", json!({"type": "member_left_channel", "user": {"id": "U0LEAD"}, "channel": channel})),
    ] {
        world.ws().deliver_event(kind, event);
        world.settle().await;
    }
    assert_eq!(world.incident(1).await.seq, before);
    // A message that is gone cannot be captured; it is said, and the record stands.
    world.ws().deliver_event(
        "reaction_added",
        json!({"type": "reaction_added", "user": "U0LEAD", "reaction": "pushpin",
            "item": {"type": "message", "channel": channel, "ts": "1.000001"}}),
    );
    world.settle().await;
    assert_eq!(world.incident(1).await.captured.len(), 0);
    world.types("U0ONCALL", &channel, "ack").await;
    assert!(world.incident(1).await.acknowledged.is_some(), "and it goes on working");
    world.close().await;
}

#[tokio::test]
async fn two_hundred_incidents_of_one_title_get_two_hundred_channels_and_slack_is_never_pressed() {
    // Sixty on PostgreSQL: there every one of some ten thousand small changes is a round trip and a commit of its own.
    let many: i64 = if Kind::chosen() == Kind::Postgres { 60 } else { 200 };
    let world = World::open_with_limits().await;
    let title = "the whole bookshop is down again and nobody in the world can buy a book or read one any more";
    let people = ["U0ONCALL", "U0LEAD", "U0SUPPORT"].map(|person| world.ws().person(person));
    let start = format!("start sev3 --drill {title}");
    let all = people.iter().cycle().take(usize::try_from(many).expect("some"));
    let acks = join_all(all.map(|who| who.command("C0GENERAL", "/incident", &start))).await;
    assert!(acks.iter().all(|ack| ack.failure.is_none()), "{acks:?}");
    world.settle().await;
    let mut names = std::collections::BTreeSet::new();
    for number in 1..=many {
        let id = world.is_whole(number).await;
        names.insert(world.ws().channel(&id).expect("it exists").name);
    }
    assert_eq!(i64::try_from(names.len()), Ok(many));
    assert!(names.iter().all(|name| name.len() <= 80), "{names:?}");
    let at_once = |mail: &Delivery| mail.to == "oncall@example.com" && mail.at_ms == crate::script::START.0;
    let paged = world.setup.phones.deliveries().into_iter().filter(at_once).count();
    assert_eq!(i64::try_from(paged), Ok(many), "each has its page, at once, however long Slack takes");
    let calls = world.ws().calls();
    let refused = calls.iter().filter(|call| call.status == 429).count();
    println!(
        "429s: {refused}, calls: {}, virtual time: {} min",
        calls.len(),
        world.clock.now().since(crate::script::START).whole_minutes()
    );
    let of_a_channel = calls.iter().filter(|call| call.status == 429).find(|call| {
        let channel = call.args["channel"].as_str().unwrap_or_default();
        !channel.starts_with('D')
    });
    assert!(of_a_channel.is_none(), "what can wait is not asked for before its time: {of_a_channel:?}");
    assert!(
        i64::try_from(refused).is_ok_and(|refused| refused <= many),
        "a page is tried at once, and again once Slack said"
    );
    world.close().await;
}
