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
    /// The namespace in a second cluster, staging, where there are the same actions; their keys end in -staging.
    pub staging: Option<&'a Namespace>,
}

impl Default for Setting<'_> {
    fn default() -> Self {
        Self {
            actions: &[("undo-web", "reversible", UNDO_WEB), ("undo-web-too", "reversible", UNDO_WEB)],
            check: "rollout, status, deployment/web, --timeout=20s",
            within: "1m",
            looks: &[],
            reached: "",
            staging: None,
        }
    }
}

/// A cluster of the configuration, and the namespace that is used there.
struct Place<'a> {
    cluster: &'static str,
    /// Of the keys of its checks and actions.
    ending: &'static str,
    space: &'a Namespace,
}

const UNDO_WEB: &str = "undo: { workloads: [deployment/web] }";

impl Setting<'_> {
    /// What is put before the sections of the practice: a service that is looked at, the clusters, and the actions.
    fn sections(&self, space: &Namespace) -> (String, String) {
        let mut places = vec![Place { cluster: "production", ending: "", space }];
        places.extend(self.staging.map(|space| Place { cluster: "staging", ending: "-staging", space }));
        let of = |write: &dyn Fn(&Place<'_>) -> String| places.iter().map(write).collect::<String>();
        let look = |(key, look): &(&str, &str)| {
            format!(
                "      - {{ key: {key}, kubernetes: {{ cluster: production, namespace: {}, {look} }} }}\n",
                space.name
            )
        };
        let looks: String = self.looks.iter().map(look).collect();
        let checks = of(&|place| self.check_in(place));
        let service = format!("services:\n  web:\n    title: Web\n    checks:\n{checks}{looks}  shop:\n");
        let clusters = of(&|place| {
            let file = place.space.of_the_bot();
            format!("  {}:\n    kubeconfig: \"{}\"\n    {}\n", place.cluster, file.display(), self.reached)
        });
        let actions = of(&|place| self.actions_in(place));
        (service, format!("clusters:\n{clusters}actions:\n{actions}  rollback-shop:\n"))
    }

    fn check_in(&self, place: &Place<'_>) -> String {
        let (kubectl, admin) = (place.space.program(), place.space.kubeconfig("admin"));
        let (kubectl, admin, name) = (kubectl.display(), admin.display(), &place.space.name);
        let (ending, check) = (place.ending, self.check);
        format!(
            "      - key: rollout{ending}
        title: Roll-out
        within: 30s
        command:
          argv: [\"{kubectl}\", --kubeconfig, \"{admin}\", --namespace, {name}, {check}]
"
        )
    }

    fn actions_in(&self, place: &Place<'_>) -> String {
        let (cluster, ending, name, within) = (place.cluster, place.ending, &place.space.name, self.within);
        let action = |(key, risk, operation): &(&str, &str, &str)| {
            format!(
                "  {key}{ending}:
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
          cluster: {cluster}
          namespace: {name}
          {operation}
    verify: [rollout{ending}]
    verify_within: 30s
"
            )
        };
        self.actions.iter().map(action).collect()
    }

    /// The practice configuration with the team's own parts.
    pub fn configuration(&self, space: &Namespace) -> String {
        let (service, actions) = self.sections(space);
        CONFIG.replacen(SERVICES, &service, 1).replacen(ACTIONS, &actions, 1)
    }

    /// What `vigie action rbac` prints for it.
    pub fn roles(&self, space: &Namespace) -> String {
        self.roles_in("production", space)
    }

    /// The same for one of its clusters.
    pub fn roles_in(&self, cluster: &str, space: &Namespace) -> String {
        rbac(&self.config(space), Some(cluster), "user:vigie").expect("there is something to be allowed")
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
        let (plan, end) = (shown(&card), self.approved(&channel, &card).await);
        self.stands_in_the_timeline(incident, &plan, &end).await;
        (plan, end)
    }

    /// Takes back what the last run of an incident has done, by a plan of its own: how plan and end read.
    pub async fn taken_back(&self, incident: i64) -> (String, String) {
        let channel = self.world.channel(incident).await;
        let runs = self.world.incident(incident).await.runs.len();
        self.world.types("U0ONCALL", &channel, &format!("undo run_{incident}_{runs}")).await;
        let card = self.world.message(&channel, &format!("approve run_{incident}_{}", runs + 1));
        let end = self.approved(&channel, &card).await;
        let run = self.world.incident(incident).await.runs.into_values().next_back().expect("there is a run");
        assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{end}");
        (shown(&card), end)
    }

    /// Whoever reads the timeline later learns who approved which plan, what came of each step, and how it ended.
    async fn stands_in_the_timeline(&self, incident: i64, plan: &str, end: &str) {
        let run = self.run(incident).await;
        let (id, digest) = (run.id, run.digest.as_ref().expect("it was planned").short());
        let told = self.world.timeline("U0LEAD", incident).await;
        for line in [
            "<@U0ONCALL> asked for a plan: Roll the web back".to_owned(),
            format!("<@U0LEAD> approved Roll the web back ({id}, plan {digest})"),
            format!("Roll the web back ({id}, plan {digest}): "),
        ] {
            assert!(told.contains(&line), "{line} is not in {told}");
        }
        if run.phase != (Phase::Finished { outcome: Outcome::Done }) {
            return;
        }
        for step in 1..=run.plan.expect("it was planned").steps.len() {
            let begins = format!("{id}, step {step} done in ");
            let line = told.lines().find_map(|line| line.split_once(&begins)).map(|(_, line)| line);
            let line = line.unwrap_or_else(|| panic!("{begins} is not in {told}"));
            let (_, done) = line.split_once(": ").expect("the step is named");
            // Either may hold the sign between the two.
            let mut places =
                done.match_indices(" · ").map(|(place, sign)| (&done[..place], &done[place + sign.len()..]));
            let is_told =
                |(title, note): (&str, &str)| plan.contains(title) && end.contains(note.trim_end_matches('…'));
            assert!(places.any(is_told), "“{done}” is no step of {plan}, or not what came of it: {end}");
        }
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
