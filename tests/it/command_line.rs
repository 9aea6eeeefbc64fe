//! What the terminal answers: the program itself, run as people run it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::world::World;

/// Runs the program with nothing in its environment but what is given.
fn vigie(folder: &Path, line: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    command.args(line.split_whitespace()).current_dir(folder).env_clear().envs(variables.iter().copied());
    command.output().expect("the program runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("output is UTF-8")
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn vigie_alone_says_what_it_is_and_what_to_type() {
    let told = vigie(project(), "", &[]);
    assert!(told.status.success());
    assert!(out(&told).starts_with("Vigie runs your team's emergency plan") && out(&told).contains("vigie practice"));
}

#[test]
fn check_says_in_one_line_that_all_is_well() {
    let told = vigie(project(), "check --config examples/minimal.yml", &[]);
    assert_eq!(out(&told), "examples/minimal.yml: 0 services, 0 actions, 2 contacts, no faults\n");
    assert_eq!(told.status.code(), Some(0));
}

#[test]
fn check_names_every_fault_with_its_place_and_fails() {
    let told = vigie(project(), "check --config examples/practice.yml", &[("SMTP_PORT", "25")]);
    assert_eq!(told.status.code(), Some(1));
    let text = out(&told);
    for variable in ["SHOP_URL", "PHONES_URL", "PHONES_TOKEN", "PHONES_SECRET"] {
        let headline = format!(": the variable {variable} is not set · set {variable} in the environment");
        assert!(
            text.lines().any(|line| line.starts_with("examples/practice.yml:") && line.contains(&headline)),
            "{text}"
        );
    }
    assert!(!text.contains("SMTP_PORT is not set") && !text.contains('\u{1b}'), "no colour but on a terminal: {text}");
}

#[test]
fn init_writes_a_configuration_that_is_right_at_once_and_never_writes_over_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = vigie(folder.path(), "init", &[]);
    assert_eq!(
        out(&written),
        "vigie.yml is written. Put your people's Slack IDs in; it says where to find them and what to type next.\n"
    );
    let checked = vigie(folder.path(), "check", &[]);
    assert_eq!(out(&checked), "vigie.yml: 0 services, 0 actions, 2 contacts, no faults\n");
    assert_eq!((written.status.code(), checked.status.code()), (Some(0), Some(0)));
    let text = std::fs::read_to_string(folder.path().join("vigie.yml")).expect("it is there");
    assert!(text.contains("# 3. vigie check --config vigie.yml\n") && !text.contains("minimal"), "{text}");

    std::fs::write(folder.path().join("vigie.yml"), "ours").expect("the folder can be written to");
    for (line, sentence) in [
        ("init", "vigie: vigie.yml exists already and was left as it is; give another name with --config\n"),
        (
            "init --config nowhere/vigie.yml",
            "vigie: nowhere/vigie.yml cannot be written: No such file or directory (os error 2); check the path and who \
             may write there\n",
        ),
    ] {
        let told = vigie(folder.path(), line, &[]);
        assert_eq!((told.status.code(), err(&told).as_str()), (Some(1), sentence));
    }
    let kept = std::fs::read_to_string(folder.path().join("vigie.yml")).expect("it is there");
    assert_eq!(kept, "ours");
    assert!(vigie(folder.path(), "init --config team.yml", &[]).status.success());
    assert!(vigie(folder.path(), "check --config team.yml", &[]).status.success());
}

#[test]
fn what_is_not_understood_ends_with_2_and_what_fails_with_1() {
    assert_eq!(vigie(project(), "chekc", &[]).status.code(), Some(2));
    let folder = tempfile::tempdir().expect("a folder");
    let told = vigie(folder.path(), "serve", &[]);
    assert_eq!(told.status.code(), Some(1));
    for sentence in ["vigie.yml: the file cannot be read", "environment: SLACK_BOT_TOKEN is not set"] {
        assert!(err(&told).contains(sentence), "both at once: {}", err(&told));
    }
    let told = vigie(folder.path(), "incidents", &[]);
    assert_eq!(told.status.code(), Some(1));
    assert!(err(&told).starts_with("vigie: the database could not be opened: "), "{}", err(&told));
}

#[tokio::test]
async fn incidents_and_their_post_mortems_are_printed_while_the_bot_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns <b>500</b>").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "ack").await;

    let variables = [("DATABASE_URL", world.database.url.as_str())];
    let say = |line: &str| {
        let told = vigie(folder.path(), line, &variables);
        assert!(told.status.success(), "{line}: {}", err(&told));
        out(&told)
    };
    let list = say("incidents");
    assert!(list.starts_with("inc_1  SEV2  acknowledged  20"), "{list}");
    let list: Value = serde_json::from_str(&say("incidents --json")).expect("JSON");
    assert_eq!((&list[0]["incident"], &list[0]["severity"]), (&"inc_1".into(), &"sev2".into()));
    assert_eq!(list[0]["channel"], channel);

    let document = say("postmortem inc_1 --layout short");
    assert!(document.starts_with("# Post-mortem inc_1: checkout returns \\<b>500\\</b>\n"), "{document}");
    let page = say("postmortem 1 --format html");
    assert!(page.starts_with("<!doctype html>") && !page.contains("<b>500"), "{page}");
    let record: Value = serde_json::from_str(&say("postmortem 1 --format json")).expect("JSON");
    assert_eq!(record["title"], "checkout returns <b>500</b>");

    let told = vigie(folder.path(), "postmortem 1 --layout lang", &variables);
    assert_eq!(
        (told.status.code(), err(&told).as_str()),
        (Some(1), "vigie: there is no layout “lang”; there is long, minimal, short\n")
    );
    let told = vigie(folder.path(), "postmortem 9", &variables);
    assert!(err(&told).contains("there is no incident inc_9"), "{}", err(&told));
    world.close().await;
}
