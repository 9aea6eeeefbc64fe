//! The whole story, over the wire: from the first page to the post-mortem.

use serde_json::json;
use vigie::incident::approval::Outcome;
use vigie::incident::state::{Phase, Status};
use vigie::practice::SubmitOutcome;

use crate::clicks::phase;
use crate::world::{World, shown, ts};

#[tokio::test]
async fn a_broken_shop_is_found_rolled_back_told_and_written_up() {
    let world = World::open().await;
    world.setup.shop.break_it();
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;

    answer_the_page(&world).await;
    find_what_is_wrong(&world, &channel).await;
    roll_back(&world, &channel).await;
    tell_people(&world, &channel).await;
    be_reminded(&world, &channel).await;
    end_it(&world, &channel).await;
    write_it_up(&world, &channel).await;
    world.close().await;
}

/// The page is answered with its button.
async fn answer_the_page(world: &World) {
    let (dm, page) = (world.dm("U0ONCALL"), world.dms("U0ONCALL").pop().expect("a page came"));
    world.clicks("U0ONCALL", &dm, &ts(&page), "ack").await;
    assert_eq!(world.incident(1).await.status, Status::Acknowledged);
    assert!(shown(&world.again(&dm, &page)).contains("You answered"));
}

/// The checks tell what is wrong, and why it may be.
async fn find_what_is_wrong(world: &World, channel: &str) {
    world.types("U0ONCALL", channel, "diag").await;
    let card = shown(&world.message(channel, "Diagnostic of Bookshop"));
    assert!(card.starts_with("❌") && card.contains("*Health:* 503 in"), "{card}");
}

/// The plan is shown; whoever asked cannot approve it; another person ticks what must be ticked, approves, and it runs.
async fn roll_back(world: &World, channel: &str) {
    world.types("U0ONCALL", channel, "rollback").await;
    let plan = ts(&world.message(channel, "approve run_1_1"));
    world.clicks("U0ONCALL", channel, &plan, "approve run_1_1").await;
    world.whisper("U0ONCALL", "You asked for this, so somebody else must approve it");
    assert_eq!(world.setup.shop.state().switch.active, "v2", "nothing runs before it is approved");

    world.clicks("U0LEAD", channel, &plan, "tick run_1_1 data").await;
    world.clicks("U0LEAD", channel, &plan, "approve run_1_1").await;
    assert_eq!(phase(world).await, Phase::Finished { outcome: Outcome::Done });
    assert_eq!(world.setup.shop.state().switch.active, "v1");
    world.setup.shop.buy().await.expect("a book can be bought again");
    let card = shown(&world.ws().message(channel, &plan).expect("the card stands"));
    assert!(card.contains("✅ Done: Roll back the bookshop") && card.contains("now 1.2.3 (v1)"), "{card}");
    let (begun, ended) = (at(world, channel, "*rollback in progress*"), at(world, channel, "*rolled back* in"));
    assert!(begun < ended, "the channel is told before and after");
}

/// The place of a message in the channel.
fn at(world: &World, channel: &str, says: &str) -> usize {
    let messages: Vec<String> = world.ws().messages(channel).iter().map(|one| shown(one).to_lowercase()).collect();
    messages
        .iter()
        .position(|text| text.contains(says))
        .unwrap_or_else(|| panic!("nothing says “{says}”: {messages:#?}"))
}

/// The team is told at once, the customers after a second pair of eyes.
async fn tell_people(world: &World, channel: &str) {
    world.types("U0ONCALL", channel, "update").await;
    assert_eq!(world.submits("U0ONCALL", json!({})).await, SubmitOutcome::Cleared);
    let update = ts(&world.message(channel, "send upd_1_1"));
    world.message("C0GENERAL", "checkout returns 500");
    world.clicks("U0ONCALL", channel, &update, "send").await;
    world.whisper("U0ONCALL", "You wrote this text, so somebody else must approve it");
    assert!(world.received("customer.one@example.com").is_empty(), "nothing goes out unread");
    world.clicks("U0COMMS", channel, &update, "send").await;
    for customer in ["customer.one@example.com", "customer.two@example.com"] {
        let [mail] = world.received(customer).try_into().expect("one e-mail each");
        assert!(mail.subject.contains("Bookshop") && !mail.body.contains("inc_1"), "{mail:?}");
    }
}

/// Nobody writes for half an hour: whoever is in charge is reminded, then it climbs.
async fn be_reminded(world: &World, channel: &str) {
    world.pass(30).await;
    let reminder = shown(&world.message(channel, "snooze --in inc_1"));
    assert!(reminder.contains("⏰ <@U0ONCALL>, the status update is due"), "{reminder}");
    assert!(world.dms("U0LEAD").is_empty());
    world.pass(10).await;
    let page = shown(&world.dms("U0LEAD").pop().expect("the next in charge is told"));
    assert!(page.contains("the status update is overdue") || page.contains("The status update is overdue"), "{page}");
}

async fn end_it(world: &World, channel: &str) {
    world.types("U0ONCALL", channel, "mitigate rolled back to 1.2.3").await;
    assert_eq!(world.incident(1).await.status, Status::Mitigated);
    world.types("U0ONCALL", channel, "resolve").await;
    let words = json!({"summary": "Rolled back", "impact": "Nobody could pay", "cause": "The new version"});
    assert_eq!(world.submits("U0ONCALL", words).await, SubmitOutcome::Cleared);
    assert_eq!(world.incident(1).await.status, Status::Resolved);
    let notice = shown(&world.message(channel, "resolved it: Rolled back"));
    assert!(notice.contains("A post-mortem is obligatory for this severity."), "{notice}");
}

/// The document has what happened, who approved it, what was said, and how long it took.
async fn write_it_up(world: &World, channel: &str) {
    world.types("U0ONCALL", channel, "postmortem").await;
    let file = world.ws().files().pop().expect("the post-mortem is shared");
    assert!(file.title.contains("checkout returns 500") || file.name.contains("inc-1"), "{} {}", file.title, file.name);
    let document = String::from_utf8_lossy(&file.bytes).into_owned();
    for says in [
        "checkout returns 500",
        "Time to acknowledge",
        "Time to mitigate",
        "Time to resolve",
        "Nobody could pay",
        "Roll back the bookshop",
        "Engineering lead",
        "Rolled back",
        "The new version",
        "On-call engineer declared inc_1",
    ] {
        assert!(document.contains(says), "“{says}” is not in {document}");
    }
}
