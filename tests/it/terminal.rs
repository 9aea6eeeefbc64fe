//! What can be done from a terminal on the day Slack is down: by the same people, under the same rules.

use vigie::app::practice::CONFIG;
use vigie::app::terminal::{Terminal, TerminalFault};
use vigie::clock::Clock;
use vigie::config::Config;
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use crate::database::Database;
use crate::lever::{Lever, action};
use crate::script::START;
use crate::world::{World, practice_config};

/// Where the practice team's contacts say who they are, and their accounts.
const PEOPLE: [(&str, &str); 2] = [
    ("slack: U0ONCALL\n", "slack: U0ONCALL\n    account: ana\n"),
    ("slack: U0LEAD\n", "slack: U0LEAD\n    account: lea\n"),
];

/// What a terminal was told.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    async fn by(&mut self, terminal: &Terminal, account: &str, line: &str) -> Result<(), TerminalFault> {
        terminal.say(account, line, &mut |said| self.0.push(said.to_owned())).await
    }

    fn all(&self) -> String {
        self.0.join("\n")
    }
}

async fn switch() -> (Lever, String) {
    let lever = Lever::open().await;
    let action = action("lever-back", "Put the lever back", "", &[lever.step("lever", "v1")]);
    (lever, action)
}

fn refused(fault: Result<(), TerminalFault>, with: &str) {
    let said = fault.expect_err("it is refused").to_string();
    assert!(said.contains(with), "{with} is not in {said}");
}

#[tokio::test]
async fn what_is_said_at_a_terminal_keeps_to_the_same_rules_as_in_slack() {
    let (lever, action) = switch().await;
    let world = World::open_changed(&[("actions:\n", &action), PEOPLE[0], PEOPLE[1]]).await;
    let (terminal, mut told) = (Terminal::beside(&world.setup.vigie), Told::default());
    told.by(&terminal, "ana", "start sev2 checkout returns 500").await.expect("it is declared");
    world.settle().await;
    told.by(&terminal, "ana", "run lever-back --in inc_1").await.expect("it is planned");
    assert!(told.all().contains("1. lever from v2 to v1"), "{}", told.all());
    refused(told.by(&terminal, "ana", "approve run_1_1").await, "You asked for this, so somebody else must approve it");
    refused(told.by(&terminal, "root", "approve run_1_1").await, "the account “root” is nobody of the plan");
    refused(told.by(&terminal, "lea", "aprove run_1_1").await, "approve");
    assert_eq!(lever.positions(), ["v2"]);
    told.by(&terminal, "lea", "approve run_1_1").await.expect("it is approved");
    assert_eq!(lever.positions(), ["v2", "v1"]);
    let run = world.incident(1).await.runs.into_values().next().expect("there is a run");
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done });
    assert!(told.all().contains("Put the lever back (run_1_1, plan "), "{}", told.all());
    world.settle().await;
    // Slack shows it like everything else.
    let channel = world.channel(1).await;
    world.message(&channel, "Rolled back in");
    world.close().await;
}

fn configuration(action: &str) -> Config {
    let mut text = CONFIG.replacen("actions:\n", action, 1);
    for (from, to) in PEOPLE {
        assert!(text.contains(from), "the practice configuration does not say “{from}”");
        text = text.replace(from, to);
    }
    practice_config(&text)
}

#[tokio::test]
async fn an_action_goes_from_plan_to_end_while_nobody_else_is_at_work_and_slack_learns_of_it_later() {
    let ((lever, action), database, mut told) = (switch().await, Database::fresh().await, Told::default());
    let config =
        configuration(&action.replace("    verify: [health]\n", "    verify: [health]\n    verify_within: 1s\n"));
    let terminal =
        Terminal::open(config, &database.url, Clock::manual(START)).await.unwrap_or_else(|fault| panic!("{fault}"));
    for line in ["start sev2 checkout returns 500", "run lever-back"] {
        told.by(&terminal, "ana", line).await.unwrap_or_else(|fault| panic!("{line}: {fault}"));
    }
    for line in ["Put the lever back", "1. lever from v2 to v1", "Risk: can be changed back", "Checked afterwards:"] {
        assert!(told.all().contains(line), "{line} is not in {}", told.all());
    }
    // Nobody is in the shop: the check after it fails, that is said, and whatever waits for the command does not go on.
    refused(told.by(&terminal, "lea", "approve run_1_1").await, "run_1_1 did not end well");
    assert_eq!(lever.positions(), ["v2", "v1"]);
    assert!(told.all().contains("step 1 done in") && told.all().contains("failed"), "{}", told.all());
    terminal.close().await;

    let world = World::open_on(database).await;
    world.settle().await;
    let channel = world.channel(1).await;
    world.message(&channel, "Rollback stopped");
    world.close().await;
}

/// Whether somebody is in a user group is asked of Slack; what comes of nothing is never told with silence.
#[tokio::test]
async fn who_may_approve_only_as_a_member_of_a_user_group_is_told_that_slack_must_be_asked() {
    let ((_lever, action), database, mut told) = (switch().await, Database::fresh().await, Told::default());
    let config = configuration(&action.replace("by: [lead, dba]", "by: [\"group:S0LEADS\"]"));
    let terminal =
        Terminal::open(config, &database.url, Clock::manual(START)).await.unwrap_or_else(|fault| panic!("{fault}"));
    for line in ["start sev2 checkout returns 500", "run lever-back"] {
        told.by(&terminal, "ana", line).await.unwrap_or_else(|fault| panic!("{line}: {fault}"));
    }
    refused(told.by(&terminal, "lea", "approve run_1_1").await, "whether you are in a user group");
    terminal.close().await;
}
