//! Netlify (N1): a site shows an earlier deploy again, and what Netlify says no to.

use serde_json::json;
use vigie::incident::approval::Outcome;

use crate::french::is_french;
use crate::platforms::netlify::{Netlify, SITE};
use crate::platforms::{Desk, Trouble, Which};
use crate::room::Room;
use crate::runbook::{self, Runbook};
use crate::world::shown;

const TOKEN: &str = "netlify-token-for-tests";

fn step(desk: &Desk<Netlify>, restore: &str, token: &str) -> String {
    let base = &desk.url;
    format!("netlify: {{ site: {SITE}, token: \"{token}\", base_url: \"{base}\", settle: 200ms, restore: {restore} }}")
}

async fn scene(restore: &str) -> (Desk<Netlify>, Room) {
    let desk = Desk::open(Netlify::new()).await;
    let room = Room::with_step(&format!("within: 2s\n{}", step(&desk, restore, TOKEN)));
    (desk, room)
}

fn published(desk: &Desk<Netlify>) -> String {
    desk.with(|netlify| netlify.published().to_owned())
}

#[tokio::test]
async fn the_plan_names_the_deploy_before_and_whether_the_next_build_goes_live() {
    let (desk, room) = scene("{}").await;
    let plan = room.planned().await;
    let step = &plan.steps[0];
    assert_eq!(step.from.as_deref(), Some("3333333 “New checkout” (66f0a3)"));
    assert_eq!(step.to, "2222222 “Fix the cart” (66f0a2)");
    assert_eq!((step.diff[0].key.as_str(), step.diff[1].key.as_str()), ("netlify.deploy", "netlify.not_locked"));
    desk.with(|netlify| netlify.deploy("66f0a3").is_locked = true);
    desk.with(|netlify| netlify.deploy("66f0a2").was_published = false);
    let plan = room.planned().await;
    assert_eq!(plan.steps[0].to, "1111111 “Add the cart” (66f0a1)", "what never was live is passed over");
    assert_eq!(plan.steps[0].diff[1].key, "netlify.locked");
    desk.with(|netlify| netlify.publish("66f0a1"));
    assert!(room.refusal().await.contains("netlify.no_earlier"));
    assert!(desk.writes().is_empty());
}

#[tokio::test]
async fn a_site_that_shows_nothing_yet_says_so() {
    let (desk, room) = scene("{}").await;
    desk.with(|netlify| netlify.publish(""));
    assert!(room.refusal().await.contains("netlify.none_live"));
}

#[tokio::test]
async fn a_deploy_is_restored_once_and_waited_for() {
    let (desk, room) = scene("{}").await;
    desk.with(|netlify| netlify.readings = 4);
    let ran = room.goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(published(&desk), "66f0a2");
    assert_eq!(desk.writes(), ["POST /sites/shop.netlify.app/deploys/66f0a2/restore"]);
}

#[tokio::test]
async fn a_person_chooses_among_the_deploys_that_were_live_and_can_take_it_back() {
    let (desk, room) = scene("{}").await;
    assert_eq!(room.choices().await, ["66f0a2", "66f0a1"]);
    let plan = room.planned_to("66f0a1").await;
    assert_eq!(room.run(&plan).await.line(), "done");
    assert_eq!(published(&desk), "66f0a1");
    let back = room.planned_back(&plan).await;
    let ran = room.run(&back).await;
    assert_eq!((ran.line().as_str(), published(&desk).as_str()), ("done", "66f0a3"), "{}", ran.everything());
}

#[tokio::test]
async fn a_site_that_stands_far_back_still_finds_what_was_before() {
    let (desk, room) = scene("{}").await;
    desk.with(|netlify| (netlify.builds_up_to(60), netlify.publish("66f0a5")));
    assert!(room.planned().await.steps[0].to.contains("(66f0a4)"));
    assert_eq!(room.choices().await, ["66f0a4", "66f0a3", "66f0a2", "66f0a1"]);
    desk.with(|netlify| netlify.publish("66f0a1"));
    assert!(room.refusal().await.contains("netlify.no_earlier"));
    // A last page that is full is followed by an empty one.
    desk.with(|netlify| netlify.builds_up_to(100));
    assert!(room.refusal().await.contains("netlify.no_earlier"));
}

#[tokio::test]
async fn a_preview_is_not_taken_into_production_by_whoever_names_it() {
    for to in ["{}", "{ to: 66f0a1 }"] {
        let (desk, room) = scene(to).await;
        desk.with(|netlify| netlify.deploy("66f0a1").context = "deploy-preview");
        assert!(room.refusal_to("66f0a1").await.contains("netlify.preview"), "{to}");
        desk.with(|netlify| netlify.deploy("66f0a1").context = "production");
        desk.with(|netlify| netlify.deploy("66f0a1").was_published = false);
        assert!(room.refusal_to("66f0a1").await.contains("netlify.never_live"), "{to}");
        desk.with(|netlify| netlify.deploy("66f0a1").was_published = true);
        assert_eq!(room.run(&room.planned_to("66f0a1").await).await.line(), "done");
    }
}

#[tokio::test]
async fn what_moved_or_was_lost_is_told_apart() {
    let (desk, room) = scene("{}").await;
    let plan = room.planned().await;
    desk.with(|netlify| netlify.publish("66f0a1"));
    assert!(room.run(&plan).await.line().starts_with("stale: step.is_at"));
    desk.with(|netlify| netlify.publish("66f0a3"));

    desk.next(Which::Write, Trouble::LosesRequest);
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: step.both") && line.contains("step.still_at"), "{line}");
    desk.next(Which::Write, Trouble::LosesAnswer);
    assert_eq!(room.run(&plan).await.line(), "done");
    assert_eq!((published(&desk).as_str(), desk.writes().len()), ("66f0a2", 2));
}

#[tokio::test]
async fn what_netlify_refuses_is_said_in_its_own_way() {
    for (status, wanted) in [(401, "api.unknown_us"), (403, "api.denied"), (404, "api.absent"), (422, "api.refused")] {
        let (desk, room) = scene("{}").await;
        desk.next(Which::Write, Trouble::Says(status, json!({"code": status, "message": "no, because of it"})));
        let line = room.goes().await.line();
        assert!(line.starts_with("failed: step.unchanged") && line.contains(wanted), "{status}: {line}");
        assert_eq!((published(&desk).as_str(), desk.writes().len()), ("66f0a3", 1));
    }
    let (desk, room) = scene("{ to: 66f0a2 }").await;
    desk.with(|netlify| netlify.deploy("66f0a2").state = "error");
    assert!(room.refusal().await.contains("netlify.not_ready"));
    let (_desk, room) = scene("{ to: 66f0a9 }").await;
    assert!(room.refusal().await.contains("api.absent"));
}

/// N1, P3, P6 · from the slash command to the timeline, in both languages.
#[tokio::test]
async fn a_site_is_restored_to_the_deploy_before() {
    for (locale, title) in
        [("en", "Show 2222222 “Fix the cart” (66f0a2)"), ("fr", "Remettre 2222222 “Panier” (66f0a2)")]
    {
        let desk = Desk::open(Netlify::new()).await;
        if locale == "fr" {
            desk.with(|netlify| netlify.deploy("66f0a2").title = "Panier".into());
            desk.with(|netlify| netlify.deploy("66f0a3").title = "Paiement".into());
        }
        let check = format!(
            "http:\n  url: {}/sites/{SITE}/deploys/66f0a2\n  headers: {{ Authorization: \"Bearer {}\" }}\n",
            desk.url,
            runbook::TOKEN
        );
        let step = format!("- {}", step(&desk, "{}", runbook::TOKEN));
        let runbook = Runbook::open(locale, &check, &step).await;
        desk.with(|netlify| netlify.token = runbook.token());
        let (channel, card) = runbook.planned().await;
        assert!(shown(&card).contains(title), "{}", shown(&card));
        let done = runbook.approved(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        assert_eq!((published(&desk).as_str(), desk.writes().len()), ("66f0a2", 1));
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains("(66f0a2)"), "{timeline}");
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&[]).await;
    }
}
