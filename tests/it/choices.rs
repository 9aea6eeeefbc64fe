//! Where an action leaves it open, a person says where it goes, and by a name that can only mean one thing (K2).

use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use crate::lever::{Lever, action};
use crate::world::{World, shown, ts};

async fn team(lever: &Lever) -> (World, String) {
    let action = action("flags-to", "Put the flags", "", &[lever.step_to_choose("flags")]);
    let world = World::open_changed(&[("actions:\n", &action)]).await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    (world, channel)
}

#[tokio::test]
async fn what_can_be_chosen_is_offered_and_the_chosen_one_is_what_runs() {
    let lever = Lever::open().await;
    let (world, channel) = team(&lever).await;
    world.types("U0ONCALL", &channel, "run flags-to").await;
    let offer = world.whisper("U0ONCALL", "where to?");
    assert!(shown(&offer).contains("Put the flags: where to?"), "{}", shown(&offer));
    for name in ["release v1 (v1)", "release v0 (v0)"] {
        assert!(shown(&offer).contains(name), "{name} is not in {}", shown(&offer));
    }
    assert!(!shown(&offer).contains("release v2"), "it is there already: {}", shown(&offer));
    assert_eq!(world.incident(1).await.runs.len(), 0, "nothing is planned before somebody has chosen");

    world.clicks("U0ONCALL", &channel, &ts(&offer), "run --in inc_1 flags-to --to v0").await;
    let plan = world.message(&channel, "approve run_1_1");
    assert!(shown(&plan).contains("*v2 → release v0 (v0)* · flags"), "{}", shown(&plan));
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    let run = world.incident(1).await.runs.into_values().next().expect("there is a run");
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done });
    assert_eq!(lever.positions(), ["v2", "v0"]);
    assert!(world.timeline("U0ONCALL", 1).await.contains("asked for a plan: Put the flags, to v0"));
    world.close().await;
}

#[tokio::test]
async fn what_was_chosen_by_hand_is_found_by_its_name_and_what_there_is_not_is_refused() {
    let lever = Lever::open().await;
    let (world, channel) = team(&lever).await;
    world.types("U0ONCALL", &channel, "run flags-to --to “release v1”").await;
    world.message(&channel, "approve run_1_1");
    world.types("U0ONCALL", &channel, "reject run_1_1").await;
    world.types("U0ONCALL", &channel, "run flags-to --to v9").await;
    let failed = shown(&world.message(&channel, "cannot go to"));
    assert!(failed.contains("flags cannot go to “v9”; run the action without --to"), "{failed}");
    let told = world.asks("U0ONCALL", &channel, "run deploy-shop --to v1").await;
    assert_eq!(told, "Put the new version of the bookshop live goes where its configuration says. Leave `--to` away.");
    assert_eq!(lever.positions(), ["v2"]);
    world.close().await;
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_said_so() {
    let mut lever = Lever::open().await;
    lever.url = "http://127.0.0.1:9/lever".to_owned();
    let (world, channel) = team(&lever).await;
    let told = world.asks("U0ONCALL", &channel, "run flags-to").await;
    assert!(told.starts_with("Put the flags: what can be chosen could not be read: flags could not be read"), "{told}");
    world.close().await;
}
