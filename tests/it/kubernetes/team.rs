//! A team whose web service runs in the cluster: the practice team, with actions and a check on a namespace.

use serde_json::Value;
use vigie::app::action::rbac;
use vigie::app::practice::CONFIG;
use vigie::config::Config;
use vigie::incident::approval::Outcome;
use vigie::incident::state::{Phase, Run};

use super::plane::Namespace;
use crate::world::{World, practice_config, shown, ts};

/// The team, its bot and its namespace.
pub struct Team {
    pub world: World,
    pub space: Namespace,
}

/// Where the sections of the practice configuration begin.
const SERVICES: &str = "services:\n  shop:\n";
const ACTIONS: &str = "actions:\n  rollback-shop:\n";

/// What the team has in the cluster.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Its actions: key, risk, and the one thing that each does.
    pub actions: &'a [(&'a str, &'a str, &'a str)],
    /// What is looked at afterwards, in kubectl's words.
    pub check: &'a str,
    /// How long a step may take.
    pub within: &'a str,
    /// What the diagnostic looks at in the cluster besides: key, and the one thing that it looks at.
    pub looks: &'a [(&'a str, &'a str)],
    /// More about how the cluster is reached.
    pub reached: &'a str,
}

impl Default for Setting<'_> {
    fn default() -> Self {
        Self {
            actions: &[("undo-web", "reversible", UNDO_WEB), ("undo-web-too", "reversible", UNDO_WEB)],
            check: "rollout, status, deployment/web, --timeout=20s",
            within: "1m",
            looks: &[],
            reached: "",
        }
    }
}

const UNDO_WEB: &str = "undo: { workloads: [deployment/web] }";

impl Setting<'_> {
    /// What is put before the sections of the practice: a service that is looked at, a cluster, and the actions.
    fn sections(&self, space: &Namespace) -> (String, String) {
        let (kubectl, admin) = (space.program(), space.kubeconfig("admin"));
        let (kubectl, admin, bot) = (kubectl.display(), admin.display(), space.of_the_bot());
        let (name, bot, check, within) = (&space.name, bot.display(), self.check, self.within);
        let look = |(key, look): &(&str, &str)| {
            format!("      - {{ key: {key}, kubernetes: {{ cluster: production, namespace: {name}, {look} }} }}\n")
        };
        let looks: String = self.looks.iter().map(look).collect();
        let service = format!(
            "services:
  web:
    title: Web
    checks:
      - key: rollout
        title: Roll-out
        within: 30s
        command:
          argv: [\"{kubectl}\", --kubeconfig, \"{admin}\", --namespace, {name}, {check}]
{looks}  shop:
"
        );
        let action = |(key, risk, operation): &(&str, &str, &str)| {
            format!(
                "  {key}:
    title: Roll the web back
    service: web
    rollback: true
    class: urgent
    risk: {risk}
    expected: 1m
    approval: {{ by: [lead, dba], needed: 1 }}
    steps:
      - within: {within}
        kubernetes:
          cluster: production
          namespace: {name}
          {operation}
    verify: [rollout]
    verify_within: 30s
"
            )
        };
        let actions: String = self.actions.iter().map(action).collect();
        let reached = self.reached;
        let actions = format!(
            "clusters:
  production:
    kubeconfig: \"{bot}\"
    {reached}
actions:
{actions}  rollback-shop:
"
        );
        (service, actions)
    }

    /// The practice configuration with the team's own parts.
    pub fn configuration(&self, space: &Namespace) -> String {
        let (service, actions) = self.sections(space);
        CONFIG.replacen(SERVICES, &service, 1).replacen(ACTIONS, &actions, 1)
    }

    /// What `vigie action rbac` prints for it.
    pub fn roles(&self, space: &Namespace) -> String {
        rbac(&self.config(space), None, "user:vigie").expect("there is something to be allowed")
    }

    /// The configuration as it is read.
    pub fn config(&self, space: &Namespace) -> Config {
        rustls::crypto::ring::default_provider().install_default().ok();
        let text = self.configuration(space);
        practice_config(&text)
    }
}

impl Team {
    /// With one workload and much time.
    pub async fn open() -> Option<Self> {
        Self::having(Setting::default()).await
    }

    /// With actions of one's own, and with exactly the rights that Vigie says it needs for them.
    pub async fn doing(actions: &[(&str, &str, &str)], check: &str) -> Option<Self> {
        Self::having(Setting { actions, check, ..Setting::default() }).await
    }

    pub async fn having(setting: Setting<'_>) -> Option<Self> {
        let space = Namespace::open().await?;
        space.grant(&setting.roles(&space)).await;
        Some(Self::on(space, setting).await)
    }

    /// With the rights that there are.
    pub async fn on(space: Namespace, setting: Setting<'_>) -> Self {
        let (service, actions) = setting.sections(&space);
        let world = World::open_changed(&[(SERVICES, &service), (ACTIONS, &actions)]).await;
        Self { world, space }
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

    /// Declares an incident, has the action planned and approved, and waits for its end: how plan and end read.
    pub async fn through(&self, incident: i64, action: &str) -> (String, String) {
        let (channel, card) = self.planned(incident, action).await;
        (shown(&card), self.approved(&channel, &card).await)
    }

    pub async fn run(&self, incident: i64) -> Run {
        self.world.incident(incident).await.runs.into_values().next().expect("there is a run")
    }

    /// The mark that the first step of the first run leaves behind.
    pub async fn mark(&self, incident: i64) -> String {
        let run = self.run(incident).await;
        format!("{}-step-1-{:x}", run.id, run.asked.at.0)
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
