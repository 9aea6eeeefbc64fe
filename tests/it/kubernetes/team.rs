//! A team whose web service runs in the cluster: the practice team, with actions and a check on a namespace.

use serde_json::Value;
use vigie::app::practice::CONFIG;
use vigie::incident::approval::Outcome;
use vigie::incident::state::{Phase, Run};

use super::plane::{Namespace, RIGHTS};
use crate::world::{World, shown, ts};

/// The team, its bot and its namespace.
pub struct Team {
    pub world: World,
    pub space: Namespace,
}

/// Where the sections of the practice configuration begin.
const SERVICES: &str = "services:\n  shop:\n";
const ACTIONS: &str = "actions:\n  rollback-shop:\n";

/// What is put before them: a service that is checked by its roll-out, a cluster, and two actions on the same workloads.
fn sections(space: &Namespace, workloads: &str, within: &str) -> (String, String) {
    let (kubectl, admin) = (space.program(), space.kubeconfig("admin"));
    let (kubectl, admin, bot) = (kubectl.display(), admin.display(), space.kubeconfig("bot"));
    let (name, bot) = (&space.name, bot.display());
    let service = format!(
        "services:
  web:
    title: Web
    checks:
      - key: rollout
        title: Roll-out
        within: 30s
        command:
          argv: [\"{kubectl}\", --kubeconfig, \"{admin}\", --namespace, {name}, rollout, status, deployment/web, --timeout=20s]
  shop:
"
    );
    let action = |key: &str| {
        format!(
            "  {key}:
    title: Roll the web back
    service: web
    rollback: true
    class: urgent
    risk: reversible
    expected: 1m
    approval: {{ by: [lead, dba] }}
    steps:
      - within: {within}
        kubernetes:
          cluster: production
          namespace: {name}
          undo: {{ workloads: [{workloads}] }}
    verify: [rollout]
    verify_within: 30s
"
        )
    };
    let actions = format!(
        "clusters:
  production:
    kubeconfig: \"{bot}\"
actions:
{}{}  rollback-shop:
",
        action("undo-web"),
        action("undo-web-too")
    );
    (service, actions)
}

/// The practice configuration with the team's own parts.
pub fn configuration(space: &Namespace, workloads: &str, within: &str) -> String {
    let (service, actions) = sections(space, workloads, within);
    CONFIG.replacen(SERVICES, &service, 1).replacen(ACTIONS, &actions, 1)
}

impl Team {
    /// With all rights, one workload and much time.
    pub async fn open() -> Option<Self> {
        Self::open_with(&RIGHTS, "deployment/web", "1m").await
    }

    pub async fn open_with(rights: &[(&str, &str, &[&str])], workloads: &str, within: &str) -> Option<Self> {
        let space = Namespace::open(rights).await?;
        let (service, actions) = sections(&space, workloads, within);
        let world = World::open_changed(&[(SERVICES, &service), (ACTIONS, &actions)]).await;
        Some(Self { world, space })
    }

    /// Declares an incident and asks for a plan; its channel.
    pub async fn asks_for(&self, incident: i64, action: &str) -> String {
        self.world.types("U0ONCALL", "C0GENERAL", &format!("start sev2 the web fails ({incident})")).await;
        let channel = self.world.channel(incident).await;
        self.world.types("U0ONCALL", &channel, &format!("run {action}")).await;
        channel
    }

    /// The same, when a plan comes: its channel and its card.
    pub async fn planned(&self, incident: i64, action: &str) -> (String, Value) {
        let channel = self.asks_for(incident, action).await;
        let card = self.world.message(&channel, &format!("approve run_{incident}_1"));
        (channel, card)
    }

    /// Approves a plan by its button and waits for the end; how the card reads then.
    pub async fn approved(&self, channel: &str, card: &Value) -> String {
        self.world.clicks("U0LEAD", channel, &ts(card), "approve").await;
        shown(&self.world.again(channel, card))
    }

    pub async fn run(&self, incident: i64) -> Run {
        self.world.incident(incident).await.runs.into_values().next().expect("there is a run")
    }

    /// How the run ended.
    pub async fn outcome(&self, incident: i64) -> Outcome {
        match self.run(incident).await.phase {
            Phase::Finished { outcome } => outcome,
            other => panic!("the run has not ended: {other:?}"),
        }
    }

    pub async fn close(self) {
        self.world.close().await;
    }
}
