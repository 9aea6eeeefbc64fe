//! Vercel's variables (V2) and log (V3): names are shown, values nowhere.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use tempfile::TempDir;
use vigie::incident::approval::{ActionPlan, Outcome, Risk, Verdict};

use crate::platforms::vercel::{DOMAIN, Vercel};
use crate::platforms::{Desk, Trouble, Which};
use crate::room::{Ran, Room};
use crate::runbook::{self, Runbook};
use crate::world::shown;

const TOKEN: &str = "vercel-token-for-tests";
const VALUE: &str = "value-nobody-may-see";

struct Scene {
    desk: Desk<Vercel>,
    copies: TempDir,
}

fn step(desk: &Desk<Vercel>, copies: &TempDir, wanted: &str, token: &str) -> String {
    format!(
        "vercel: {{ project: prj_shop1, team: team_shop1, token: \"{token}\", base_url: \"{}\", settle: 100ms, \
         variables: {{ copies: \"{}\", {wanted} }} }}",
        desk.url,
        copies.path().display()
    )
}

impl Scene {
    async fn open() -> Self {
        let desk = Desk::open(Vercel::new()).await;
        desk.with(|vercel| {
            vercel.set("NEW_CHECKOUT", VALUE, "encrypted", &["production"]);
            vercel.set("SHOP_URL", "https://shop.example.com", "encrypted", &["preview", "production"]);
        });
        Self { desk, copies: tempfile::tempdir().expect("a folder can be made") }
    }

    fn room(&self, wanted: &str) -> Room {
        Room::with_step(&format!("within: 2s\n{}", step(&self.desk, &self.copies, wanted, TOKEN)))
    }

    /// The names of the copies, oldest first.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.copies.path()).expect("the folder can be read");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn value(&self, key: &str) -> Option<String> {
        self.desk.with(|vercel| vercel.value(key))
    }
}

fn is_done(ran: &Ran) {
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert!(!ran.everything().contains(VALUE), "{}", ran.everything());
}

#[tokio::test]
async fn variables_are_saved_by_name_and_their_values_are_nowhere_but_in_the_copy() {
    let scene = Scene::open().await;
    scene.desk.with(|vercel| vercel.set("PAYMENT", VALUE, "sensitive", &["production"]));
    let room = scene.room("do: save");
    let plan = room.planned().await;
    assert_eq!((plan.risk(), plan.steps[0].to.as_str()), (Risk::ReadOnly, "NEW_CHECKOUT, PAYMENT, SHOP_URL"));
    assert!(plan.steps[0].diff.iter().any(|line| line.key == "vercel.sensitive"), "{plan:#?}");
    assert!(!format!("{plan:?}").contains(VALUE));
    is_done(&room.run(&plan).await);
    let names = scene.names();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].starts_with("prj_shop1.20") && names[0].ends_with(".run_7_1-step-1-0.json"), "{names:?}");
    let path = scene.copies.path().join(&names[0]);
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read_to_string(&path).expect("it can be read");
    assert!(kept.contains(VALUE) && kept.contains("\"unreadable\": [\n    \"PAYMENT\""), "{kept}");
    assert!(scene.desk.writes().is_empty());
    // The same run, taken up: the copy is there already.
    is_done(&room.taken_up(&plan).await);
    assert_eq!(scene.names().len(), 1);
}

#[tokio::test]
async fn removed_variables_come_back_from_the_copy_that_was_kept_before() {
    let scene = Scene::open().await;
    let room = scene.room("do: remove, names: [NEW_CHECKOUT, NEVER_THERE], environments: [production]");
    let plan = room.planned().await;
    let keys: Vec<&str> = plan.steps[0].diff.iter().map(|line| line.key.as_str()).collect();
    assert_eq!(keys, ["vercel.next_build", "file.copy_in", "vercel.absent"]);
    is_done(&room.run(&plan).await);
    assert_eq!(scene.value("NEW_CHECKOUT"), None);
    assert!(scene.value("SHOP_URL").is_some() && scene.names().len() == 1);
    assert!(room.refusal().await.contains("vercel.no_variables"));

    scene
        .desk
        .with(|vercel| vercel.set("SHOP_URL", "https://other.example.com", "encrypted", &["preview", "production"]));
    let room = scene.room("do: restore");
    let plan = room.planned().await;
    assert_eq!(plan.steps[0].diff[0].key, "vercel.come_back");
    assert!(!format!("{plan:?}").contains(VALUE));
    // The copy of the restoring run is made before anything is put back; the run's name is the same here.
    std::fs::rename(
        scene.copies.path().join(&scene.names()[0]),
        scene.copies.path().join("prj_shop1.20260101T000000Z.first.json"),
    )
    .expect("it can be renamed");
    let plan = room.planned().await;
    is_done(&room.run(&plan).await);
    assert_eq!(scene.value("NEW_CHECKOUT").as_deref(), Some(VALUE));
    assert_eq!(scene.value("SHOP_URL").as_deref(), Some("https://other.example.com"), "the copy does not hold it");
    assert_eq!(scene.names().len(), 2);
}

/// Two projects, or those of two teams, keep their copies in one folder: nobody gets the other one's values.
#[tokio::test]
async fn another_projects_copies_are_not_taken_for_this_ones() {
    let scene = Scene::open().await;
    is_done(&scene.room("do: save").goes().await);
    let own = scene.names().remove(0);
    let kept = std::fs::read_to_string(scene.copies.path().join(&own)).expect("it can be read");
    let others = kept.replace(VALUE, "value-of-others");
    for (name, text) in [
        ("prj_shop1.eu.20991231T000000Z.run_1_1-step-1-0.json", others.replace("prj_shop1", "prj_shop1.eu")),
        ("prj_shop1.20991231T000000Z.run_1_1-step-1-0.json", others.replace("team_shop1", "team_other1")),
        ("prj_shop1.old.json", others.clone()),
    ] {
        assert_ne!(text, kept, "{name} is of others");
        std::fs::write(scene.copies.path().join(name), text).expect("it can be written");
    }
    scene.desk.with(|vercel| vercel.set("NEW_CHECKOUT", "off", "encrypted", &["production"]));
    let room = scene.room("do: restore");
    assert_eq!(room.choices().await, std::slice::from_ref(&own));
    let first = scene.copies.path().join("prj_shop1.20260101T000000Z.first.json");
    std::fs::rename(scene.copies.path().join(&own), first).expect("it can be renamed");
    let plan = room.planned().await;
    assert_eq!(plan.steps[0].title.vars["copy"], "prj_shop1.20260101T000000Z.first.json");
    is_done(&room.run(&plan).await);
    assert_eq!(scene.value("NEW_CHECKOUT").as_deref(), Some(VALUE));
}

/// V2 · what was kept before a change holds only what that touched, and is not taken for what somebody saved.
#[tokio::test]
async fn the_copy_before_a_change_does_not_take_the_place_of_a_saved_one() {
    let scene = Scene::open().await;
    let rename = |name: &str| {
        let last = scene.names().into_iter().find(|name| name.contains("run_7_1")).expect("a copy was kept");
        std::fs::rename(scene.copies.path().join(last), scene.copies.path().join(name)).expect("it can be renamed");
    };
    let (saved, part) = ("prj_shop1.20260101T000000Z.saved.json", "prj_shop1.20260102T000000Z.part.json");
    is_done(&scene.room("do: save").goes().await);
    rename(saved);
    is_done(&scene.room("do: remove, names: [NEW_CHECKOUT]").goes().await);
    rename(part);
    scene.desk.with(|vercel| vercel.set("EXTRA", "more", "encrypted", &["production"]));

    let room = scene.room("do: restore, others: remove");
    assert_eq!(room.choices().await, [part, saved]);
    let plan = room.planned().await;
    assert_eq!(plan.steps[0].to, saved);
    let names = |plan: &ActionPlan, key: &str| {
        let line = plan.steps[0].diff.iter().find(|line| line.key == key);
        line.map(|line| line.vars["names"].clone())
    };
    assert_eq!(names(&plan, "vercel.come_back"), Some(json!(["NEW_CHECKOUT"])));
    assert_eq!(names(&plan, "vercel.go_away"), Some(json!(["EXTRA"])));
    // Whoever chooses it gets back what it holds, and loses nothing.
    let plan = room.planned_to(part).await;
    assert_eq!(names(&plan, "vercel.come_back"), Some(json!(["NEW_CHECKOUT"])));
    assert_eq!(names(&plan, "vercel.go_away"), None);
    assert!(plan.steps[0].diff.iter().any(|line| line.key == "vercel.part"), "{plan:#?}");
    is_done(&room.run(&plan).await);
    assert_eq!(scene.value("NEW_CHECKOUT").as_deref(), Some(VALUE));
    assert!(scene.value("EXTRA").is_some() && scene.value("SHOP_URL").is_some());
}

/// V2 · a copy of some of them says nothing of the others.
#[tokio::test]
async fn what_a_copy_was_not_made_of_is_not_removed_by_it() {
    let scene = Scene::open().await;
    is_done(&scene.room("do: save, names: [NEW_CHECKOUT]").goes().await);
    let name = scene.names().remove(0);
    scene.desk.with(|vercel| vercel.set("NEW_CHECKOUT", "off", "encrypted", &["production"]));
    let plan = scene.room("do: restore, others: remove").planned_to(&name).await;
    assert!(plan.steps[0].diff.iter().all(|line| line.key != "vercel.go_away"), "{plan:#?}");
    // In another environment it would have been in the copy, had it been there.
    scene.desk.with(|vercel| vercel.set("NEW_CHECKOUT", "on", "encrypted", &["preview"]));
    let plan = scene.room("do: restore, others: remove").planned_to(&name).await;
    let gone = plan.steps[0].diff.iter().find(|line| line.key == "vercel.go_away").expect("one goes");
    assert_eq!(gone.vars["names"], json!(["NEW_CHECKOUT"]));
}

/// V2 · a copy that a person chose, and nothing besides it.
#[tokio::test]
async fn what_the_copy_does_not_hold_is_removed_when_that_is_said() {
    let scene = Scene::open().await;
    scene.desk.with(|vercel| vercel.set("PAYMENT", VALUE, "sensitive", &["production"]));
    is_done(&scene.room("do: save").goes().await);
    std::fs::rename(
        scene.copies.path().join(&scene.names()[0]),
        scene.copies.path().join("prj_shop1.20260101T000000Z.first.json"),
    )
    .expect("it can be renamed");
    scene.desk.with(|vercel| vercel.set("EXTRA", "more", "encrypted", &["production"]));
    assert!(scene.room("do: restore").refusal().await.contains("plan_fault.already_there"), "others are left");
    let room = scene.room("do: restore, others: remove");
    assert_eq!(room.choices().await, ["prj_shop1.20260101T000000Z.first.json"]);
    let plan = room.planned_to("prj_shop1.20260101T000000Z.first.json").await;
    let line = &plan.steps[0].diff[0];
    assert_eq!((line.key.as_str(), &line.vars["names"]), ("vercel.go_away", &json!(["EXTRA"])));
    assert_eq!(plan.risk(), Risk::Reversible);
    is_done(&room.run(&plan).await);
    assert_eq!((scene.value("EXTRA"), scene.value("NEW_CHECKOUT").as_deref()), (None, Some(VALUE)));
    assert!(scene.value("PAYMENT").is_some(), "what nobody could read stays");
    let kept =
        scene.names().into_iter().find(|name| name.ends_with(".run_7_1-step-1-0.json")).expect("a copy was kept");
    let kept = std::fs::read_to_string(scene.copies.path().join(kept)).expect("it can be read");
    assert!(kept.contains("\"EXTRA\"") && kept.contains("more"), "{kept}");

    scene.desk.with(|vercel| vercel.set("HIDDEN", VALUE, "sensitive", &["production"]));
    let wanted = "do: restore, others: remove, copy: prj_shop1.20260101T000000Z.first.json";
    let plan = scene.room(wanted).planned().await;
    assert_eq!(plan.risk(), Risk::Destructive, "nobody could put it back");
    let refusal = scene.room(&wanted.replace("first", "second")).refusal().await;
    assert!(refusal.contains("vercel.no_copy"), "{refusal}");
}

/// Half a list, or what Vercel keeps in the place of a value, would be put back as the truth.
#[tokio::test]
async fn what_vercel_does_not_tell_whole_is_neither_kept_nor_removed() {
    let scene = Scene::open().await;
    is_done(&scene.room("do: save").goes().await);
    let first = scene.copies.path().join("prj_shop1.20260101T000000Z.first.json");
    std::fs::rename(scene.copies.path().join(&scene.names()[0]), first).expect("it can be renamed");
    scene.desk.with(|vercel| vercel.withheld = Some("SHOP_URL"));
    for wanted in ["do: save", "do: remove, names: [SHOP_URL]"] {
        let line = scene.room(wanted).goes().await.line();
        assert!(line.starts_with("failed: step.unchanged") && line.contains("vercel.withheld"), "{wanted}: {line}");
        assert!(line.contains("SHOP_URL"), "{line}");
    }
    let refusal = scene.room("do: restore").refusal().await;
    assert!(refusal.contains("vercel.withheld") && refusal.contains("SHOP_URL"), "{refusal}");
    scene.desk.with(|vercel| (vercel.withheld, vercel.lists_in_parts) = (None, true));
    for wanted in ["do: save", "do: remove, names: [SHOP_URL]", "do: restore"] {
        let refusal = scene.room(wanted).refusal().await;
        assert!(refusal.contains("vercel.more_variables") && refusal.contains("prj_shop1"), "{wanted}: {refusal}");
    }
    assert_eq!((scene.desk.writes().len(), scene.names().len()), (0, 1));
}

#[tokio::test]
async fn a_sensitive_variable_is_said_to_be_lost_for_good() {
    let scene = Scene::open().await;
    scene.desk.with(|vercel| vercel.set("PAYMENT", VALUE, "sensitive", &["production"]));
    let plan = scene.room("do: remove, names: [PAYMENT]").planned().await;
    assert_eq!((plan.risk(), plan.steps[0].diff[0].key.as_str()), (Risk::Destructive, "vercel.sensitive"));
    let refusal = scene.room("do: remove, names: [SHOP_URL], environments: [production]").refusal().await;
    assert!(refusal.contains("vercel.wider"), "{refusal}");
}

#[tokio::test]
async fn a_restore_cut_off_in_the_middle_is_taken_up() {
    let scene = Scene::open().await;
    is_done(&scene.room("do: save").goes().await);
    std::fs::rename(
        scene.copies.path().join(&scene.names()[0]),
        scene.copies.path().join("prj_shop1.20260101T000000Z.first.json"),
    )
    .expect("it can be renamed");
    scene.desk.with(|vercel| {
        vercel.set("NEW_CHECKOUT", "on", "encrypted", &["production"]);
        vercel.set("SHOP_URL", "https://other.example.com", "encrypted", &["preview", "production"]);
    });
    let room = scene.room("do: restore, copy: prj_shop1.20260101T000000Z.first.json");
    let plan = room.planned().await;
    scene.desk.next(Which::Write, Trouble::LosesAnswer);
    let ran = room.run(&plan).await;
    is_done(&ran);
    assert!(!ran.everything().contains(VALUE), "{}", ran.everything());
    assert_eq!(scene.value("NEW_CHECKOUT").as_deref(), Some(VALUE));
    assert_eq!(scene.value("SHOP_URL").as_deref(), Some("https://shop.example.com"));
    assert_eq!(scene.desk.writes().len(), 2, "each was put once");
}

#[tokio::test]
async fn what_moved_meanwhile_is_stale_and_what_vercel_quotes_is_not_repeated() {
    let scene = Scene::open().await;
    let room = scene.room("do: remove, names: [NEW_CHECKOUT]");
    let plan = room.planned().await;
    scene.desk.with(|vercel| vercel.set("NEW_CHECKOUT", "off", "encrypted", &["production"]));
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("stale: step.is_at") && line.contains("NEW_CHECKOUT"), "{line}");
    assert!(scene.desk.writes().is_empty());

    let plan = room.planned().await;
    let quoting = json!({"error": {"code": "bad_request", "message": format!("cannot touch {VALUE}")}});
    scene.desk.next(Which::Write, Trouble::Says(400, quoting));
    let ran = room.run(&plan).await;
    assert!(
        ran.line().starts_with("failed: step.unchanged") && !ran.everything().contains(VALUE),
        "{}",
        ran.everything()
    );
}

fn log_check(desk: &Desk<Vercel>, more: &str) -> Room {
    let check = format!(
        "vercel: {{ team: team_shop1, token: {TOKEN}, domain: {DOMAIN}, base_url: \"{}\", filter: \"^(error|fatal)\", \
         {more}limits: {{ warn_above: 0, fail_above: 2 }} }}",
        desk.url
    );
    Room::with_step_and_check("command: { target: t, argv: [\"true\"], to: done }", &check)
}

/// V3 · what the live deployment says while somebody listens, not what its build said.
#[tokio::test]
async fn errors_that_the_live_deployment_says_are_counted() {
    let desk = Desk::open(Vercel::new()).await;
    let room = log_check(&desk, "");
    let seen = async |lines: &[(&'static str, u16, &str)]| {
        let owned = lines.iter().map(|(level, status, said)| (*level, *status, (*said).to_owned()));
        desk.with(|vercel| vercel.log = owned.collect());
        let result = room.looks().await;
        (result.verdict, result.value.to_string())
    };
    assert_eq!(seen(&[("info", 200, "error in the words only")]).await.0, Verdict::Pass);
    let secret = format!("TypeError {TOKEN}");
    let (verdict, value) = seen(&[("error", 500, "one"), ("info", 200, "well"), ("fatal", 500, &secret)]).await;
    assert_eq!(verdict, Verdict::Warn);
    assert!(value.contains("fatal 500 GET /cart TypeError [redacted]") && !value.contains("one"), "{value}");
    assert_eq!(seen(&[("error", 500, "a"), ("error", 500, "b"), ("error", 500, "c")]).await.0, Verdict::Fail);
    let asked: Vec<String> = desk.calls().iter().map(|call| call.path.clone()).collect();
    let path = "/v1/projects/prj_shop1/deployments/dpl_3/runtime-logs";
    assert!(asked.iter().any(|asked| asked == path) && !asked.iter().any(|asked| asked.ends_with("/events")));
    desk.with(|vercel| vercel.token = "another-token-altogether".into());
    let (verdict, value) = seen(&[]).await;
    assert!(verdict == Verdict::Fail && value.contains("api.unknown_us"), "{value}");
}

/// V3 · Vercel keeps the line open, and is silent where nothing happens.
#[tokio::test]
async fn a_log_without_an_end_is_listened_to_for_as_long_as_is_said() {
    let desk = Desk::open(Vercel::new()).await;
    desk.with(|vercel| vercel.log_stays_open = true);
    let room = log_check(&desk, "listen: 300ms, ");
    let silent = room.looks().await;
    assert_eq!((silent.verdict, &silent.value.vars["count"]), (Verdict::Pass, &json!(0)));
    assert_eq!(silent.value.vars["within_ms"], json!(300));

    desk.with(|vercel| vercel.log = vec![("error", 500, "one".to_owned())]);
    let heard = room.looks().await;
    assert_eq!((heard.verdict, &heard.value.vars["count"]), (Verdict::Warn, &json!(1)));

    // More than anybody wants to hear: it is cut off in the middle of a line.
    desk.with(|vercel| vercel.log = (0..3_000).map(|_| ("error", 500, "x".repeat(1_000))).collect());
    let flooded = room.looks().await;
    let count = flooded.value.vars["count"].as_u64().expect("a number");
    assert_eq!(flooded.verdict, Verdict::Fail);
    assert!((3..1_000).contains(&count), "{count}");
    assert!(flooded.value.vars["within_ms"].as_i64().is_some_and(|heard| heard <= 300), "{flooded:?}");
}

/// V2 · what is restored for one environment leaves the others alone, and the team's own environments are kept.
#[tokio::test]
async fn a_restore_keeps_to_its_environments() {
    let scene = Scene::open().await;
    scene.desk.with(|vercel| {
        vercel.set("PREVIEW_ONLY", "before", "encrypted", &["preview"]);
        vercel.set_for("STAGED", VALUE, "encrypted", &[], &["env_staging"]);
    });
    is_done(&scene.room("do: save").goes().await);
    std::fs::rename(
        scene.copies.path().join(&scene.names()[0]),
        scene.copies.path().join("prj_shop1.20260101T000000Z.first.json"),
    )
    .expect("it can be renamed");
    scene.desk.with(|vercel| {
        vercel.set("NEW_CHECKOUT", "on", "encrypted", &["production"]);
        vercel.set("PREVIEW_ONLY", "after", "encrypted", &["preview"]);
        vercel.variables.retain(|one| one.key != "STAGED");
    });
    let restore = "do: restore, copy: prj_shop1.20260101T000000Z.first.json";
    let plan = scene.room(&format!("{restore}, environments: [production]")).planned().await;
    let lines = format!("{:?}", plan.steps[0].diff);
    assert!(lines.contains("NEW_CHECKOUT"), "{lines}");
    assert!(!lines.contains("PREVIEW_ONLY") && !lines.contains("STAGED"), "{lines}");
    is_done(&scene.room(&format!("{restore}, environments: [production]")).goes().await);
    assert_eq!(scene.value("NEW_CHECKOUT").as_deref(), Some(VALUE));
    assert_eq!((scene.value("PREVIEW_ONLY").as_deref(), scene.value("STAGED")), (Some("after"), None));

    // One for two environments cannot come back for one of them alone.
    scene.desk.with(|vercel| vercel.set("SHOP_URL", "https://x.example.com", "encrypted", &["preview", "production"]));
    let refusal = scene.room(&format!("{restore}, environments: [production]")).refusal().await;
    assert!(refusal.contains("vercel.wider") && refusal.contains("SHOP_URL"), "{refusal}");

    std::fs::remove_file(scene.copies.path().join(scene.names().last().expect("a copy was kept")))
        .expect("it can be removed");
    is_done(&scene.room(&format!("{restore}, environments: [env_staging]")).goes().await);
    let custom = scene.desk.with(|vercel| {
        vercel.variables.iter().find(|one| one.key == "STAGED").map(|one| (one.target.clone(), one.custom.clone()))
    });
    assert_eq!(custom, Some((Vec::new(), vec!["env_staging".to_owned()])));
}

/// The second request is refused, and then nothing can be read any more.
#[tokio::test]
async fn variables_of_which_the_first_is_gone_are_never_told_as_unchanged() {
    let scene = Scene::open().await;
    let plan = scene.room("do: remove, names: [NEW_CHECKOUT, SHOP_URL]").planned().await;
    scene.desk.with(|vercel| vercel.changes_left = Some(1));
    let line = scene.room("do: remove, names: [NEW_CHECKOUT, SHOP_URL]").run(&plan).await.line();
    assert!(line.starts_with("unknown: ") && line.contains("lever.begun"), "{line}");
    assert!(!line.contains("step.unchanged"), "{line}");
    assert_eq!(scene.desk.with(|vercel| vercel.variables.len()), 1, "half of it is done");
}

/// V2 · from the slash command to the timeline.
#[tokio::test]
async fn a_switch_of_the_new_version_is_removed_and_its_value_is_shown_to_nobody() {
    let scene = Scene::open().await;
    let wanted = "do: remove, names: [NEW_CHECKOUT]";
    let step = format!("- {}", step(&scene.desk, &scene.copies, wanted, runbook::TOKEN));
    let runbook = Runbook::open("en", "command: { argv: [\"true\"] }", &step).await;
    scene.desk.with(|vercel| vercel.token = runbook.token());
    let (channel, card) = runbook.planned().await;
    let text = shown(&card);
    for line in ["Remove NEW_CHECKOUT", "prj_shop1 (Vercel, env)", "takes effect with the next deployment"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let done = runbook.approved(&channel, &card).await;
    assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
    assert_eq!((scene.value("NEW_CHECKOUT"), scene.names().len()), (None, 1));
    let timeline = runbook.world.timeline("U0ONCALL", 1).await;
    assert!(timeline.contains("NEW_CHECKOUT"), "{timeline}");
    runbook.close_without(&[VALUE]).await;
}
