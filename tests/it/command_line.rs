//! What the terminal answers: the program itself, run as people run it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use vigie::app::practice::{MANIFEST, Options, Setup, practice};
use vigie::clock::Clock;
use vigie::practice::Practice;

use crate::database::{Database, Kind};
use crate::practice::app::{HandClock, options};
use crate::script::START;
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

#[test]
fn a_folder_is_checked_as_one_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan");
    std::fs::create_dir(&plan).expect("a folder");
    let text = std::fs::read_to_string(project().join("examples/minimal.yml")).expect("the example is there");
    let at = text.find("contacts:\n  oncall").expect("the example has contacts");
    std::fs::write(plan.join("rules.yml"), &text[..at]).expect("written");
    std::fs::write(plan.join("people.yml"), &text[at..]).expect("written");
    let told = vigie(folder.path(), "check --config plan", &[]);
    assert_eq!(out(&told), "plan: 0 services, 0 actions, 2 contacts, no faults\n");

    std::fs::write(plan.join("zeal.yml"), "contacts:\n  lead: {name: Another}\n").expect("written");
    let told = vigie(folder.path(), "check --config plan", &[]);
    assert_eq!(
        out(&told),
        "plan/zeal.yml:2:3: “lead” stands here a second time; the first is at plan/people.yml:5:3 · keep one of the two\n  \
         2 |   lead: {name: Another}\n    |   ^\nplan: 1 fault\n"
    );
}

#[test]
fn init_writes_what_lacks_only_the_teams_own_ids_and_never_writes_over_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = "vigie.yml is written. Put three IDs from Slack in; vigie check says where, and where to find them.\n";
    assert_eq!(out(&vigie(folder.path(), "init", &[])), said);
    let checked = vigie(folder.path(), "check", &[]);
    assert_eq!(checked.status.code(), Some(1));
    let list = out(&checked);
    assert!(list.contains("“ID-OF-ON-CALL” is not a Slack member ID · in Slack open the profile"), "{list}");
    assert!(list.ends_with("vigie.yml: 3 faults\n"), "{list}");
    let schema = std::fs::read_to_string(folder.path().join("vigie.schema.json")).expect("it is there");
    assert_eq!(out(&vigie(folder.path(), "check --schema", &[])), schema);

    let file = folder.path().join("vigie.yml");
    let text = std::fs::read_to_string(&file).expect("it is there");
    let ours = text
        .replace("ID-OF-THE-CHANNEL", "C012AB3CD")
        .replace("ID-OF-ON-CALL", "U012AB3CD")
        .replace("ID-OF-LEAD", "U045EF6GH");
    std::fs::write(&file, &ours).expect("written");
    assert_eq!(out(&vigie(folder.path(), "check", &[])), "vigie.yml: 0 services, 0 actions, 2 contacts, no faults\n");

    let refused = vigie(folder.path(), "init --lang fr", &[]);
    assert_eq!(
        (refused.status.code(), err(&refused).as_str()),
        (
            Some(1),
            "vigie: vigie.yml exists already and was left as it is; give another name, or write over it with --force\n"
        )
    );
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), ours);
    assert!(vigie(folder.path(), "init --lang fr --force", &[]).status.success());
    assert!(std::fs::read_to_string(&file).expect("it is there").contains("Votre plan d'urgence"));

    let other = out(&vigie(folder.path(), "init team.yml", &[]));
    assert!(other.contains("vigie check --config team.yml says where"), "{other}");
    let text = std::fs::read_to_string(folder.path().join("team.yml")).expect("it is there");
    assert!(text.contains("vigie serve --config team.yml") && !text.contains("vigie.yml"), "{text}");
    let nowhere = err(&vigie(folder.path(), "init nowhere/vigie.yml", &[]));
    assert!(nowhere.contains("cannot be written: ") && nowhere.contains("check the path"), "{nowhere}");
}

#[test]
fn a_shell_completes_what_is_typed() {
    let script = out(&vigie(project(), "completions bash", &[]));
    let typed =
        "source /dev/stdin; COMP_WORDS=(vigie post); COMP_CWORD=1; _vigie vigie post vigie; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash")
        .args(["-c", typed])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("bash runs");
    let mut stdin = bash.stdin.take().expect("its input is piped");
    std::io::Write::write_all(&mut stdin, script.as_bytes()).expect("it reads");
    drop(stdin);
    assert_eq!(out(&bash.wait_with_output().expect("it ends")), "postmortem\n");
    for (shell, mark) in [("zsh", "#compdef vigie"), ("fish", "complete -c vigie")] {
        assert!(out(&vigie(project(), &format!("completions {shell}"), &[])).contains(mark), "{shell}");
    }
}

#[tokio::test]
async fn migrate_brings_the_database_up_to_date_and_shows_that_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = Database::of(kind).await;
        let variables = [("DATABASE_URL", database.url.as_str())];
        for time in ["the first", "the second"] {
            let told = vigie(folder.path(), "migrate", &variables);
            assert_eq!(
                out(&told),
                "The database is up to date: it understands everything that this version asks of it.\n",
                "{time} time: {}",
                err(&told)
            );
        }
        let told = vigie(folder.path(), "incidents", &variables);
        assert!(out(&told).starts_with("There is no incident yet"), "{}", err(&told));
    }
    let told = vigie(folder.path(), "migrate", &[("DATABASE_URL", "mysql://root:hunter2@example.com/x")]);
    assert_eq!(told.status.code(), Some(1));
    assert!(err(&told).contains("“mysql” is no database") && !err(&told).contains("hunter2"), "{}", err(&told));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_asks_slack_and_the_database_and_says_what_to_put_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(&HandClock::new());
    options.manifest_yaml = MANIFEST.to_owned();
    let practice = Practice::start(options).await.expect("the workspace opens");
    let write = |announce: &str, lead: &str| {
        let text = std::fs::read_to_string(project().join("examples/minimal.yml")).expect("the example is there");
        let text = text.replace("C012AB3CD", announce).replace("U012AB3CD", "U0CMD").replace("U045EF6GH", lead);
        std::fs::write(folder.path().join("vigie.yml"), text).expect("written");
    };
    let variables = [
        ("SLACK_API_URL", practice.api_url()),
        ("SLACK_BOT_TOKEN", practice.bot_token()),
        ("SLACK_APP_TOKEN", practice.app_token()),
    ];
    write("C0OPS", "U0LEAD");
    let told = vigie(folder.path(), "doctor", &variables);
    let lines = out(&told);
    assert_eq!(told.status.code(), Some(0), "{lines}{}", err(&told));
    for line in [
        "✓ configuration vigie.yml has no faults",
        "✓ database      vigie.db is not there yet; vigie serve makes it",
        "✓ environment   SLACK_BOT_TOKEN and SLACK_APP_TOKEN are set: Socket Mode",
        "✓ slack         the bot token is good for ",
        "✓ socket        Slack lets Vigie in by Socket Mode",
        "✓ scopes        the token has all 20 that manifest.yml asks for",
        "✓ people        2 of the contacts are members of the workspace",
        "✓ announcements incidents are announced in #ops",
        "everything is in place",
    ] {
        assert!(lines.contains(line), "{line} is not in\n{lines}");
    }
    assert!(!folder.path().join("vigie.db").exists(), "it only looks");
    let migrated = vigie(folder.path(), "migrate", &[]);
    assert!(migrated.status.success(), "{}", err(&migrated));
    write("C0NOWHERE", "U0NOBODY");
    let told = vigie(folder.path(), "doctor --json", &variables);
    assert_eq!(told.status.code(), Some(1));
    let findings: Value = serde_json::from_str(&out(&told)).expect("JSON");
    let said = |subject: &str| {
        let found = findings.as_array().into_iter().flatten().find(|finding| finding["subject"] == subject);
        found
            .map(|finding| format!("{}: {} · {}", finding["state"], finding["said"], finding["cure"]))
            .unwrap_or_default()
    };
    assert!(said("database").contains("vigie.db answers, and its schema is this version's"), "{findings:#}");
    assert!(said("people").contains("“lead” (U0NOBODY) is nobody in this workspace"), "{findings:#}");
    assert!(said("announcements").starts_with("\"bad\": \"Slack refused conversations.info"), "{findings:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_the_scope_that_is_missing_and_the_token_that_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(&HandClock::new());
    options.manifest_yaml = MANIFEST.replacen("      - pins:write", "      #", 1);
    let practice = Practice::start(options).await.expect("the workspace opens");
    let with = |token: &str| {
        let variables = [
            ("SLACK_API_URL", practice.api_url()),
            ("SLACK_BOT_TOKEN", token),
            ("SLACK_APP_TOKEN", practice.app_token()),
            ("DATABASE_URL", "sqlite://nowhere/vigie.db"),
        ];
        let told = vigie(folder.path(), "doctor", &variables);
        assert_eq!(told.status.code(), Some(1));
        out(&told)
    };
    let lines = with(practice.bot_token());
    for line in [
        "✗ configuration vigie.yml: the file cannot be read: No such file or directory (os error 2) · give its path with \
         --config, or write a first one with vigie init",
        "✗ database      there is no folder nowhere · make it, or give another path in DATABASE_URL",
        "✗ scopes        the token lacks pins:write · paste manifest.yml into the app's page “App Manifest” and install",
        "3 of these lines must be put right (✗)",
    ] {
        assert!(lines.contains(line), "{line} is not in\n{lines}");
    }
    let lines = with("xoxb-hunter2");
    assert!(
        lines.contains("✗ slack         Slack refused auth.test (invalid_auth): SLACK_BOT_TOKEN is wrong"),
        "{lines}"
    );
    assert!(!lines.contains("hunter2"), "{lines}");
    let told = vigie(folder.path(), "doctor", &[]);
    assert!(out(&told).contains("✗ environment   SLACK_BOT_TOKEN is not set · copy"), "{}", out(&told));
}

#[tokio::test]
async fn the_practice_page_is_told_when_the_bot_hears_what_is_typed() {
    let (told, page) = tokio::sync::oneshot::channel();
    let stop = CancellationToken::new();
    let clock = Clock::manual(START);
    let listen = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    let (locale, variables) = ("en".into(), BTreeMap::new());
    let options = Options { listen, locale, clock, rate_limits: false, database: None, config: None, variables };
    let ready = move |setup: &Setup| {
        told.send(setup.workspace().clone()).unwrap_or_else(|_| panic!("somebody waits for the address"));
    };
    let first_command = async {
        let workspace = page.await.expect("the practice opens");
        let ack = workspace.person("U0ONCALL").command("general", "/incident", "help").await;
        assert_eq!(ack.failure, None, "the very first command is heard");
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(practice(options, ready, stop.clone()), first_command);
    ended.expect("it ends well");
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

    let own = std::fs::read_to_string(project().join("examples/minimal.yml")).expect("the example is there");
    let own = own.replace("U012AB3CD", "U0ONCALL").replace("On-call engineer", "Night watch");
    std::fs::write(folder.path().join("vigie.yml"), &own).expect("written");
    let named = say("postmortem 1");
    assert!(named.contains("Night watch"), "people by the names that ./vigie.yml gives them: {named}");
    assert!(say("incidents").contains(" CET  "), "the team's own time");
    std::fs::write(folder.path().join("vigie.yml"), "workspace: {zone: Nowhere}").expect("written");
    let told = vigie(folder.path(), "postmortem 1", &variables);
    assert!(told.status.success() && !out(&told).contains("Night watch"));
    assert!(err(&told).contains("vigie.yml is left aside, because it has faults"), "{}", err(&told));
    std::fs::remove_file(folder.path().join("vigie.yml")).expect("it was there");

    let told = vigie(folder.path(), "postmortem 1 --layout lang", &variables);
    assert_eq!(
        (told.status.code(), err(&told).as_str()),
        (Some(1), "vigie: there is no layout “lang”; there is long, minimal, short\n")
    );
    let told = vigie(folder.path(), "postmortem 9", &variables);
    assert!(err(&told).contains("there is no incident inc_9"), "{}", err(&told));
    world.close().await;
}

/// A configuration whose one action writes into a file; both people are whoever runs this.
fn with_an_action(folder: &Path) -> String {
    let minimal = std::fs::read_to_string(project().join("examples/minimal.yml")).expect("it is there");
    let account = String::from_utf8(Command::new("id").arg("-un").output().expect("id runs").stdout).expect("a name");
    let known = format!("slack: U012AB3CD # paged by a direct message with a button\n    account: {account}");
    let minimal = minimal.replace("slack: U012AB3CD # paged by a direct message with a button\n", &known);
    format!(
        "{minimal}\nactions:\n  note:\n    title: Write it down\n    service: desk\n    risk: reversible\n    expected: 1s\n    \
         approval: {{ by: [oncall], needed: 1, requester_may: true }}\n    steps:\n      - command: {{ target: note, risk: \
         reversible, to: written, argv: [touch, {}] }}\n    verify: [there]\nservices:\n  desk:\n    title: Desk\n    checks:\n      \
         - {{ key: there, command: {{ argv: [test, -e, {}] }} }}\n",
        folder.join("note").display(),
        folder.join("note").display()
    )
}

#[test]
fn actions_are_listed_planned_run_and_approved_from_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("vigie.yml"), with_an_action(folder.path())).expect("it can be written");
    let url = format!("sqlite://{}", folder.path().join("vigie.db").display());
    let variables = [("DATABASE_URL", url.as_str()), ("PATH", "/usr/local/bin:/usr/bin:/bin")];
    let run = |line: &str| vigie(folder.path(), line, &variables);

    let told = run("action list");
    assert_eq!(out(&told), "note  Write it down (reversible)\n", "{}", err(&told));
    let told = run("action plan note");
    for line in ["Write it down\n1. note: written", "runs: touch ", "Risk: can be changed back"] {
        assert!(out(&told).contains(line), "{line} is not in {}{}", out(&told), err(&told));
    }
    let plan: Value = serde_json::from_str(&out(&run("action plan note --json"))).expect("JSON");
    assert_eq!(plan["steps"][0]["to"], "written");
    let told = run("action plan nothing");
    assert_eq!(told.status.code(), Some(1));
    assert!(err(&told).contains("There is no action “nothing”"), "{}", err(&told));

    let mut words = vec!["action", "run", "note", "--start", "sev1 the desk is empty"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    let told = command.args(words.drain(..)).current_dir(folder.path()).env_clear().envs(variables).output();
    let told = told.expect("the program runs");
    assert!(told.status.success() && out(&told).contains("1. note: written"), "{}{}", out(&told), err(&told));
    assert!(!folder.path().join("note").exists(), "nobody has approved it");
    let told = run("say approve run_1_1");
    assert!(
        told.status.success() && out(&told).contains("Write it down (run_1_1, plan "),
        "{}{}",
        out(&told),
        err(&told)
    );
    assert!(folder.path().join("note").exists());
    let told = run("say approve run_1_1");
    assert_eq!(told.status.code(), Some(1), "{}", out(&told));
    let told = run("action files run_1_1");
    assert!(err(&told).contains("nothing was kept of the state before run_1_1"), "{}", err(&told));
}

/// What the printed roles are for stands in the tests of the cluster; here, that they are printed and what is refused.
#[test]
fn the_rights_in_a_cluster_are_printed_for_whoever_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = with_an_action(folder.path()).replace(
        "      - command: { target: note",
        "      - kubernetes: { cluster: production, namespace: shop, restart: { workloads: [deployment/web] } }\n      - command: { \
         target: note",
    );
    let config = format!("{config}clusters:\n  production: {{ in_cluster: true }}\n");
    std::fs::write(folder.path().join("vigie.yml"), config).expect("it can be written");
    let told = vigie(folder.path(), "action rbac --subject serviceaccount:ops/vigie", &[]);
    for line in ["kind: RoleBinding", "name: \"vigie\"\n    namespace: ops", "resourceNames: [\"web\"]", "\"patch\""] {
        assert!(out(&told).contains(line), "{line} is not in {}{}", out(&told), err(&told));
    }
    let told = vigie(folder.path(), "action rbac --subject somebody", &[]);
    assert!(err(&told).contains("write user:name, group:name or serviceaccount:namespace/name"), "{}", err(&told));
    let told = vigie(folder.path(), "action rbac --cluster staging", &[]);
    assert!(err(&told).contains("there is no cluster “staging”; there are production"), "{}", err(&told));
}
