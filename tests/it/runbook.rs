//! One action through the whole bot: the practice team with an action of the test's own, from the slash command to the
//! timeline.

use secrecy::ExposeSecret as _;
use serde_json::Value;
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

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

impl Runbook {
    /// The configuration gets a service `app`, which `check` looks at, and an action `go` of these steps.
    pub async fn open(locale: &str, check: &str, steps: &str) -> Self {
        let indented = |text: &str, by: usize| {
            let lines = text.trim_end().lines().map(|line| format!("{}{line}\n", " ".repeat(by)));
            lines.collect::<String>()
        };
        let service = format!(
            "services:\n  app:\n    title: App\n    checks:\n      - key: live\n        title: Live\n{}  shop:\n",
            indented(check, 8)
        );
        let action = format!(
            "actions:\n  go:\n    title: App v1\n    service: app\n    rollback: true\n    class: urgent\n    \
             risk: reversible\n    expected: 1m\n    approval: {{ by: [lead, dba] }}\n    verify: [live]\n    \
             verify_within: 10s\n    steps:\n{}  rollback-shop:\n",
            indented(steps, 6)
        );
        let world = World::open_changed_in(locale, &[(SERVICES, &service), (ACTIONS, &action)]).await;
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
        let ws = self.world.ws();
        let mut all: Vec<String> = ws.calls().iter().map(|call| format!("{:?}", call.args)).collect();
        all.extend(self.world.setup.phones.deliveries().iter().map(|delivery| format!("{delivery:?}")));
        all.extend(ws.files().iter().map(|file| String::from_utf8_lossy(&file.bytes).into_owned()));
        let store = &self.world.setup.vigie.store;
        let timeline = store.timeline("inc_1".parse().expect("an id")).await.expect("the store answers");
        all.extend(timeline.iter().map(|entry| format!("{entry:?}")));
        for secret in secrets.iter().copied().chain([token.as_str()]) {
            let shown = all.iter().find(|text| text.contains(secret));
            assert!(shown.is_none(), "a secret is shown in {shown:?}");
        }
        self.world.close().await;
    }
}
