//! One action through the whole bot: the practice team with an action of the test's own, from the slash command to the
//! timeline.

use secrecy::ExposeSecret as _;
use serde_json::Value;
use vigie::app::practice::CONFIG;
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use crate::nowhere;
use crate::world::{World, shown, ts};

/// Where the sections of the practice configuration begin.
const SERVICES: &str = "services:\n  shop:\n";
const ACTIONS: &str = "actions:\n  rollback-shop:\n";

/// How a configuration here writes the token of whatever it speaks to: credentials come from the environment only.
pub const TOKEN: &str = "${PHONES_TOKEN}";

/// The bot with the test's own action.
pub struct Runbook {
    pub world: World,
}

/// What the test adds to the practice team's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Sheet<'a> {
    /// Whole sections: `databases`, for instance.
    pub sections: &'a str,
    /// What the service `app` is looked at by: the check `live`.
    pub check: &'a str,
    /// Its further checks, as a list.
    pub checks: &'a str,
    /// What the action `go` may do.
    pub risk: &'a str,
    /// Its steps, as a list.
    pub steps: &'a str,
    /// Further actions, as they stand under `actions`.
    pub actions: &'a str,
}

impl Default for Sheet<'_> {
    fn default() -> Self {
        Self {
            sections: "",
            check: "command: { argv: [\"true\"] }",
            checks: "",
            risk: "reversible",
            steps: "",
            actions: "",
        }
    }
}

impl Sheet<'_> {
    /// What is put in the place of the beginnings of two sections.
    fn changes(&self) -> [(&'static str, String); 2] {
        let indented = |text: &str, by: usize| {
            let lines = text.trim_end().lines().map(|line| format!("{}{line}\n", " ".repeat(by)));
            lines.collect::<String>()
        };
        let service = format!(
            "{}services:\n  app:\n    title: App\n    checks:\n      - key: live\n        title: Live\n{}{}  shop:\n",
            self.sections,
            indented(self.check, 8),
            indented(self.checks, 6)
        );
        let action = format!(
            "actions:\n  go:\n    title: App v1\n    service: app\n    rollback: {}\n    class: urgent\n    \
             risk: {}\n    expected: 1m\n    approval: {{ by: [lead, dba, cto] }}\n    verify: [live]\n    \
             verify_within: 10s\n    steps:\n{}{}  rollback-shop:\n",
            self.risk != "read_only",
            self.risk,
            indented(self.steps, 6),
            if self.actions.is_empty() { String::new() } else { indented(self.actions, 2) }
        );
        [(SERVICES, service), (ACTIONS, action)]
    }

    /// The practice team's configuration with it, for a bot that is a process of its own.
    pub fn configuration(&self) -> String {
        self.changes().into_iter().fold(CONFIG.to_owned(), |config, (from, to)| config.replace(from, &to))
    }
}

impl Runbook {
    /// The configuration gets a service `app`, which `check` looks at, and an action `go` of these steps.
    pub async fn open(locale: &str, check: &str, steps: &str) -> Self {
        Self::open_with(locale, &Sheet { check, steps, ..Sheet::default() }).await
    }

    pub async fn open_with(locale: &str, sheet: &Sheet<'_>) -> Self {
        let changes = sheet.changes();
        let changes = changes.each_ref().map(|(from, to)| (*from, to.as_str()));
        let world = World::open_changed_in(locale, &changes).await;
        Self { world }
    }

    /// What [`TOKEN`] stands for in this world.
    pub fn token(&self) -> String {
        self.world.setup.phones.account().token.expose_secret().to_owned()
    }

    /// Declares an incident and asks for the plan: its channel and its card.
    pub async fn planned(&self) -> (String, Value) {
        self.world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout 500").await;
        let channel = self.world.channel(1).await;
        self.world.types("U0ONCALL", &channel, "run go").await;
        let card = self.world.message(&channel, "approve run_1_1");
        (channel, card)
    }

    /// Two people approve, as what may lose something needs; how the card reads then.
    pub async fn approved_by_two(&self, channel: &str, card: &Value) -> String {
        self.world.clicks("U0DBA", channel, &ts(card), "approve").await;
        self.approved(channel, card).await
    }

    /// Approves the plan by its button and waits for the end; how the card reads then.
    pub async fn approved(&self, channel: &str, card: &Value) -> String {
        self.world.clicks("U0LEAD", channel, &ts(card), "approve").await;
        shown(&self.world.again(channel, card))
    }

    pub async fn outcome(&self) -> Outcome {
        let run = self.world.incident(1).await.runs.into_values().next().expect("there is a run");
        match run.phase {
            Phase::Finished { outcome } => outcome,
            other => panic!("the run has not ended: {other:?}"),
        }
    }

    /// Closes the world, and demands that nobody was shown or kept the token or these.
    pub async fn close_without(self, secrets: &[&str]) {
        let token = self.token();
        nowhere::demand(&self.world, &[secrets, &[token.as_str()]].concat()).await;
        self.world.close().await;
    }
}
