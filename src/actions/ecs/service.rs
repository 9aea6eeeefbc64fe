//! A service as ECS tells it, and how it is moved: by one request, followed until its roll-out is over.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Ecs;
use super::client::{Client, VENDOR, words};
use crate::actions::api::Trouble;
use crate::actions::lever::{Halt, Lever, Stand};
use crate::incident::approval::PlannedStep;
use crate::incident::words::Words;

/// A revision of a family of task definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Revision {
    pub family: String,
    pub number: i64,
}

impl Revision {
    /// Of `web:41`, or of a whole name that ends so.
    pub(super) fn named(text: &str) -> Option<Self> {
        let name = text.rsplit_once('/').map_or(text, |(_, name)| name);
        let (family, number) = name.rsplit_once(':')?;
        let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_family = !family.is_empty() && family.chars().all(is_fit);
        Some(Self { family: family.to_owned(), number: number.parse().ok().filter(|number| *number > 0)? })
            .filter(|_| is_family)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.family, self.number)
    }
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spec {
    pub what: What,
    #[serde(default)]
    pub place: Place,
    pub from_shown: String,
    pub to_shown: String,
    /// The deployments there were: what became of them is none of ours.
    pub known: Vec<String>,
    /// It takes back what the configuration says.
    pub is_back: bool,
}

/// As whom ECS is asked, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Place {
    /// Its whole name.
    pub role: Option<String>,
    pub profile: Option<String>,
    pub endpoint: Option<String>,
}

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// The task definition, by its whole name.
    Revision { from: String, to: String },
    /// How many tasks there shall be.
    Count { from: i64, to: i64 },
}

/// One deployment of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Deployment {
    pub id: String,
    status: String,
    pub task_definition: String,
    desired_count: i64,
    running_count: i64,
    rollout_state: Option<String>,
    rollout_state_reason: Option<String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    status: String,
    controller: Option<String>,
    pub desired: i64,
    pub running: i64,
    pub pending: i64,
    pub primary: Deployment,
    pub deployments: Vec<Deployment>,
    revision: Revision,
}

/// As ECS writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    status: String,
    desired_count: i64,
    running_count: i64,
    pending_count: i64,
    deployments: Vec<Deployment>,
    deployment_controller: Option<Controller>,
}

#[derive(Debug, Deserialize)]
struct Controller {
    r#type: Option<String>,
}

impl Service {
    pub(super) async fn read(client: &Client<'_>) -> Result<Self, Trouble> {
        let Ecs { cluster, service, .. } = client.config;
        let answer = client.read("DescribeServices", json!({"cluster": cluster, "services": [service]})).await?;
        if let Some(failure) = answer.pointer("/failures/0/reason").and_then(Value::as_str) {
            return Err(Trouble::Said { status: 404, message: Some(failure.to_owned()), wait: None });
        }
        let written = answer.pointer("/services/0").cloned().ok_or(Trouble::Garbled)?;
        let written: Written = serde_json::from_value(written).map_err(|_| Trouble::Garbled)?;
        let primary = written.deployments.iter().find(|one| one.status == "PRIMARY").cloned();
        let primary = primary.or_else(|| written.deployments.first().cloned()).unwrap_or_default();
        // A service of CodeDeploy has no deployments of ECS's own; it is refused before this matters.
        let revision =
            Revision::named(&primary.task_definition).unwrap_or(Revision { family: String::new(), number: 0 });
        let controller = written.deployment_controller.and_then(|controller| controller.r#type);
        let service = Self {
            status: written.status,
            controller,
            desired: written.desired_count,
            running: written.running_count,
            pending: written.pending_count,
            primary,
            deployments: written.deployments,
            revision,
        };
        let is_whole = service.revision.number > 0 || service.unfit().is_some();
        if is_whole { Ok(service) } else { Err(Trouble::Garbled) }
    }

    /// Where it stands.
    pub(super) fn at(&self) -> &Revision {
        &self.revision
    }

    /// Why it cannot be changed by us.
    pub(super) fn unfit(&self) -> Option<&'static str> {
        match (self.status.as_str(), self.controller.as_deref()) {
            ("DRAINING" | "INACTIVE", _) => Some("ecs.inactive"),
            (_, Some("CODE_DEPLOY")) => Some("ecs.codedeploy"),
            (_, Some("EXTERNAL")) => Some("ecs.external"),
            _ => None,
        }
    }

    /// A roll-out is under way.
    pub(super) fn rolling(&self) -> bool {
        self.deployments.len() > 1 || self.primary.rollout_state.as_deref() == Some("IN_PROGRESS")
    }

    /// For people, in all languages: `web:41 · 1/2`.
    fn shown(&self) -> String {
        format!("{} · {}/{}", self.revision, self.primary.running_count, self.primary.desired_count)
    }

    fn is_steady(&self) -> bool {
        match self.primary.rollout_state.as_deref() {
            Some(state) => state == "COMPLETED",
            None => self.deployments.len() == 1 && self.primary.running_count == self.primary.desired_count,
        }
    }
}

/// The revisions of the same family before it, the newest first. ECS lists whatever begins like the family.
pub(super) async fn earlier(client: &Client<'_>, at: &Revision) -> Result<Vec<Revision>, Trouble> {
    let (mut found, mut next) = (Vec::new(), None::<String>);
    loop {
        let mut body = json!({"familyPrefix": at.family, "status": "ACTIVE", "sort": "DESC", "maxResults": 100});
        if let (Some(next), Some(body)) = (&next, body.as_object_mut()) {
            body.insert("nextToken".to_owned(), next.as_str().into());
        }
        let answer = client.read("ListTaskDefinitions", body).await?;
        let arns = answer.get("taskDefinitionArns").and_then(Value::as_array).ok_or(Trouble::Garbled)?;
        found.extend(arns.iter().filter_map(Value::as_str).filter_map(Revision::named));
        next = answer.get("nextToken").and_then(Value::as_str).map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    found.retain(|revision| revision.family == at.family && revision.number < at.number);
    found.sort_by_key(|revision| std::cmp::Reverse(revision.number));
    found.dedup();
    Ok(found)
}

/// What a revision runs.
pub(super) struct Definition {
    pub arn: String,
    pub revision: Revision,
    pub is_active: bool,
    body: Value,
}

impl Definition {
    pub(super) async fn read(client: &Client<'_>, name: &str) -> Result<Self, Trouble> {
        let answer = client.read("DescribeTaskDefinition", json!({"taskDefinition": name})).await?;
        let body = answer.get("taskDefinition").cloned().ok_or(Trouble::Garbled)?;
        let text = |field: &str| body.get(field).and_then(Value::as_str);
        let arn = text("taskDefinitionArn").ok_or(Trouble::Garbled)?.to_owned();
        let revision = Revision::named(&arn).ok_or(Trouble::Garbled)?;
        let is_active = text("status").is_none_or(|status| status == "ACTIVE");
        Ok(Self { arn, revision, is_active, body })
    }

    fn containers(&self) -> impl Iterator<Item = (&str, &Value)> {
        let all = self.body.get("containerDefinitions").and_then(Value::as_array);
        all.into_iter().flatten().filter_map(|one| Some((one.get("name")?.as_str()?, one)))
    }

    fn container(&self, name: &str) -> Option<&Value> {
        self.containers().find(|(own, _)| *own == name).map(|(_, one)| one)
    }

    /// What is otherwise then: images, sizes, names of variables and of whatever else. Never a value.
    pub(super) fn changes(&self, then: &Self) -> Vec<Words> {
        let mut lines = Vec::new();
        for (name, new) in then.containers() {
            let Some(old) = self.container(name) else {
                lines.push(Words::new("ecs.comes_back").with("container", name));
                continue;
            };
            let image = |one: &Value| one.get("image").and_then(Value::as_str).unwrap_or_default().to_owned();
            if image(old) != image(new) {
                let line = Words::new("ecs.image").with("container", name);
                lines.push(line.with("from", image(old)).with("to", image(new)));
            }
            let names = changed_variables(old, new);
            if !names.is_empty() {
                lines.push(Words::new("ecs.variables").with("container", name).with("names", names));
            }
            let fields = changed_fields(old, new, &["name", "image", "environment", "secrets"]);
            if !fields.is_empty() {
                lines.push(Words::new("ecs.fields").with("what", name).with("names", fields));
            }
        }
        let gone = self.containers().filter(|(name, _)| then.container(name).is_none());
        lines.extend(gone.map(|(name, _)| Words::new("ecs.goes_away").with("container", name)));
        for size in ["cpu", "memory"] {
            let value = |of: &Self| of.body.get(size).and_then(Value::as_str).unwrap_or_default().to_owned();
            if value(self) != value(then) {
                lines.push(Words::verbatim(format!("{size}: {} → {}", value(self), value(then))));
            }
        }
        let fields = changed_fields(&self.body, &then.body, TOLD_OTHERWISE);
        if !fields.is_empty() {
            lines.push(Words::new("ecs.fields").with("what", then.revision.to_string()).with("names", fields));
        }
        if lines.is_empty() { vec![Words::new("ecs.same")] } else { lines }
    }
}

/// What is shown in its own way, and what ECS itself writes into each revision.
const TOLD_OTHERWISE: &[&str] = &[
    "compatibilities",
    "containerDefinitions",
    "cpu",
    "deregisteredAt",
    "memory",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "taskDefinitionArn",
];

/// The names of settings that are not the same in both, in ECS's own words and without these.
fn changed_fields(old: &Value, new: &Value, without: &[&str]) -> Vec<String> {
    let names = [old, new].into_iter().filter_map(Value::as_object).flat_map(|all| all.keys());
    let names: BTreeSet<&String> = names.filter(|name| !without.contains(&name.as_str())).collect();
    // What is not said and what is said to be empty is the same.
    let value = |of: &'_ Value, name: &str| {
        let value = of.get(name).cloned().unwrap_or_default();
        let is_empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        if is_empty { Value::Null } else { value }
    };
    names.into_iter().filter(|name| value(old, name) != value(new, name)).cloned().collect()
}

/// The names of variables, plain and secret ones, that are not the same in both.
fn changed_variables(old: &Value, new: &Value) -> Vec<String> {
    let all = |one: &Value| -> Vec<(String, Value)> {
        let lists = ["environment", "secrets"].map(|list| one.get(list).and_then(Value::as_array));
        let each = lists.into_iter().flatten().flatten();
        each.filter_map(|pair| Some((pair.get("name")?.as_str()?.to_owned(), pair.clone()))).collect()
    };
    let (old, new) = (all(old), all(new));
    let differs = |(name, pair): &&(String, Value)| {
        let mut others = old.iter().filter(|(own, _)| own == name);
        !others.any(|(_, other)| other == pair)
    };
    let mut names: Vec<String> = new.iter().filter(differs).map(|(name, _)| name.clone()).collect();
    let gone = old.iter().filter(|(name, _)| !new.iter().any(|(own, _)| own == name));
    names.extend(gone.map(|(name, _)| name.clone()));
    names.sort();
    names.dedup();
    names
}

/// The service of an approved plan.
pub(super) struct ServiceLever<'a> {
    config: &'a Ecs,
    client: Client<'a>,
    spec: Spec,
    target: &'a str,
    /// Nothing is taken up: what was over before its first look is history.
    is_anew: bool,
    /// The deployments of which none is ours.
    known: OnceLock<Vec<String>>,
    /// It was seen where it should go; what goes back from there goes back by itself.
    was_there: AtomicBool,
    /// It stands where it should go with a roll-out that failed before; ECS tries again only when it is told to.
    is_stuck: AtomicBool,
}

impl<'a> ServiceLever<'a> {
    pub(super) fn new(config: &'a Ecs, client: Client<'a>, spec: Spec, step: &'a PlannedStep) -> Self {
        let (known, was_there, is_stuck) = (OnceLock::new(), AtomicBool::new(false), AtomicBool::new(false));
        Self { config, client, spec, target: &step.target, is_anew: false, known, was_there, is_stuck }
    }

    /// The same for an execution that takes nothing up.
    pub(super) fn anew(self) -> Self {
        Self { is_anew: true, ..self }
    }

    fn by_revision(&self, service: &Service, from: &str, to: &str) -> Stand {
        let here = service.primary.task_definition.as_str();
        let over = |one: &&Deployment| one.rollout_state.as_deref() != Some("IN_PROGRESS");
        let known = self.known.get_or_init(|| match self.is_anew {
            true => service.deployments.iter().filter(over).map(|one| one.id.clone()).collect(),
            false => self.spec.known.clone(),
        });
        let ours = |one: &&Deployment| one.task_definition == to && !known.contains(&one.id);
        let failed = |one: &&Deployment| one.rollout_state.as_deref() == Some("FAILED");
        let broken = service.deployments.iter().filter(ours).find(failed);
        let why = |one: &Deployment| one.rollout_state_reason.clone();
        if here == to {
            self.was_there.store(true, Ordering::Relaxed);
            let is_old = known.contains(&service.primary.id);
            self.is_stuck.store(is_old && failed(&&service.primary), Ordering::Relaxed);
            return match Some(&service.primary).filter(failed) {
                Some(_) if is_old => Stand::Half(service.shown()),
                Some(one) => Stand::Broken(self.config.says("ecs.failed").with("said", why(one))),
                None if service.is_steady() => Stand::There(self.spec.to_shown.clone()),
                None => Stand::Moving(service.shown()),
            };
        }
        if here != from {
            return Stand::Elsewhere(service.shown());
        }
        if broken.is_some() || self.was_there.load(Ordering::Relaxed) {
            let said = broken.and_then(why).or_else(|| why(&service.primary));
            return Stand::Broken(self.config.says("ecs.went_back").with("at", service.shown()).with("said", said));
        }
        Stand::AtStart(self.spec.from_shown.clone())
    }

    fn by_count(&self, service: &Service, from: i64, to: i64) -> Stand {
        let shown = format!("desired={} running={}", service.desired, service.running);
        if service.desired == to {
            let is_there = service.running == to && service.pending == 0;
            return if is_there { Stand::There(self.spec.to_shown.clone()) } else { Stand::Moving(shown) };
        }
        if service.desired == from { Stand::AtStart(self.spec.from_shown.clone()) } else { Stand::Elsewhere(shown) }
    }
}

#[async_trait]
impl Lever for ServiceLever<'_> {
    fn target(&self) -> &str {
        self.target
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn settle(&self) -> Duration {
        self.config.settle()
    }

    async fn stand(&self) -> Result<Stand, Trouble> {
        let service = Service::read(&self.client).await?;
        Ok(match &self.spec.what {
            What::Revision { from, to } => self.by_revision(&service, from, to),
            What::Count { from, to } => self.by_count(&service, *from, *to),
        })
    }

    async fn throw(&self) -> Result<(), Halt> {
        let Ecs { cluster, service, .. } = self.config;
        let body = match &self.spec.what {
            What::Revision { to, .. } => {
                let mut body = json!({"cluster": cluster, "service": service, "taskDefinition": to});
                // Without a new deployment where it is the same one: nothing is restarted for nothing.
                if let (true, Some(body)) = (self.is_stuck.load(Ordering::Relaxed), body.as_object_mut()) {
                    body.insert("forceNewDeployment".to_owned(), true.into());
                }
                body
            }
            What::Count { to, .. } => json!({"cluster": cluster, "service": service, "desiredCount": to}),
        };
        self.client.change("UpdateService", body).await?;
        Ok(())
    }

    fn words(&self, trouble: &Trouble) -> Words {
        words(trouble, &self.config.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_found_in_its_whole_name_and_nowhere_else() {
        let whole = "arn:aws:ecs:eu-west-3:123456789012:task-definition/web-api:41";
        for text in ["web-api:41", whole] {
            assert_eq!(Revision::named(text).map(|found| found.to_string()).as_deref(), Some("web-api:41"), "{text}");
        }
        for text in ["web", "web:", "web:latest", ":1", "web:0", "we b:1", "web:-1"] {
            assert_eq!(Revision::named(text), None, "{text}");
        }
    }

    #[test]
    fn variables_that_change_are_named_and_their_values_are_not() {
        let definition = |variables: Value, image: &str| Definition {
            arn: String::new(),
            revision: Revision { family: "web".into(), number: 1 },
            is_active: true,
            body: json!({"cpu": "256", "containerDefinitions": [
                {"name": "web", "image": image, "environment": variables, "secrets": [{"name": "S", "valueFrom": "x"}]},
            ]}),
        };
        let now = definition(json!([{"name": "MODE", "value": "very-new"}, {"name": "A", "value": "1"}]), "web:2");
        let then = definition(json!([{"name": "MODE", "value": "very-old"}, {"name": "B", "value": "1"}]), "web:1");
        let lines = now.changes(&then);
        assert_eq!(lines.iter().map(|line| line.key.as_str()).collect::<Vec<_>>(), ["ecs.image", "ecs.variables"]);
        assert_eq!(lines[1].vars["names"], json!(["A", "B", "MODE"]));
        assert!(!format!("{lines:?}").contains("very"));
        assert_eq!(now.changes(&now)[0].key, "ecs.same");
    }

    #[test]
    fn nothing_that_changes_is_called_the_same() {
        let definition = |number: i64, container: Value, more: Value| {
            let mut body = json!({
                "taskDefinitionArn": format!("arn:aws:ecs:x:1:task-definition/web:{number}"),
                "revision": number,
                "registeredAt": 1_795_181_400 + number,
                "cpu": "256",
            });
            let mut one = json!({"name": "web", "image": "web:1"});
            one.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
            body["containerDefinitions"] = json!([one]);
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Definition {
                arn: String::new(),
                revision: Revision { family: "web".into(), number },
                is_active: true,
                body,
            }
        };
        let now = definition(10, json!({"memory": 2048, "command": ["serve", "--very"]}), json!({"volumes": []}));
        let same = definition(9, json!({"memory": 2048, "command": ["serve", "--very"]}), json!({}));
        assert_eq!(now.changes(&same)[0].key, "ecs.same");
        let then = definition(9, json!({"memory": 256}), json!({"taskRoleArn": "arn:aws:iam::1:role/very"}));
        let lines = now.changes(&then);
        let told: Vec<_> =
            lines.iter().map(|line| (line.key.as_str(), &line.vars["what"], &line.vars["names"])).collect();
        assert_eq!(
            told,
            [
                ("ecs.fields", &json!("web"), &json!(["command", "memory"])),
                ("ecs.fields", &json!("web:9"), &json!(["taskRoleArn"])),
            ]
        );
        assert!(!format!("{lines:?}").contains("very"));
    }
}
