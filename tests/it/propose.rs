//! What the emergency plan proposes for a severity is offered at once, and never runs by itself (P4, P6).

use vigie::incident::state::Phase;

use crate::world::{World, ts};

const PROPOSING: (&str, &str) = ("policy: standard\n", "policy: standard\n    propose: [deploy-shop, rollback-shop]\n");
const SAID: &str = "the emergency plan proposes";

#[tokio::test]
async fn a_severity_offers_its_plans_when_the_channel_opens_and_nothing_runs() {
    let world = World::open_changed(&[PROPOSING]).await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    let offer = world.message(&channel, SAID);
    let shown = offer.to_string();
    let (first, second) = (shown.find("Put the new version"), shown.find("Roll back the bookshop"));
    assert!(first.is_some() && first < second, "in the order of the configuration: {shown}");
    assert!(shown.contains("nothing is changed before a plan is approved"), "{shown}");
    assert!(world.incident(1).await.runs.is_empty(), "nothing is planned, let alone run, by itself");

    world.clicks("U0ONCALL", &channel, &ts(&offer), "run --in inc_1 rollback-shop").await;
    let run = world.incident(1).await.runs.into_values().next().expect("the plan was asked for");
    assert!(
        run.action.key == "rollback-shop" && matches!(run.phase, Phase::Pending),
        "it waits for its approval: {run:?}"
    );
    assert_eq!(world.ws().messages(&channel).iter().filter(|message| message.to_string().contains(SAID)).count(), 1);
    world.close().await;
}

#[tokio::test]
async fn what_belongs_to_another_service_or_severity_is_not_proposed() {
    let world = World::open_changed(&[
        PROPOSING,
        ("services:\n", "services:\n  mail:\n    title: Mail server\n    aliases: [mail]\n"),
    ])
    .await;
    for line in ["start sev2 mail is late", "start sev1 checkout returns 500"] {
        world.types("U0ONCALL", "C0GENERAL", line).await;
    }
    for number in [1, 2] {
        let channel = world.channel(number).await;
        assert!(
            !world.ws().messages(&channel).iter().any(|message| message.to_string().contains(SAID)),
            "inc_{number}"
        );
    }
    world.close().await;
}
