//! The day Slack is down: the cluster is rolled back from a terminal, by the same rules.

use std::path::Path;
use std::process::Output;

use serde_json::json;
use tokio::process::Command;

use super::plane::Namespace;
use super::team::Setting;
use crate::database::Database;

/// `vigie …` in a folder, with what the practice team's configuration leaves open.
async fn vigie(folder: &Path, database: &str, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    command.args(words).current_dir(folder).env_clear().env("DATABASE_URL", database);
    for (name, value) in [
        ("SHOP_URL", "http://127.0.0.1:9"),
        ("PHONES_URL", "http://127.0.0.1:9"),
        ("SMTP_PORT", "9"),
        ("PHONES_ACCOUNT", "AC00000000000000000000000000000001"),
        ("PHONES_TOKEN", "practice-practice"),
        ("PHONES_SECRET", "practice-practice"),
    ] {
        command.env(name, value);
    }
    command.output().await.expect("the program runs")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// K1, P6 · Two people at two terminals, who are told apart by their accounts.
#[tokio::test]
async fn a_roll_back_is_planned_approved_and_done_from_a_terminal() {
    let Some(space) = Namespace::open().await else { return };
    let setting = Setting::default();
    space.grant(&setting.roles(&space)).await;
    space.deployed("web", &["example/web:1", "example/web:2"], 2).await;
    let (folder, database) = (tempfile::tempdir().expect("a folder can be made"), Database::fresh().await);
    let named = Command::new("id").arg("-un").output().await.expect("there is id");
    let account = told(&named).trim().to_owned();
    for (file, person) in [("ana.yml", "slack: U0ONCALL\n"), ("lea.yml", "slack: U0LEAD\n")] {
        let config = setting.configuration(&space);
        assert!(config.contains(person), "{config}");
        let config = config.replacen(person, &format!("{person}    account: {account}\n"), 1);
        std::fs::write(folder.path().join(file), config).expect("it can be written");
    }
    let says = async |words: &[&str]| {
        let output = vigie(folder.path(), &database.url, words).await;
        (output.status.success(), told(&output))
    };

    let (is_good, plan) = says(&["action", "plan", "undo-web", "--config", "ana.yml"]).await;
    for line in ["example/web:2 · revision 2 → example/web:1 · revision 1", "as kept in web-"] {
        assert!(is_good && plan.contains(line), "{line} is not in {plan}");
    }
    let start = "sev2 the web fails";
    let (is_good, asked) = says(&["action", "run", "undo-web", "--start", start, "--config", "ana.yml"]).await;
    assert!(is_good && asked.contains("Roll web back from example/web:2 · revision 2"), "{asked}");
    let (is_good, refused) = says(&["say", "--config", "ana.yml", "approve", "run_1_1"]).await;
    assert!(!is_good && refused.contains("You asked for this, so somebody else must approve it"), "{refused}");
    assert_eq!((space.image("web").await.as_str(), space.writes().len()), ("example/web:2", 0));

    let (is_good, done) = says(&["say", "--config", "lea.yml", "approve", "run_1_1"]).await;
    assert!(is_good && done.contains("step 1 done in") && done.contains("nothing outside its limits"), "{done}");
    assert_eq!(space.image("web").await, "example/web:1");
    assert_eq!(space.writes(), [json!(["patch", "deployments/web", 200])]);

    // Whatever calls the command learns by its exit code that nothing came of it.
    space.set_image("web", "example/web:2").await;
    let (is_good, asked) = says(&["action", "run", "undo-web", "--incident", "1", "--config", "ana.yml"]).await;
    assert!(is_good && asked.contains("run_1_2"), "{asked}");
    space.set_image("web", "example/web:3").await;
    let (is_good, stale) = says(&["say", "--config", "lea.yml", "approve", "run_1_2"]).await;
    assert!(!is_good && stale.contains("web was changed since the plan"), "{stale}");
}
