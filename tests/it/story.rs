//! The whole story, over the wire: from the first page to the post-mortem.

use serde_json::json;
use vigie::incident::state::{Phase, Status};

use crate::world::{World, texts, ts};

#[tokio::test]
async fn a_broken_shop_is_found_rolled_back_told_and_written_up() {
    let world = World::open().await;
    world.setup.shop.break_it();
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;

    // The page is answered with its button.
    let bot = world.ws().app().bot_user;
    let dm = world.ws().person("U0ONCALL").open_dm(&bot);
    let page = world.dms("U0ONCALL").pop().expect("a page came");
    world.clicks("U0ONCALL", &dm, &ts(&page), "ack").await;
    assert_eq!(world.incident(1).await.status, Status::Acknowledged);

    // The checks tell what is wrong.
    world.types("U0ONCALL", &channel, "diag").await;
    let card = world.message(&channel, "❌");
    println!("{}", card["text"]);

    // The plan is shown; whoever asked cannot approve it.
    world.types("U0ONCALL", &channel, "rollback").await;
    let plan = world.message(&channel, "approve run_1_1");
    println!("{plan:#}");
    world.clicks("U0ONCALL", &channel, &ts(&plan), "approve").await;
    println!("{}", texts(&world.ws().ephemerals("U0ONCALL")));
    assert_eq!(world.setup.shop.state().switch.active, "v2");

    // Another person ticks what must be ticked and approves.
    world.clicks("U0LEAD", &channel, &ts(&plan), "tick run_1_1 data").await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    let incident = world.incident(1).await;
    let run = incident.runs.values().next().expect("there is a run");
    println!("{:?}", run.phase);
    assert!(matches!(run.phase, Phase::Finished { .. }), "{:?}", run.phase);
    assert_eq!(world.setup.shop.state().switch.active, "v1");

    // The team and the customers are told, the latter after a second pair of eyes.
    world.types("U0ONCALL", &channel, "update").await;
    let form = world.ws().top_view("U0ONCALL").expect("the update form is open");
    println!("{form:#}");
    let id = form["id"].as_str().expect("a view has an id").to_owned();
    let outcome = world.ws().person("U0ONCALL").submit(&id, json!({})).await;
    println!("{outcome:?}");
    world.settle().await;
    let update = world.message(&channel, "send upd_1_1");
    world.clicks("U0ONCALL", &channel, &ts(&update), "send").await;
    world.clicks("U0COMMS", &channel, &ts(&update), "send").await;
    let mails = world.setup.phones.deliveries();
    println!(
        "{}",
        mails.iter().map(|mail| format!("{:?} {} {}\n", mail.kind, mail.to, mail.subject)).collect::<String>()
    );

    // Nobody writes for half an hour: the reminder comes, and climbs.
    world.pass(30).await;
    world.message(&channel, "snooze --in inc_1");
    world.pass(10).await;

    world.types("U0ONCALL", &channel, "mitigate rolled back to 1.2.3").await;
    world.types("U0ONCALL", &channel, "resolve").await;
    let form = world.ws().top_view("U0ONCALL").expect("the resolve form is open");
    println!("{form:#}");
    let id = form["id"].as_str().expect("a view has an id").to_owned();
    let outcome = world.ws().person("U0ONCALL").submit(&id, json!({"summary": "Rolled back"})).await;
    println!("{outcome:?}");
    world.settle().await;
    assert_eq!(world.incident(1).await.status, Status::Resolved);

    world.types("U0ONCALL", &channel, "postmortem").await;
    let files = world.ws().files();
    println!("{}", String::from_utf8_lossy(&files.last().expect("a file was shared").bytes));
    println!("{}", texts(&world.ws().messages(&channel)));
    println!("whispers {}", texts(&world.ws().ephemerals("U0ONCALL")));
    world.close().await;
}
