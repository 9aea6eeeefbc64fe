//! D1: backups with their size, time, checksum and rows; what `keep` lets go; tables as CSV.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vigie::incident::approval::{Outcome, Risk};

use super::shop::{PASSWORD, Shop};
use crate::french::is_french;
use crate::room::Room;
use crate::runbook::{Runbook, Sheet, TOKEN};
use crate::world::{shown, ts};

const CHECK: &str = "command: { argv: [\"true\"] }";

fn counting(shop: &Shop) -> String {
    format!(
        ", backups: \"{}\", counts: [orders, public.users], last_migration: SELECT max(version) FROM migrations",
        shop.backups().display()
    )
}

fn room(shop: &Shop, what: &str, more: &str) -> Room {
    shop.room(
        &format!("within: 30s\npostgres: {{ database: shop, {what} }}"),
        CHECK,
        &format!("{}{more}", counting(shop)),
    )
}

/// Everything in a folder that ends so, sorted.
fn names(folder: &Path, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder can be listed");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(ending)).collect();
    names.sort();
    names
}

fn page(folder: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).expect("a backup has its page");
    serde_json::from_str(&text).expect("a page is JSON")
}

#[tokio::test]
async fn a_backup_says_its_size_its_time_its_checksum_and_its_rows() {
    for (format, ending) in [("custom", ".dump"), ("plain", ".sql")] {
        let shop = Shop::open().await;
        let room = room(&shop, &format!("backup: {{ format: {format} }}"), "");
        let plan = room.planned().await;
        let step = &plan.steps[0];
        assert_eq!(
            (step.risk, step.from.as_deref(), step.title.key.as_str()),
            (Risk::ReadOnly, None, "postgres.title_backup")
        );
        let lines: Vec<String> = step.diff.iter().map(ToString::to_string).collect();
        assert!(lines.iter().any(|line| line.contains("orders") && line.contains("100")), "{lines:#?}");
        let ran = room.run(&plan).await;
        assert_eq!(ran.line(), "done", "{}", ran.everything());

        let [name] = names(&shop.backups(), ending).try_into().expect("there is one backup");
        assert!(name.starts_with(&format!("{}.20", shop.name)) && name.contains("run_7_1-step-1"), "{name}");
        let file = shop.backups().join(&name);
        let page = page(&shop.backups(), &name);
        let sum = Command::new("sha256sum").arg(&file).output().expect("sha256sum starts");
        assert!(String::from_utf8_lossy(&sum.stdout).starts_with(page["sha256"].as_str().expect("a digest")));
        let facts = std::fs::metadata(&file).expect("it is there");
        assert_eq!((page["bytes"].as_u64(), facts.permissions().mode() & 0o777), (Some(facts.len()), 0o600));
        assert_eq!(page["counts"][0]["rows"], 100);
        assert_eq!((&page["counts"][1]["table"], &page["counts"][1]["rows"]), (&"public.users".into(), &3.into()));
        assert_eq!(page["last_migration"], "42");
        assert!(page["took_ms"].as_i64().is_some_and(|took| took >= 0) && page["server"].is_string());
        let everything = ran.everything();
        for said in ["postgres.kept", &name, "took_ms", "sha256", "orders"] {
            assert!(said == "sha256" || everything.contains(said), "{said} is not in {everything}");
        }
        assert_eq!(names(&shop.backups(), "").len(), 2, "nothing unfinished is left");

        // Whoever takes the run up finds it made.
        assert_eq!(room.taken_up(&plan).await.line(), "done");
        assert_eq!(names(&shop.backups(), ending).len(), 1);
    }
}

/// What one does not see is what makes a backup worthless: it holds one state, and its counts are of that state.
#[tokio::test]
async fn old_backups_go_only_after_a_good_one() {
    let shop = Shop::open().await;
    let old = |age: &str, made_by: &str, is_copy: bool| {
        let name = format!("{}.{age}.{made_by}.dump", shop.name);
        std::fs::write(shop.backups().join(&name), "x").expect("it can be written");
        let made_at_ms = format!("{}", 1_700_000_000_000_i64 + i64::try_from(age.len()).expect("it is short") * 1_000);
        let page = format!(
            "{{\"database\":\"{}\",\"is_safety_copy\":{is_copy},\"made_by\":\"{made_by}\",\"made_at_ms\":{made_at_ms},\"took_ms\":1,\
             \"bytes\":1,\"sha256\":\"aa\",\"server\":\"15\",\"pg_dump\":\"15\",\"counts\":[],\"last_migration\":null}}",
            shop.name
        );
        std::fs::write(shop.backups().join(format!("{name}.json")), page).expect("it can be written");
        name
    };
    let (oldest, older, copy) = (old("1", "a", false), old("22", "b", false), old("333", "c", true));
    std::fs::write(shop.backups().join("by-hand.dump"), "not of Vigie").expect("it can be written");
    let keep = ", keep: { newest: 2, days: 30 }";

    let broken = room(&shop, "backup: {}", &format!("{keep}, tools: \"{}\"", tools(&shop, "exit 1").display()));
    let plan = broken.planned().await;
    assert_eq!(plan.steps[0].risk, Risk::Reversible);
    let lines: Vec<String> = plan.steps[0].diff.iter().map(ToString::to_string).collect();
    assert!(
        lines.iter().any(|line| line.contains("lets_go") && line.contains(&oldest) && !line.contains(&older)),
        "{lines:#?}"
    );
    let line = broken.run(&plan).await.line();
    assert!(line.starts_with("failed: step.unchanged"), "{line}");
    assert_eq!(names(&shop.backups(), ".dump").len(), 4, "no good one, so none goes");
    assert_eq!(names(&shop.backups(), "").len(), 7, "nothing unfinished is left");

    assert_eq!(room(&shop, "backup: {}", keep).goes().await.line(), "done");
    let left = names(&shop.backups(), ".dump");
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(!left.contains(&oldest) && left.contains(&older) && left.contains(&copy), "{left:?}");
    assert!(!shop.backups().join(format!("{oldest}.json")).exists());
}

/// The same plan makes a backup and puts the newest of before back: that one is not let go.
#[tokio::test]
async fn a_backup_that_a_later_step_puts_back_is_kept_until_then() {
    let shop = Shop::open().await;
    let more = format!("{}, keep: {{ newest: 1 }}", counting(&shop));
    let step = "within: 30s\npostgres: { database: shop, backup: {} }";
    assert_eq!(shop.room(step, CHECK, &more).goes().await.line(), "done");
    let [old] = names(&shop.backups(), ".dump").try_into().expect("there is one backup");
    // The run has the same name here.
    let older = old.replace("run_7_1", "run_6_1");
    std::fs::rename(shop.backups().join(&old), shop.backups().join(&older)).expect("it can be renamed");
    let text = std::fs::read_to_string(shop.backups().join(format!("{old}.json"))).expect("there is a page");
    std::fs::remove_file(shop.backups().join(format!("{old}.json"))).expect("there is a page");
    std::fs::write(shop.backups().join(format!("{older}.json")), text.replace("run_7_1", "run_6_1"))
        .expect("it can be written");
    shop.sql("INSERT INTO orders VALUES (900, 77)").await;

    let restore =
        "\n    - within: 30s\n      postgres: { database: shop, restore: { from: newest, into: in_place } }\nservices:";
    let text = Room::text(step, CHECK).replace("\nservices:", restore);
    let databases = format!("databases: {{ shop: {} }}\n", shop.described(PASSWORD, &more));
    let room = Room::open(&format!("{databases}{text}"));
    let plan = room.planned().await;
    assert_eq!(plan.steps[1].to, older);
    let lets_go = plan.steps[0].diff.iter().any(|line| line.key == "postgres.lets_go");
    assert!(lets_go, "{:?}", plan.steps[0].diff);
    let ran = room.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, 100);
    assert!(shop.backups().join(&older).exists(), "it was needed");
    assert!(ran.everything().contains("\"stay\": Array"), "{}", ran.everything());
}

/// Somebody backs up while a restore waits for its approvals.
#[tokio::test]
async fn a_backup_that_another_run_waits_to_put_back_is_kept() {
    let shop = Shop::open().await;
    let more = format!("{}, keep: {{ newest: 1 }}", counting(&shop));
    let made = shop.room("within: 30s\npostgres: { database: shop, backup: {} }", CHECK, &more).goes().await;
    assert_eq!(made.line(), "done", "{}", made.everything());
    let [old] = names(&shop.backups(), ".dump").try_into().expect("there is one backup");
    let backup = "back-up:\n  title: Back up\n  service: app\n  rollback: false\n  class: urgent\n  risk: reversible\n  \
        expected: 1m\n  approval: { by: [lead, dba, cto] }\n  verify: [live]\n  verify_within: 10s\n  steps:\n    \
        - postgres: { database: shop, backup: {} }\n";
    let runbook = Runbook::open_with(
        "en",
        &Sheet {
            sections: &format!("databases:\n  shop: {}\n\n", shop.described(TOKEN, &more)),
            steps: "- postgres: { database: shop, restore: { into: in_place } }\n",
            risk: "destructive",
            actions: backup,
            ..Sheet::default()
        },
    )
    .await;
    shop.admin(&format!("ALTER ROLE {} PASSWORD '{}'", shop.name, runbook.token())).await;
    let (channel, card) = runbook.planned().await;
    assert!(shown(&card).contains(&old), "{}", shown(&card));
    runbook.world.types("U0ONCALL", &channel, "run back-up").await;
    let second = runbook.world.message(&channel, "approve run_1_2");
    runbook.world.clicks("U0LEAD", &channel, &ts(&second), "approve").await;
    let done = shown(&runbook.world.again(&channel, &second));
    assert!(done.contains("not deleted, for they are still"), "{done}");
    assert!(names(&shop.backups(), ".dump").contains(&old));
    runbook.approved_by_two(&channel, &card).await;
    assert_eq!(runbook.outcome().await, Outcome::Done);
    runbook.close_without(&[]).await;
}

/// A folder with real tools, but a pg_dump of the test's own, which tells a good version.
pub fn tools(shop: &Shop, script: &str) -> std::path::PathBuf {
    let folder = shop.folder().join("tools");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    for name in ["pg_restore", "psql"] {
        let link = folder.join(name);
        std::fs::write(&link, format!("#!/bin/sh\nexec /usr/bin/{name} \"$@\"\n")).expect("it can be written");
        std::fs::set_permissions(&link, PermissionsExt::from_mode(0o755)).expect("it can be made to run");
    }
    tool(&folder, "pg_dump", script);
    folder
}

/// One of them replaced by a script.
pub fn tool(folder: &Path, name: &str, script: &str) {
    let version = format!("if [ \"$1\" = --version ]; then exec /usr/bin/{name} --version; fi");
    let file = folder.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{version}\n{script}\n")).expect("it can be written");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("it can be made to run");
}

#[tokio::test]
async fn chosen_tables_are_exported_as_csv() {
    let shop = Shop::open().await;
    let folder = shop.folder().join("exports");
    std::fs::create_dir(&folder).expect("a folder can be made");
    let export = |tables: &str| format!("export: {{ tables: [{tables}], folder: \"{}\" }}", folder.display());
    let room_of = |tables: &str| room(&shop, &export(tables), "");
    let ran = room_of("users, public.orders").goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    let files = names(&folder, ".csv");
    assert_eq!(files.len(), 2, "{files:?}");
    let users = std::fs::read_to_string(folder.join(&files[1])).expect("it can be read");
    assert_eq!(users, "id,name\n1,Ana\n2,Bo\n3,Cléo\n");
    let orders = std::fs::read_to_string(folder.join(&files[0])).expect("it can be read");
    assert_eq!((files[0].starts_with("public.orders.20"), orders.lines().count()), (true, 101));
    let mode = std::fs::metadata(folder.join(&files[0])).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for hidden in ["Ana", "Cléo"] {
        assert!(!ran.everything().contains(hidden), "nobody is shown what is in it");
    }
    let refusal = room_of("users, gone").refusal().await;
    assert!(refusal.contains("postgres.no_table") && refusal.contains("gone"), "{refusal}");
}

/// One of two tables would pass for the whole export.
#[tokio::test]
async fn an_export_that_comes_to_half_leaves_none_of_it() {
    let shop = Shop::open().await;
    let folder = shop.folder().join("exports");
    std::fs::create_dir(&folder).expect("a folder can be made");
    let programs = tools(&shop, "exit 1");
    // Somebody tidies up too much, between the last row and the name.
    let lost = format!("/usr/bin/psql \"$@\" || exit 1; rm {}/.vigie-*-users.csv", folder.display());
    tool(&programs, "psql", &lost);
    let export = format!("export: {{ tables: [orders, users], folder: \"{}\" }}", folder.display());
    let line = room(&shop, &export, &format!(", tools: \"{}\"", programs.display())).goes().await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("file.not_read"), "{line}");
    assert_eq!(names(&folder, ""), Vec::<String>::new());
}

/// P6 · the customers' data goes into a file: that changes nothing, and yet somebody says yes to it first.
#[tokio::test]
async fn tables_are_exported_only_after_somebody_approved() {
    let shop = Shop::open().await;
    let folder = shop.folder().join("exports");
    std::fs::create_dir(&folder).expect("a folder can be made");
    let export =
        format!("- postgres: {{ database: shop, export: {{ tables: [users], folder: \"{}\" }} }}\n", folder.display());
    let runbook = Runbook::open_with(
        "en",
        &Sheet {
            sections: &format!("databases:\n  shop: {}\n\n", shop.described(TOKEN, &counting(&shop))),
            steps: &export,
            risk: "read_only",
            ..Sheet::default()
        },
    )
    .await;
    shop.admin(&format!("ALTER ROLE {} PASSWORD '{}'", shop.name, runbook.token())).await;
    let (channel, card) = runbook.planned().await;
    assert_eq!(names(&folder, ".csv"), Vec::<String>::new(), "nobody has said yes");
    let done = runbook.approved(&channel, &card).await;
    assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
    assert_eq!(names(&folder, ".csv").len(), 1);
    runbook.close_without(&["Ana", "Cléo"]).await;
}

/// D1, P3, P6 · from the slash command to the timeline, in both languages.
#[tokio::test]
async fn a_backup_is_made_from_slack() {
    for (locale, title) in [("en", "Back "), ("fr", "Sauvegarder ")] {
        let shop = Shop::open().await;
        let keep = format!("{}, keep: {{ newest: 2 }}", counting(&shop));
        let runbook = Runbook::open_with(
            locale,
            &Sheet {
                sections: &format!("databases:\n  shop: {}\n\n", shop.described(TOKEN, &keep)),
                check: "sql: { database: shop, query: SELECT count(*) AS n FROM orders, limits: { fail_below: 1 } }",
                steps: "- postgres: { database: shop, backup: {} }\n",
                ..Sheet::default()
            },
        )
        .await;
        shop.admin(&format!("ALTER ROLE {} PASSWORD '{}'", shop.name, runbook.token())).await;
        let (channel, card) = runbook.planned().await;
        let text = shown(&card);
        assert!(text.contains(&format!("{title}{}", shop.name)), "{text}");
        assert!(text.contains("orders 100"), "{text}");
        let done = runbook.approved(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        let [name] = names(&shop.backups(), ".dump").try_into().expect("there is one backup");
        assert!(done.contains(&name) && done.contains("sha256"), "{done}");
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains(title.trim()), "{timeline}");
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&["Ana", "Cléo"]).await;
    }
}
