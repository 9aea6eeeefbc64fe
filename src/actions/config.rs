//! What the team writes about its runbook actions and checks, and every fault in it at once.
//!
//! Only plain structs: `flatten`, `untagged` and `tag` would lose the line numbers of faults.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;

use super::check::CheckConfig;
use super::kubernetes::{ClusterConfig, Needs};
use super::length;
use super::postgres::DatabaseConfig;
use super::provider::{StepConfig, choosers};
use crate::incident::approval::{Choosing, Class, KeepState, Risk};
use crate::incident::time::Millis;

/// Everything this room needs to know.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionsConfig {
    /// The runbook actions, by key.
    #[serde(default)]
    pub actions: BTreeMap<String, ActionConfig>,
    /// Each service's checks, by the service's key.
    #[serde(default)]
    pub services: BTreeMap<String, Vec<CheckConfig>>,
    /// The Kubernetes clusters, by key.
    #[serde(default)]
    pub clusters: BTreeMap<String, ClusterConfig>,
    /// The databases, by key.
    #[serde(default)]
    pub databases: BTreeMap<String, DatabaseConfig>,
    /// How long things may take.
    #[serde(default)]
    pub limits: LimitsConfig,
}

/// How one runbook action is done (P1, P2, P4).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionConfig {
    /// Its name for people.
    pub title: String,
    /// The service it is for, by key.
    pub service: Option<String>,
    /// Urgent, planned or preventive.
    pub class: Class,
    /// The most it may do; a plan that would do more is refused.
    pub risk: Risk,
    /// How long it usually takes.
    #[serde(deserialize_with = "length::read")]
    pub expected: Millis,
    /// When not to do it.
    #[serde(default)]
    pub cautions: Vec<String>,
    /// What it leaves alone, where people might think otherwise.
    #[serde(default)]
    pub will_not: Vec<String>,
    /// Why it is there; the figures of the moment are added when a plan is made.
    #[serde(default)]
    pub why: Vec<String>,
    /// Whether the state is kept before anything is changed (K15).
    #[serde(default)]
    pub keep_state: KeepState,
    /// What is done, in order.
    pub steps: Vec<StepConfig>,
    /// The checks that must pass afterwards: `health` of its own service, `payments/health` of another one.
    #[serde(default)]
    pub verify: Vec<String>,
    /// How long the checks may take to come right; `limits.verify_within` when it is not said.
    #[serde(default, deserialize_with = "length::read_some")]
    pub verify_within: Option<Millis>,
}

/// Deadlines of the room, all with good defaults.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// A round of diagnostics, whatever hangs (H7): 15 s.
    #[serde(deserialize_with = "length::read")]
    pub diagnose_within: Millis,
    /// The figures that say why an action is proposed: 5 s.
    #[serde(deserialize_with = "length::read")]
    pub why_within: Millis,
    /// Making a whole plan: 20 s.
    #[serde(deserialize_with = "length::read")]
    pub plan_within: Millis,
    /// Verification that says nothing else: 2 min.
    #[serde(deserialize_with = "length::read")]
    pub verify_within: Millis,
    /// Between two looks of a verification: 2 s.
    #[serde(deserialize_with = "length::read")]
    pub verify_every: Millis,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            diagnose_within: Millis::seconds(15),
            why_within: Millis::seconds(5),
            plan_within: Millis::seconds(20),
            verify_within: Millis::minutes(2),
            verify_every: Millis::seconds(2),
        }
    }
}

/// Something in the configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {sentence}")]
pub struct ConfigFault {
    /// Where: `actions.rollback-shop.steps[0].http_switch.read.url`.
    pub path: String,
    /// What is wrong and what cures it.
    pub sentence: String,
}

pub(super) fn fault(path: impl Into<String>, sentence: impl Into<String>) -> ConfigFault {
    ConfigFault { path: path.into(), sentence: sentence.into() }
}

impl ActionsConfig {
    /// Every fault at once; nothing when the configuration can work.
    pub fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        for (key, action) in &self.actions {
            self.validate_action(action, &format!("actions.{key}"), &mut faults);
        }
        for (key, checks) in &self.services {
            validate_checks(checks, &format!("services.{key}"), &mut faults);
            for (index, check) in checks.iter().enumerate() {
                let path = format!("services.{key}[{index}]");
                if let Some(kubernetes) = &check.kubernetes {
                    self.validate_cluster(&kubernetes.cluster, &path, &mut faults);
                }
                if let Some(metrics) = &check.metrics {
                    let most = check.deadline().min(length::duration(self.limits.diagnose_within));
                    metrics.validate_span(most, &format!("{path}.metrics"), &mut faults);
                }
                if let Some(sql) = &check.sql {
                    self.validate_database(&sql.database, &format!("{path}.sql"), &mut faults);
                }
            }
        }
        for (key, cluster) in &self.clusters {
            cluster.validate(&format!("clusters.{key}"), &mut faults);
        }
        for (key, database) in &self.databases {
            database.validate(&format!("databases.{key}"), &mut faults);
            let before = self.databases.iter().take_while(|(other, _)| *other != key);
            if let Some((other, _)) = before.into_iter().find(|(_, other)| database.keeps_among(other)) {
                let sentence =
                    format!("“{other}” keeps backups of a database of the same name in this folder; name another");
                faults.push(fault(format!("databases.{key}.backups"), sentence));
            }
        }
        self.limits.validate("limits", &mut faults);
        faults
    }

    fn validate_action(&self, action: &ActionConfig, path: &str, faults: &mut Vec<ConfigFault>) {
        if action.title.trim().is_empty() {
            faults.push(fault(format!("{path}.title"), "an action needs a title that people understand"));
        }
        if action.steps.is_empty() {
            faults.push(fault(format!("{path}.steps"), "an action needs at least one step"));
        }
        if let Some(service) = &action.service
            && !self.services.contains_key(service)
        {
            faults.push(fault(format!("{path}.service"), format!("there is no service “{service}” under services")));
        }
        for (index, step) in action.steps.iter().enumerate() {
            let path = format!("{path}.steps[{index}]");
            step.validate(action.risk, &path, faults);
            if let Some(kubernetes) = &step.kubernetes {
                self.validate_cluster(&kubernetes.cluster, &path, faults);
            }
            if let Some(postgres) = &step.postgres {
                let path = format!("{path}.postgres");
                self.validate_database(&postgres.database, &path, faults);
                if let Some(database) = self.databases.get(&postgres.database) {
                    postgres.validate_with(database, action.risk, &path, faults);
                }
            }
        }
        validate_choices(&action.steps, path, faults);
        validate_order(&action.steps, path, faults);
        validate_phases(action, path, faults);
        self.validate_verification(action, path, faults);
    }

    fn validate_cluster(&self, cluster: &str, path: &str, faults: &mut Vec<ConfigFault>) {
        if !self.clusters.contains_key(cluster) {
            let sentence = format!("there is no cluster “{cluster}” under clusters; {}", known(&self.clusters));
            faults.push(fault(format!("{path}.kubernetes.cluster"), sentence));
        }
    }

    fn validate_database(&self, database: &str, path: &str, faults: &mut Vec<ConfigFault>) {
        if !self.databases.contains_key(database) {
            let sentence = format!("there is no database “{database}” under databases; {}", known(&self.databases));
            faults.push(fault(format!("{path}.database"), sentence));
        }
    }

    fn validate_verification(&self, action: &ActionConfig, path: &str, faults: &mut Vec<ConfigFault>) {
        if action.verify.is_empty() && action.risk > Risk::ReadOnly {
            let sentence = "an action that changes something needs checks that must pass afterwards (P2); name them";
            faults.push(fault(format!("{path}.verify"), sentence));
        }
        for (index, name) in action.verify.iter().enumerate() {
            if self.check(action.service.as_deref(), name).is_none() {
                let sentence =
                    format!("there is no check “{name}”; write a check of the action's own service, or service/check");
                faults.push(fault(format!("{path}.verify[{index}]"), sentence));
            }
        }
    }

    /// The check a name means: `check` of the given service, or `service/check`.
    pub fn check(&self, service: Option<&str>, name: &str) -> Option<&CheckConfig> {
        let (service, check) = name.split_once('/').or_else(|| service.map(|service| (service, name)))?;
        self.services.get(service)?.iter().find(|candidate| candidate.key == check)
    }

    /// What Vigie must be allowed in a cluster for all that is configured there; nothing when there is no such cluster.
    pub fn needs_in(&self, cluster: &str) -> Option<Needs> {
        self.clusters.get(cluster)?;
        let mut needs = Needs::default();
        for action in self.actions.values() {
            let keeps = !action.keep_state.is_off() && action.risk > Risk::ReadOnly;
            for step in action.steps.iter().filter_map(|step| step.kubernetes.as_ref()) {
                needs.add_step(cluster, step, keeps);
            }
        }
        for check in self.services.values().flatten().filter_map(|check| check.kubernetes.as_ref()) {
            needs.add_check(cluster, check);
        }
        Some(needs)
    }

    /// The credentials in all steps and checks.
    pub fn secrets(&self) -> Vec<SecretString> {
        let steps = self.actions.values().flat_map(|action| &action.steps).flat_map(StepConfig::secrets);
        let checks = self.services.values().flatten().flat_map(CheckConfig::secrets);
        let databases = self.databases.values().filter_map(|database| database.password.as_ref());
        steps.chain(checks).chain(databases).cloned().collect()
    }
}

/// What can be written for a cluster or a database.
fn known<T>(described: &BTreeMap<String, T>) -> String {
    let known: Vec<&str> = described.keys().map(String::as_str).collect();
    if known.is_empty() { "none is described there".to_owned() } else { format!("there are {}", known.join(", ")) }
}

/// Adds the fault of a step that has to be told where to go, beside another kind that would be told the same.
fn validate_choices(steps: &[StepConfig], path: &str, faults: &mut Vec<ConfigFault>) {
    let kinds = choosers(steps);
    let must = steps.iter().position(|step| step.choosing() == Choosing::Must);
    if let Some(index) = must.filter(|_| kinds.len() > 1) {
        let sentence = format!(
            "somebody has to say where this goes, and one --to cannot serve {} at once; make actions of their own",
            kinds.join(" and ")
        );
        faults.push(fault(format!("{path}.steps[{index}]"), sentence));
    }
}

/// Adds the faults of steps that change what an earlier one changes, and would be planned as if that one did not.
fn validate_order(steps: &[StepConfig], path: &str, faults: &mut Vec<ConfigFault>) {
    for (index, step) in steps.iter().enumerate() {
        let Some((kind, _)) = step.provider() else { continue };
        let earlier = steps.iter().take(index).enumerate();
        let mut clashes = earlier.filter_map(|(place, other)| Some((place, clash(other, step)?)));
        if let Some((place, name)) = clashes.next() {
            let sentence = format!(
                "step {} changes {name} before it, and this one cannot go on from that; make actions of their own",
                place + 1
            );
            faults.push(fault(format!("{path}.steps[{index}].{kind}"), sentence));
        }
    }
}

/// What both steps change, where the later one cannot go on from what the earlier one leaves.
fn clash(earlier: &StepConfig, later: &StepConfig) -> Option<String> {
    if let (Some(earlier), Some(later)) = (&earlier.kubernetes, &later.kubernetes) {
        return later.clashes_with(earlier);
    }
    let taken = earlier.locks();
    let is_taken = !later.takes_up() && later.locks().iter().any(|lock| taken.contains(lock));
    is_taken.then(|| later.target())
}

/// Adds the faults of phases: all steps are in one, each has a name of its own and some time, and together they have no more
/// than the action's class allows (P4).
fn validate_phases(action: &ActionConfig, path: &str, faults: &mut Vec<ConfigFault>) {
    let begun = action.steps.iter().enumerate().filter_map(|(index, step)| Some((index, step.phase.as_ref()?)));
    let phases: Vec<_> = begun.collect();
    if phases.first().is_some_and(|(index, _)| *index > 0) {
        faults.push(fault(
            format!("{path}.steps[0].phase"),
            "a later step begins a phase, so the first has to begin one",
        ));
    }
    for (place, (index, phase)) in phases.iter().enumerate() {
        let path = format!("{path}.steps[{index}].phase");
        let others = || phases.iter().take(place);
        if phase.title.trim().is_empty() || others().any(|(_, other)| other.title == phase.title) {
            faults.push(fault(format!("{path}.title"), "a phase needs a title of its own, for example “The program”"));
        }
        if phase.within.0 == 0 {
            faults.push(fault(format!("{path}.within"), "nothing happens in no time; write for example 5m"));
        }
    }
    let all = Millis(phases.iter().fold(0, |all: i64, (_, phase)| all.saturating_add(phase.within.0)));
    let most = match action.class {
        Class::Urgent => Millis::minutes(15),
        Class::Planned => Millis::minutes(60),
        Class::Preventive => Millis::minutes(240),
    };
    if all > most {
        let (all, most) = (all.whole_minutes(), most.whole_minutes());
        let sentence =
            format!("the phases have {all} min together, and this class has {most}; say less, or another class");
        faults.push(fault(format!("{path}.class"), sentence));
    }
}

fn validate_checks(checks: &[CheckConfig], path: &str, faults: &mut Vec<ConfigFault>) {
    for (index, check) in checks.iter().enumerate() {
        let path = format!("{path}[{index}]");
        check.validate(&path, faults);
        if checks.iter().take(index).any(|earlier| earlier.key == check.key) {
            faults.push(fault(format!("{path}.key"), format!("there are two checks “{}”; rename one", check.key)));
        }
    }
}

impl LimitsConfig {
    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let limits = [
            ("diagnose_within", self.diagnose_within),
            ("why_within", self.why_within),
            ("plan_within", self.plan_within),
            ("verify_within", self.verify_within),
            ("verify_every", self.verify_every),
        ];
        for (name, limit) in limits {
            if limit.0 == 0 {
                faults.push(fault(format!("{path}.{name}"), "nothing happens in no time; write for example 5s"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
actions:
  rollback-shop:
    title: Roll back the shop
    service: shop
    class: urgent
    risk: reversible
    expected: 30s
    steps:
      - http_switch:
          target: shop version
          read: { url: "https://shop.example.com/admin/version", current: /current, previous: /previous }
          set:
            url: "https://shop.example.com/admin/version"
            headers: { Authorization: "Bearer not-a-real-token" }
            body: { version: "{{to}}" }
    verify: [health]
services:
  shop:
    - key: health
      http: { url: "https://shop.example.com/health" }
"#;

    fn faults(yaml: &str) -> Vec<String> {
        let config: ActionsConfig = serde_saphyr::from_str(yaml).unwrap();
        config.validate().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_configuration_has_no_faults_and_gives_up_its_secrets_to_the_redactor() {
        assert_eq!(faults(GOOD), Vec::<String>::new());
        let config: ActionsConfig = serde_saphyr::from_str(GOOD).unwrap();
        assert_eq!(config.secrets().len(), 1);
    }

    #[test]
    fn an_action_that_changes_something_without_checks_is_refused() {
        let found = faults(&GOOD.replace("verify: [health]", "verify: []"));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("actions.rollback-shop.verify: "), "{found:?}");
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        let yaml = GOOD
            .replace("service: shop\n", "service: shpo\n")
            .replace("verify: [health]", "verify: [helth]")
            .replace("{{to}}", "{{version}}")
            .replace("previous: /previous", "previous: previous")
            .replace("https://shop.example.com/health", "shop.example.com/health");
        let found = faults(&yaml);
        for place in
            ["service: ", "verify[0]: ", "set.body: {{version}}", "read.previous: ", "services.shop[0].http.url: "]
        {
            assert!(found.iter().any(|fault| fault.contains(place)), "{place} is not in {found:?}");
        }
        assert_eq!(found.len(), 5, "{found:?}");
    }

    #[test]
    fn a_span_that_no_look_can_wait_for_is_refused() {
        let counted = |more: &str| {
            let metrics = format!(
                "metrics: {{ url: \"https://shop.example.com/metrics\", metric: {{ name: errors_total }}, {more}, limits: {{ \
                 fail_above: 1 }} }}"
            );
            faults(&GOOD.replace("http: { url: \"https://shop.example.com/health\" }", &metrics))
        };
        assert_eq!(counted("over: 2s"), Vec::<String>::new());
        for over in ["over: 5s", "over: 10s"] {
            let found = counted(over);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("services.shop[0].metrics.over: a look may take 5000 ms"), "{found:?}");
        }
        let patient = GOOD.replace("- key: health\n", "- key: health\n      within: 60s\n");
        let metrics = "metrics: { url: \"https://shop.example.com/metrics\", metric: { name: errors_total }, over: 20s, \
                       limits: { fail_above: 1 } }";
        let found = faults(&patient.replace("http: { url: \"https://shop.example.com/health\" }", metrics));
        assert!(found.iter().any(|fault| fault.contains("a look may take 15000 ms")), "{found:?}");
    }

    #[test]
    fn a_step_is_of_exactly_one_kind() {
        let two = GOOD.replace(
            "      - http_switch:",
            "      - command: { target: t, argv: [true], to: done }\n        http_switch:",
        );
        assert!(faults(&two).iter().any(|fault| fault.contains("steps[0]: ") && fault.contains("exactly one")));
        let none = GOOD.replace("http: { url: \"https://shop.example.com/health\" }", "title: Health");
        assert!(
            faults(&none).iter().any(|fault| fault.contains("services.shop[0]: ") && fault.contains("exactly one"))
        );
    }

    #[test]
    fn a_step_that_may_do_more_than_its_action_is_refused_before_anybody_needs_it() {
        let call = "command: { target: t, to: done, argv: [deploy] }";
        let found = faults(&GOOD.replace("http_switch:", &format!("{call}\n        http_switch:")));
        let wanted = "steps[0].command.risk: this step counts as destructive, but the action's risk is reversible";
        assert!(found.iter().any(|fault| fault.contains(wanted)), "{found:?}");
    }

    #[test]
    fn what_must_be_chosen_stands_beside_no_other_kind_that_could_be() {
        let asks = GOOD.replace("previous: /previous", "choices: { list: /all, pick: ask }");
        let file = "      - env_file: { target: t, path: /srv/shop/.env, operation: restore }\n";
        let beside = asks.replace("    verify: [health]", &format!("{file}    verify: [health]"));
        assert_eq!(faults(&asks), Vec::<String>::new());
        let found = faults(&beside);
        let wanted = "actions.rollback-shop.steps[0]: somebody has to say where this goes, and one --to cannot serve \
                      env_file and http_switch at once";
        assert!(found.len() == 1 && found[0].starts_with(wanted), "{found:?}");
    }

    #[test]
    fn two_steps_on_one_workload_are_refused_unless_the_later_one_goes_on_from_the_earlier() {
        let found = |first: &str, second: &str| {
            let step = |does: &str| {
                format!("      - kubernetes: {{ cluster: c, namespace: shop, risk: reversible, {does} }}\n")
            };
            let (from, to) = (GOOD.find("      - http_switch").unwrap(), GOOD.find("    verify: [health]").unwrap());
            let clusters = "clusters: { c: { in_cluster: true } }\n";
            let (before, after) = (GOOD.get(..from).unwrap(), GOOD.get(to..).unwrap());
            faults(&format!("{before}{}{}{after}{clusters}", step(first), step(second)))
        };
        let undo = "undo: { workloads: [deployment/web] }";
        let image = "set_image: { workload: deployment/web, images: { web: \"web:1\" } }";
        let flags = |restart: &str| format!("flags: {{ config_map: app, set: {{ a: b }}, restart: [{restart}] }}");
        for (first, second, name) in [
            (undo, image, "deployment/web"),
            ("pause: { workloads: [deployment/web] }", undo, "deployment/web"),
            (flags("").as_str(), flags("deployment/web").as_str(), "configmap/app"),
            ("recreate_pods: { selector: app=web }", "recreate_pods: { selector: app=web }", "pods app=web"),
        ] {
            let found = found(first, second);
            let wanted = format!("steps[1].kubernetes: step 1 changes {name} before it");
            assert!(found.len() == 1 && found[0].contains(&wanted), "{first}, {second}: {found:?}");
        }
        for (first, second) in [
            (undo, "wait: { workloads: [deployment/web] }"),
            (undo, flags("deployment/web").as_str()),
            (undo, "restart: { workloads: [deployment/web] }"),
            (undo, "undo: { workloads: [deployment/api] }"),
            ("scale: { workloads: [deployment/web], to: 0 }", "scale_back: { workloads: [deployment/web] }"),
            ("pause: { workloads: [deployment/web] }", "resume: { workloads: [deployment/web] }"),
        ] {
            assert_eq!(found(first, second), Vec::<String>::new(), "{first}, {second}");
        }
    }

    #[test]
    fn two_steps_on_one_target_are_refused_wherever_the_second_cannot_go_on_from_the_first() {
        let found = |first: &str, second: &str| {
            let (from, to) = (GOOD.find("      - http_switch").unwrap(), GOOD.find("    verify: [health]").unwrap());
            let (before, after) = (GOOD.get(..from).unwrap(), GOOD.get(to..).unwrap());
            let steps = [first, second].map(|step| format!("      - {step}\n")).concat();
            faults(&format!("{before}{steps}{after}"))
        };
        let git = |does: &str| {
            format!("git: {{ repository: /srv/shop.git, mirror: /srv/mirror, branch: main, shared: true, {does} }}")
        };
        let vercel = |does: &str| {
            let site = "project: prj_shop1, token: not-a-real-token, domain: shop.example.com";
            format!("vercel: {{ {site}, {does} }}")
        };
        let netlify = "netlify: { site: shop.netlify.app, token: not-a-real-token, restore: {} }".to_owned();
        let ecs = |does: &str| format!("ecs: {{ region: eu-west-3, cluster: shop, service: web, {does} }}");
        let compose = |does: &str| format!("compose: {{ project: shop, service: web, folder: /srv/shop, {does} }}");
        let workflow = |input: &str| {
            format!(
                "github_workflow: {{ repository: example/shop, workflow: rollback.yml, ref: main, risk: reversible, token: \
                 not-a-real-token, inputs: {{ environment: {input} }} }}"
            )
        };
        let command =
            |more: &str| format!("command: {{ target: writers, to: stopped, risk: reversible, argv: [stop], {more} }}");
        let role = |account: &str| ecs(&format!("back: {{}}, role: {{ arn: \"arn:aws:iam::{account}:role/vigie\" }}"));
        let back = "back: { env_file: /srv/shop/.env, variable: WEB_TAG }";
        let alias = "alias: { domains: [www.example.com] }";
        for (first, second, kind, name) in [
            (git("checkpoint: {}"), git("revert: {}"), "git", "main (/srv/shop.git)"),
            (vercel("rollback: {}"), vercel(alias), "vercel", "www.example.com"),
            (netlify.clone(), netlify.clone(), "netlify", "shop.netlify.app"),
            (ecs("scale: { to: 0 }"), ecs("back: {}"), "ecs", "web (shop, eu-west-3)"),
            (compose("stop: {}"), compose(back), "compose", "web (shop)"),
            (workflow("staging"), workflow("staging"), "github_workflow", "example/shop rollback.yml (main)"),
            (command("again: false"), command("again: false"), "command", "writers"),
        ] {
            let found = found(&first, &second);
            let wanted = [format!("steps[1].{kind}: step 1 changes {name}"), " before it".to_owned()];
            assert!(found.len() == 1 && wanted.iter().all(|part| found[0].contains(part)), "{second}: {found:?}");
        }
        for (first, second) in [
            (git("checkpoint: {}"), git("revert: {}").replace("branch: main", "branch: next")),
            (ecs("scale: { to: 0 }"), ecs("scale: { to: 2 }")),
            (ecs("back: {}"), ecs("back: {}").replace("eu-west-3", "eu-central-1")),
            (role("111111111111"), role("222222222222")),
            (compose("stop: {}"), compose("start: {}")),
            (workflow("staging"), workflow("production")),
            (command("again: false"), command("again: true")),
        ] {
            assert_eq!(found(&first, &second), Vec::<String>::new(), "{first}, {second}");
        }
    }

    #[test]
    fn phases_hold_all_steps_and_no_more_time_than_the_class_has() {
        let call = "command: { target: cache, to: empty, risk: reversible, argv: [clear] }";
        let with =
            |first: &str, second: &str| {
                let yaml = GOOD.replace("      - http_switch:", &format!("      - {first}\n        http_switch:"));
                faults(&yaml.replace(
                    "    verify: [health]",
                    &format!("      - {second}\n        {call}\n    verify: [health]"),
                ))
            };
        let phase = |title: &str, within: &str| format!("phase: {{ title: {title}, within: {within} }}");
        assert_eq!(with(&phase("Program", "10m"), &phase("Cache", "5m")), Vec::<String>::new());
        assert_eq!(with(&phase("Program", "15m"), "always: false"), Vec::<String>::new());
        for (first, second, wanted) in [
            ("always: false".to_owned(), phase("Cache", "5m"), "steps[0].phase: a later step begins a phase"),
            (phase("Cache", "5m"), phase("Cache", "5m"), "steps[1].phase.title: a phase needs a title of its own"),
            (phase("\" \"", "5m"), phase("Cache", "5m"), "steps[0].phase.title: "),
            (phase("Program", "0s"), phase("Cache", "5m"), "steps[0].phase.within: nothing happens in no time"),
            (
                phase("Program", "11m"),
                phase("Cache", "5m"),
                "class: the phases have 16 min together, and this class has 15",
            ),
        ] {
            let found = with(&first, &second);
            assert!(found.len() == 1 && found[0].contains(wanted), "{wanted}: {found:?}");
        }
    }

    #[test]
    fn a_credential_where_people_would_see_it_is_refused() {
        let body = GOOD.replace("{ version: \"{{to}}\" }", "{ version: \"{{to}}\", api_key: \"not-a-real-key\" }");
        let found = faults(&body);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("set.body: credentials do not belong"), "{found:?}");
        assert!(!found[0].contains("not-a-real-key"));
    }

    #[test]
    fn a_misspelt_field_is_refused_with_its_line() {
        let fault = serde_saphyr::from_str::<ActionsConfig>(&GOOD.replace("expected:", "expcted:")).unwrap_err();
        assert!(fault.to_string().contains("expcted"), "{fault}");
    }
}
