//! D4: the last migration is undone by the team's own tool: here a script of ours over psql, on a real database.

use std::os::unix::fs::PermissionsExt;

use vigie::incident::approval::{Outcome, Risk};

use super::shop::{PASSWORD, Shop};
use crate::french::is_french;
use crate::room::Room;
use crate::runbook::{Runbook, Sheet, TOKEN};
use crate::world::shown;

const CHECK: &str = "command: { argv: [\"true\"] }";
const NEWEST: &str = "SELECT max(version)::bigint FROM migrations";

/// What a team has: `migrate status`, `migrate undo N`, `migrate redo N`. `undo` ends as `end` says.
fn tool(shop: &Shop, end: &str) -> String {
    let file = shop.folder().join("migrate");
    let script = format!(
        "#!/bin/sh
run() {{ psql -X -q -A -t -v ON_ERROR_STOP=1 -c \"$1\"; }}
case $1 in
status) echo 'Status   Name'; run 'SELECT CASE WHEN version < 100 THEN '\"'up   '\"' || version END FROM migrations ORDER BY version'; echo 'down 44' ;;
undo) run \"DELETE FROM migrations WHERE version = $2 AND version = (SELECT max(version) FROM migrations)\"; echo \"undone $2\"; {end} ;;
redo) run \"INSERT INTO migrations VALUES ($2)\" ;;
esac
"
    );
    std::fs::write(&file, script).expect("it can be written");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("it can be made to run");
    file.display().to_string()
}

fn step(shop: &Shop, tool: &str, password: &str) -> String {
    format!(
        "migration:
    target: shop migrations
    place:
      env: {{ PGHOST: 127.0.0.1, PGPORT: \"{}\", PGDATABASE: {name}, PGUSER: {name} }}
      secrets: {{ PGPASSWORD: \"{password}\" }}
    status: [\"{tool}\", status]
    applied: ^up\\s+(\\S+)
    undo: [\"{tool}\", undo, \"{{{{from}}}}\"]
    redo: [\"{tool}\", redo, \"{{{{to}}}}\"]",
        Shop::port(),
        name = shop.name
    )
}

fn room(shop: &Shop, end: &str) -> Room {
    Room::with_step_and_check(
        &format!("within: 5s\n{}", step(shop, &tool(shop, end), PASSWORD)).replace("\n    ", "\n  "),
        CHECK,
    )
}

#[tokio::test]
async fn the_last_migration_is_undone_by_the_teams_own_tool() {
    let shop = Shop::open().await;
    let room = room(&shop, "true");
    let plan = room.planned().await;
    let planned = &plan.steps[0];
    assert_eq!((planned.from.as_deref(), planned.to.as_str(), planned.risk), (Some("42"), "41", Risk::Destructive));
    assert!(planned.diff[0].to_string().contains("undo 42"), "{:?}", planned.diff);
    assert_eq!(shop.count(NEWEST).await, 42, "planning changes nothing");
    let ran = room.run(&plan).await;
    assert_eq!((ran.line().as_str(), shop.count(NEWEST).await), ("done", 41), "{}", ran.everything());
    assert!(!ran.everything().contains(PASSWORD));
    // Whoever takes it up finds it done, and does not undo the one before.
    assert_eq!((room.taken_up(&plan).await.line().as_str(), shop.count(NEWEST).await), ("done", 41));

    let back = room.planned_back(&plan).await;
    assert_eq!((back.steps[0].from.as_deref(), back.steps[0].to.as_str()), (Some("41"), "42"));
    assert_eq!((room.run(&back).await.line().as_str(), shop.count(NEWEST).await), ("done", 42));

    assert_eq!(room.goes().await.line(), "done");
    assert_eq!(room.goes().await.line(), "done", "the first one goes, too");
    assert!(room.refusal().await.contains("migration.none_applied"));
}

/// What a tool makes of an empty name nobody knows: it may be all migrations.
#[tokio::test]
async fn the_only_migration_is_not_undone_by_a_tool_that_wants_the_one_before() {
    let shop = Shop::open().await;
    let to_before = step(&shop, &tool(&shop, "true"), PASSWORD).replace("{{from}}", "{{ to }}");
    let room = Room::with_step_and_check(&format!("within: 5s\n{to_before}").replace("\n    ", "\n  "), CHECK);
    assert!(room.planned().await.steps[0].diff[0].to_string().contains("undo 41"));
    shop.sql("DELETE FROM migrations WHERE version = 41").await;
    let refusal = room.refusal().await;
    assert!(refusal.contains("migration.nameless") && refusal.contains("42"), "{refusal}");
}

#[tokio::test]
async fn a_migration_somebody_else_undid_is_stale() {
    let shop = Shop::open().await;
    let room = room(&shop, "true");
    let plan = room.planned().await;
    shop.sql("INSERT INTO migrations VALUES (43)").await;
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("stale: step.is_at") && line.contains("43"), "{line}");
    assert_eq!(shop.count(NEWEST).await, 43);
}

#[tokio::test]
async fn whatever_the_tool_says_it_is_asked_where_it_stands() {
    // It fails and has done nothing; it says yes and has done nothing; it is cut off after it did it; it failed after that.
    let cases = [
        ("exit 1", "exit 1; true", "failed: step.both", 42),
        ("true", "true", "failed: migration.no_effect", 42),
        ("sleep 600", "", "done", 41),
        ("exit 1", "", "done", 41),
    ];
    for (end, instead, outcome, stands) in cases {
        let shop = Shop::open().await;
        let room = room(&shop, end);
        if !instead.is_empty() {
            let file = shop.folder().join("migrate");
            let script = std::fs::read_to_string(&file).expect("it can be read").replace("undo) run", "undo) true");
            std::fs::write(&file, script).expect("it can be written");
        }
        let ran = room.goes().await;
        assert!(ran.line().starts_with(outcome), "{end}: {}", ran.line());
        assert_eq!(shop.count(NEWEST).await, stands, "{end}");
    }
    let shop = Shop::open().await;
    let broken = room(&shop, "true");
    let plan = broken.planned().await;
    let file = shop.folder().join("migrate");
    std::fs::write(&file, "#!/bin/sh\necho \"cannot connect with $PGPASSWORD\" >&2; exit 7\n")
        .expect("it can be written");
    let refusal = broken.refusal().await;
    assert!(refusal.contains("migration.unread") && refusal.contains("cannot connect"), "{refusal}");
    assert!(!refusal.contains(PASSWORD), "{refusal}");
    let line = broken.run(&plan).await.line();
    assert!(line.starts_with("failed: step.unchanged"), "{line}");
}

#[test]
fn what_cannot_work_is_found_when_the_configuration_is_loaded() {
    let yaml = "actions: { a: { title: A, class: urgent, risk: destructive, expected: 1m, verify: [s/c], steps: [
        { migration: { target: t, status: [x], applied: \"up\", undo: [\"{{from}}\"], status_exits: [] } },
        { migration: { target: u, status: [x, \"{{to}}\"], applied: \"(\", undo: [x] } }] } }
services: { s: [{ key: c, command: { argv: [x] } }] }";
    let config: vigie::actions::ActionsConfig = serde_saphyr::from_str(yaml).expect("it can be read");
    let faults: Vec<String> = config.validate().iter().map(ToString::to_string).collect();
    for wanted in [
        "steps[0].migration.applied: the name of a migration is its one group",
        "steps[0].migration.undo[0]: a placeholder is one whole argument, and never the program",
        "steps[0].migration.status_exits: name at least one code",
        "steps[1].migration.status[1]: {{to}} means nothing here",
        "steps[1].migration.applied: this is not a regular expression",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{wanted} is not in {faults:#?}");
    }
    assert_eq!(faults.len(), 5, "{faults:#?}");
}

/// D4, P3, P6 · from the slash command to the timeline, in both languages.
#[tokio::test]
async fn the_last_migration_is_undone_from_slack() {
    for (locale, title) in [("en", "Undo the migration 42"), ("fr", "Annuler la migration 42")] {
        let shop = Shop::open().await;
        let tool = tool(&shop, "true");
        let steps = format!("- within: 10s\n  {}", step(&shop, &tool, TOKEN));
        let sections = format!("databases:\n  shop: {}\n\n", shop.described(TOKEN, ""));
        let check = format!("sql: {{ database: shop, query: {NEWEST}, equals: 41 }}");
        let sheet =
            Sheet { sections: &sections, check: &check, risk: "destructive", steps: &steps, ..Sheet::default() };
        let runbook = Runbook::open_with(locale, &sheet).await;
        shop.admin(&format!("ALTER ROLE {} PASSWORD '{}'", shop.name, runbook.token())).await;
        let (channel, card) = runbook.planned().await;
        let text = shown(&card);
        assert!(text.contains(title) && text.contains("undo 42"), "{text}");
        let done = runbook.approved_by_two(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        assert_eq!(shop.count(NEWEST).await, 41);
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains(title), "{timeline}");
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&[]).await;
    }
}
