//! DNS and traffic (X1): a record at Cloudflare goes to the other of two places, and back.

use serde_json::json;
use vigie::actions::ActionsConfig;
use vigie::incident::approval::Outcome;

use crate::french::is_french;
use crate::platforms::cloudflare::{Cloudflare, NAME, RECORD, ZONE};
use crate::platforms::{Desk, Trouble, Which};
use crate::room::Room;
use crate::runbook::{self, Runbook};
use crate::world::{shown, ts};

pub const TOKEN: &str = "cloudflare-token-for-tests";
pub const WAY: &str = "among: [blue.example.net, green.example.net]";

pub fn step(base: &str, way: &str, token: &str) -> String {
    let url = format!("{base}/zones/{ZONE}/dns_records/{RECORD}");
    let headers = format!("headers: {{ Authorization: \"Bearer {token}\" }}");
    let body = format!("body: {{ type: CNAME, name: {NAME}, ttl: 1, content: \"{{{{to}}}}\" }}");
    format!(
        "http_switch:\n  target: {NAME}\n  read: {{ url: \"{url}\", {headers}, current: /result/content }}\n  \
         set: {{ url: \"{url}\", method: PATCH, {headers}, {body}, fields: [{{ field: /success, equals: true }}] }}\n  \
         settle: 200ms\n  {way}"
    )
}

async fn scene() -> (Desk<Cloudflare>, Room) {
    let desk = Desk::open(Cloudflare::new()).await;
    let room = Room::with_step(&format!("within: 2s\n{}", step(&desk.url, WAY, TOKEN)));
    (desk, room)
}

fn leads_to(desk: &Desk<Cloudflare>) -> String {
    desk.with(|cloudflare| cloudflare.leads_to().to_owned())
}

#[tokio::test]
async fn traffic_goes_to_the_place_where_it_is_not() {
    let (desk, room) = scene().await;
    for (from, to) in [("blue.example.net", "green.example.net"), ("green.example.net", "blue.example.net")] {
        let plan = room.planned().await;
        assert_eq!((plan.steps[0].from.as_deref(), plan.steps[0].to.as_str()), (Some(from), to));
        let ran = room.run(&plan).await;
        assert_eq!((ran.line().as_str(), leads_to(&desk).as_str()), ("done", to), "{}", ran.everything());
    }
    let write = desk.calls().into_iter().find(|call| call.is_write()).expect("something was written");
    assert_eq!(write.body, json!({"type": "CNAME", "name": NAME, "ttl": 1, "content": "green.example.net"}));
    assert_eq!(write.idempotency_key(), Some("run_7_1-step-1-0"));
    let plan = room.planned().await;
    assert_eq!(room.run(&plan).await.line(), "done");
    let back = room.planned_back(&plan).await;
    assert_eq!(room.run(&back).await.line(), "done");
    assert_eq!((leads_to(&desk).as_str(), desk.writes().len()), ("blue.example.net", 4));
}

#[tokio::test]
async fn a_record_somebody_else_moved_is_left_alone() {
    let (desk, room) = scene().await;
    let plan = room.planned().await;
    desk.with(|cloudflare| cloudflare.lead_to("elsewhere.example.net"));
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("stale: step.is_at") && line.contains("elsewhere.example.net"), "{line}");
    let refusal = room.refusal().await;
    assert!(refusal.contains("step.at_neither") && refusal.contains("green.example.net"), "{refusal}");
    assert!(desk.writes().is_empty());
}

/// Cloudflare wants name and ttl repeated with every change: a record that has others would get ours.
#[tokio::test]
async fn a_record_that_is_not_as_the_configuration_says_is_left_as_it_is() {
    let desk = Desk::open(Cloudflare::new()).await;
    let fields = format!("fields: [{{ field: /result/name, equals: {NAME} }}, {{ field: /result/ttl, equals: 1 }}]");
    let step =
        step(&desk.url, WAY, TOKEN).replace("current: /result/content", &format!("current: /result/content, {fields}"));
    let room = Room::with_step(&format!("within: 2s\n{step}"));
    let plan = room.planned().await;
    desk.with(|cloudflare| cloudflare.ttl = 300);
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: step.unread_before") && line.contains("step.other_than_said"), "{line}");
    let refusal = room.refusal().await;
    assert!(refusal.contains("/result/ttl") && refusal.contains("300"), "{refusal}");
    desk.with(|cloudflare| (cloudflare.ttl, cloudflare.name) = (1, "other.example.com".to_owned()));
    assert!(room.refusal().await.contains("/result/name"));
    assert!(desk.writes().is_empty());
    desk.with(|cloudflare| cloudflare.name = NAME.to_owned());
    assert_eq!(room.goes().await.line(), "done");
    assert_eq!(desk.with(|cloudflare| (cloudflare.name.clone(), cloudflare.ttl)), (NAME.to_owned(), 1));
}

#[tokio::test]
async fn cloudflares_no_is_quoted_and_nothing_is_changed() {
    let (desk, room) = scene().await;
    desk.with(|cloudflare| cloudflare.only_reads = true);
    let line = room.goes().await.line();
    assert!(line.starts_with("failed: step.answered") && line.contains("Unauthorized to access"), "{line}");
    desk.with(|cloudflare| cloudflare.only_reads = false);
    let plan = room.planned().await;
    desk.with(|cloudflare| cloudflare.is_gone = true);
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: step.unread_before") && line.contains("Record does not exist"), "{line}");
    assert!(room.refusal().await.contains("plan_fault.unreadable"));
    desk.with(|cloudflare| cloudflare.is_gone = false);
    // It says that it did not, with a status that says that it did.
    desk.next(Which::Write, Trouble::Says(200, json!({"success": false, "errors": [{"code": 1, "message": "no"}]})));
    let line = room.goes().await.line();
    assert!(line.starts_with("failed: step.yes_but"), "{line}");
    let stranger = Room::with_step(&step(&desk.url, WAY, "another-token-for-tests"));
    let refusal = stranger.refusal().await;
    assert!(refusal.contains("Authentication error") && !refusal.contains("another-token"), "{refusal}");
    let down = Room::with_step(&step("http://127.0.0.1:9", WAY, TOKEN)).refusal().await;
    assert!(down.contains("plan_fault.unreadable") && down.contains("reason.refused"), "{down}");
    assert_eq!(leads_to(&desk), "blue.example.net");
}

#[tokio::test]
async fn a_yes_is_believed_when_the_record_shows_it_and_a_lost_answer_is_settled_by_it() {
    let (desk, room) = scene().await;
    desk.with(|cloudflare| cloudflare.lies = true);
    let line = room.goes().await.line();
    assert!(line.starts_with("failed: step.both") && line.contains("step.yes_but_still_at"), "{line}");
    desk.with(|cloudflare| cloudflare.lies = false);
    for (trouble, wanted, at) in [
        (Trouble::LosesRequest, "failed: step.both", "blue.example.net"),
        (Trouble::Silent, "failed: step.both", "blue.example.net"),
        (Trouble::Says(502, json!({})), "failed: step.both", "blue.example.net"),
        (Trouble::LosesAnswer, "done", "green.example.net"),
    ] {
        let told = format!("{trouble:?}");
        desk.next(Which::Write, trouble);
        let ran = room.goes().await;
        assert!(ran.line().starts_with(wanted), "{told}: {}", ran.everything());
        assert_eq!(leads_to(&desk), at, "{told}");
        assert!(!ran.everything().contains(TOKEN));
    }
    assert_eq!(desk.with(|cloudflare| cloudflare.led_to.len()), 1, "only one of them was carried out");
}

/// One `--to` for a switch and a file: neither can take the other's.
#[tokio::test]
async fn what_is_chosen_must_be_meant_for_one_kind_of_step() {
    let desk = Desk::open(Cloudflare::new()).await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join(".env").display().to_string();
    std::fs::write(&file, "A=1\n").expect("it can be written");
    std::fs::write(format!("{file}.20261120T120000Z"), "A=0\n").expect("it can be written");
    let choices = format!(
        "choices: {{ url: \"{}/zones/{ZONE}/dns_records/{RECORD}\", list: /result/tags, pick: first_other }}",
        desk.url
    );
    let switch =
        step(&desk.url, "", TOKEN).replace("current: /result/content", &format!("current: /result/content, {choices}"));
    let restore = format!("env_file: {{ target: shop .env, path: \"{file}\", operation: restore }}");
    let switch = switch.trim_end().replace('\n', "\n      ");
    let both = Room::open(&format!(
        "actions:\n  go:\n    title: Go\n    service: shop\n    class: urgent\n    risk: reversible\n    expected: 1m\n    \
         verify: [there]\n    steps:\n    - {restore}\n    - {switch}\nservices:\n  shop:\n    - {{ key: there, command: {{ \
         argv: [\"true\"] }} }}\n"
    ));
    let refusal = both.refusal_to(".env.20261120T120000Z").await;
    assert!(refusal.contains("step.whose_choice") && refusal.contains("http_switch"), "{refusal}");
    assert_eq!(both.choices().await, Vec::<String>::new());
    let alone = Room::with_step(&restore);
    assert_eq!(alone.choices().await, [".env.20261120T120000Z"]);
    assert!(alone.planned_to(".env.20261120T120000Z").await.steps[0].to.starts_with(".env.20261120T120000Z"));
}

#[test]
fn two_places_are_two_and_there_is_one_way_to_say_where_it_goes() {
    for (way, wanted) in [
        ("among: [blue, blue]", "name two different places"),
        ("among: [a, b, c]", "name two different places"),
        ("among: [a, b]\n  to: a", "in exactly one way: to, among, read.previous or read.choices"),
    ] {
        let step = step("https://api.example.com", way, "t0ken-for-tests").replace('\n', "\n      ");
        let yaml = format!(
            "actions:\n  go:\n    title: Go\n    class: urgent\n    risk: reversible\n    expected: 1m\n    verify: []\n    \
             steps:\n    - {step}\n"
        );
        let config: ActionsConfig = serde_saphyr::from_str(&yaml).unwrap_or_else(|fault| panic!("{fault}\n{yaml}"));
        let faults: Vec<String> = config.validate().iter().map(ToString::to_string).collect();
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{faults:?}");
    }
}

/// X1, P3, P6, P7 · there from Slack and back again by what Slack offers, in both languages.
#[tokio::test]
async fn the_traffic_changes_sides_from_slack_and_comes_back() {
    for (locale, line) in
        [("en", "blue.example.net → green.example.net"), ("fr", "blue.example.net → green.example.net")]
    {
        let desk = Desk::open(Cloudflare::new()).await;
        let url = format!("{}/zones/{ZONE}/dns_records/{RECORD}", desk.url);
        let check = format!(
            "http:\n  url: {url}\n  headers: {{ Authorization: \"Bearer {}\" }}\n  \
             fields: [{{ field: /result/name, equals: {NAME} }}]\n",
            runbook::TOKEN
        );
        let step = step(&desk.url, WAY, runbook::TOKEN).replace('\n', "\n  ");
        let runbook = Runbook::open(locale, &check, &format!("- {step}")).await;
        desk.with(|cloudflare| cloudflare.token = runbook.token());
        let (channel, card) = runbook.planned().await;
        assert!(shown(&card).contains(line), "{}", shown(&card));
        let done = runbook.approved(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        assert_eq!(leads_to(&desk), "green.example.net");

        runbook.world.types("U0ONCALL", &channel, "undo run_1_1").await;
        let back = runbook.world.message(&channel, "approve run_1_2");
        assert!(shown(&back).contains("green.example.net → blue.example.net"), "{}", shown(&back));
        runbook.world.clicks("U0LEAD", &channel, &ts(&back), "approve").await;
        assert_eq!((leads_to(&desk).as_str(), desk.writes().len()), ("blue.example.net", 2));
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains("green.example.net") && timeline.contains("App v1"), "{timeline}");
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&[]).await;
    }
}
