//! Clicks that come too late, twice, or from people who may not: an answer to that person alone, and nothing runs.

use serde_json::{Value, json};
use vigie::incident::approval::Outcome;
use vigie::incident::id::IncidentId;
use vigie::incident::state::Phase;
use vigie::practice::{SubmitOutcome, Trouble};

use crate::world::{World, ts};

/// An incident with a plan that waits for its approval, its check list ticked. Gives the channel and the card's `ts`.
pub async fn planned(world: &World) -> (String, String) {
    world.setup.shop.break_it();
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "rollback").await;
    let plan = ts(&world.message(&channel, "approve run_1_1"));
    world.clicks("U0LEAD", &channel, &plan, "tick run_1_1 data").await;
    (channel, plan)
}

/// How often something of this kind happened.
pub async fn happened(world: &World, kind: &str) -> usize {
    let timeline = world.setup.vigie.store.timeline(IncidentId(1)).await.expect("the store answers");
    timeline.iter().filter(|entry| entry.fact.kind() == kind).count()
}

pub async fn phase(world: &World) -> Phase {
    let incident = world.incident(1).await;
    incident.runs.values().next().expect("there is a run").phase.clone()
}

fn everybody(world: &World) -> Vec<String> {
    world.ws().people().into_iter().map(|member| member.profile.id).collect()
}

/// What only this person was told since, and that nobody else was told anything.
struct Whispers(Vec<(String, usize)>);

impl Whispers {
    fn so_far(world: &World) -> Self {
        Self(everybody(world).into_iter().map(|id| (id.clone(), world.ws().ephemerals(&id).len())).collect())
    }

    fn to_nobody_but(&self, world: &World, who: &str) -> Vec<Value> {
        let mut told = Vec::new();
        for (id, before) in &self.0 {
            let fresh = world.ws().ephemerals(id).split_off(*before);
            if id == who {
                told = fresh;
            } else {
                assert!(fresh.is_empty(), "{id} was told too: {fresh:?}");
            }
        }
        told
    }
}

#[tokio::test]
async fn people_who_may_not_are_told_so_alone_and_nothing_runs() {
    let world = World::open().await;
    let (channel, plan) = planned(&world).await;
    world.joins("U0SUPPORT", &channel).await;
    let messages = world.ws().messages(&channel).len();
    for (who, says) in
        [("U0ONCALL", "somebody else must approve"), ("U0SUPPORT", "may decide this"), ("U0COMMS", "may decide this")]
    {
        let whispers = Whispers::so_far(&world);
        world.clicks(who, &channel, &plan, "approve run_1_1").await;
        let told = whispers.to_nobody_but(&world, who);
        assert!(told.iter().any(|message| message.to_string().contains(says)), "{who}: {told:?}");
    }
    let whispers = Whispers::so_far(&world);
    world.types("U0SUPPORT", &channel, "reject run_1_1 no").await;
    assert_eq!(whispers.to_nobody_but(&world, "U0SUPPORT").len(), 1);
    assert_eq!(phase(&world).await, Phase::Pending);
    assert_eq!(world.setup.shop.state().switch.active, "v2");
    assert_eq!(world.ws().messages(&channel).len(), messages, "the channel is left in peace");
    world.close().await;
}

#[tokio::test]
async fn a_click_after_expiry_is_refused_even_where_the_card_could_not_be_changed() {
    let world = World::open().await;
    let (channel, plan) = planned(&world).await;
    world.ws().faults().until_cleared("chat.update", Trouble::ServerError);
    world.setup.vigie.advance(vigie::incident::time::Millis::minutes(15)).await.expect("the store answers");
    world.ws().tick();
    world.settle_now().await;
    let acted = world.ws().person("U0LEAD").click(&channel, &plan, "approve run_1_1").await.expect("it still stands");
    assert_eq!(acted.failure, None);
    world.settle_now().await;
    world.whisper("U0LEAD", "has expired");
    assert_eq!(phase(&world).await, Phase::Expired);
    assert_eq!(world.setup.shop.state().switch.active, "v2");
    world.ws().faults().clear();
    world.settle().await;
    let card = world.ws().message(&channel, &plan).expect("the card stands");
    assert!(!card.to_string().contains("approve run_1_1"), "its buttons are gone");
    world.close().await;
}

#[tokio::test]
async fn clicks_side_by_side_approve_once_and_run_once() {
    let world = World::open().await;
    let (channel, plan) = planned(&world).await;
    let (lead, dba) = (world.ws().person("U0LEAD"), world.ws().person("U0DBA"));
    let click = "approve run_1_1";
    let (one, two, three, four) = tokio::join!(
        lead.click(&channel, &plan, click),
        lead.click(&channel, &plan, click),
        dba.click(&channel, &plan, click),
        dba.click(&channel, &plan, click),
    );
    for acted in [one, two, three, four] {
        assert_eq!(acted.expect("the button is there").failure, None);
    }
    world.settle().await;
    assert_eq!(happened(&world, "approval_given").await, 1);
    assert_eq!(happened(&world, "run_started").await, 1);
    assert_eq!(phase(&world).await, Phase::Finished { outcome: Outcome::Done });
    assert_eq!(world.setup.shop.state().switch.active, "v1");
    let told = ["U0LEAD", "U0DBA"].map(|who| world.ws().ephemerals(who).len());
    assert_eq!(told.iter().sum::<usize>(), 3, "three of four are told that it is decided");
    world.close().await;
}

#[tokio::test]
async fn approval_and_rejection_side_by_side_are_one_decision() {
    let world = World::open().await;
    let (channel, plan) = planned(&world).await;
    let (lead, dba) = (world.ws().person("U0LEAD"), world.ws().person("U0DBA"));
    let (approved, rejected) = tokio::join!(
        lead.click(&channel, &plan, "approve run_1_1"),
        dba.command(&channel, "/incident", "reject run_1_1 wait"),
    );
    assert_eq!((approved.expect("the button is there").failure, rejected.failure), (None, None));
    world.settle().await;
    let decisions = (happened(&world, "approved").await, happened(&world, "plan_rejected").await);
    assert!(decisions == (1, 0) || decisions == (0, 1), "{decisions:?}");
    let active = world.setup.shop.state().switch.active;
    assert_eq!(active, if decisions.0 == 1 { "v1" } else { "v2" });
    world.close().await;
}

#[tokio::test]
async fn acknowledgements_side_by_side_end_the_climb_once() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let dm = world.dm("U0ONCALL");
    let page = ts(&world.dms("U0ONCALL").pop().expect("a page came"));
    let oncall = world.ws().person("U0ONCALL");
    let (one, two) = tokio::join!(oncall.click(&dm, &page, "ack"), oncall.click(&dm, &page, "ack"));
    assert_eq!((one.expect("a button").failure, two.expect("a button").failure), (None, None));
    world.settle().await;
    assert_eq!(happened(&world, "acknowledged").await, 1);
    world.whisper("U0ONCALL", "answered already");
    world.pass(60).await;
    assert_eq!(happened(&world, "escalated").await, 1, "nobody further is paged");
    world.close().await;
}

#[tokio::test]
async fn a_text_that_comes_too_late_stays_in_its_dialog_with_the_reason() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "resolve").await;
    world.types("U0COMMS", &channel, "resolve it was a false alarm").await;
    let outcome = world.submits("U0ONCALL", json!({"summary": "We rolled back to the version before."})).await;
    let SubmitOutcome::Errors(errors) = outcome else { panic!("the text is lost: {outcome:?}") };
    assert!(errors["summary"].as_str().is_some_and(|why| why.contains("inc_1 is resolved")), "{errors:?}");
    assert!(world.told("U0ONCALL").iter().all(|told| !told.contains("inc_1 is resolved")), "it is said once");
    let incident = world.incident(1).await;
    assert_eq!(incident.resolution.expect("it is resolved").summary, "it was a false alarm");
    world.close().await;
}
