//! AWS ECS's side: one service with the revisions of its task definition. A roll-out goes on with each look; it can fail,
//! or be taken back by ECS itself.

use serde_json::{Value, json};

use super::{Call, Platform, Said};

/// One revision.
#[derive(Debug, Clone)]
pub struct Definition {
    pub family: &'static str,
    pub number: i64,
    pub image: String,
    pub mode: String,
    pub is_active: bool,
}

/// How a roll-out ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Well,
    /// Its tasks do not start.
    Fails,
    /// The same, and the circuit breaker goes back to what ran before.
    GoesBack,
}

#[derive(Debug, Clone)]
struct Deployment {
    id: String,
    definition: String,
    state: &'static str,
    reason: String,
    readings_left: usize,
}

/// A cluster with one service.
pub struct Ecs {
    pub key: String,
    pub region: String,
    pub definitions: Vec<Definition>,
    pub end: End,
    /// After how many looks a roll-out is over.
    pub readings: usize,
    pub controller: &'static str,
    pub status: &'static str,
    pub desired: i64,
    pub running: i64,
    /// The first is the primary one.
    deployments: Vec<Deployment>,
    made: usize,
}

pub const CLUSTER: &str = "shop";
pub const SERVICE: &str = "web";
pub const KEY: &str = "key-of-vigie";

impl Ecs {
    /// `web:10` runs with two tasks; before it were `web:9` and `web:8`; `web-admin` is another family.
    pub fn new(region: &str) -> Self {
        let definition = |(family, number): (&'static str, i64)| Definition {
            family,
            number,
            image: format!("registry.example.com/{family}:{number}"),
            mode: format!("mode-{number}"),
            is_active: true,
        };
        let all = [("web", 8), ("web", 9), ("web", 10), ("web", 11), ("web-admin", 9)].map(definition);
        let mut ecs = Self {
            key: KEY.to_owned(),
            region: region.to_owned(),
            definitions: all.to_vec(),
            end: End::Well,
            readings: 2,
            controller: "ECS",
            status: "ACTIVE",
            desired: 2,
            running: 2,
            deployments: Vec::new(),
            made: 0,
        };
        ecs.deploys("web:10");
        ecs.deployments[0].state = "COMPLETED";
        ecs
    }

    /// What the primary deployment runs: `web:10`.
    pub fn runs(&self) -> String {
        let arn = &self.deployments[0].definition;
        arn.rsplit('/').next().expect("it has an end").to_owned()
    }

    pub fn definition(&mut self, name: &str) -> &mut Definition {
        let is_it = |one: &&mut Definition| format!("{}:{}", one.family, one.number) == name;
        self.definitions.iter_mut().find(is_it).expect("there is such a revision")
    }

    fn arn(&self, kind: &str, name: &str) -> String {
        format!("arn:aws:ecs:{}:123456789012:{kind}/{name}", self.region)
    }

    /// A new deployment; what ran before goes on until it is over.
    pub fn deploys(&mut self, name: &str) {
        self.made += 1;
        let id = format!("ecs-svc/{:04}", self.made);
        let (definition, reason) = (self.arn("task-definition", name), format!("ECS deployment {id} in progress."));
        let new = Deployment { id, definition, state: "IN_PROGRESS", reason, readings_left: self.readings };
        self.deployments.insert(0, new);
    }

    /// Time goes on by one look.
    fn goes_on(&mut self) {
        self.running += (self.desired - self.running).signum();
        let is_alone = self.deployments.len() == 1;
        let primary = &mut self.deployments[0];
        if primary.state != "IN_PROGRESS" {
            return;
        }
        if primary.readings_left > 0 {
            primary.readings_left -= 1;
            return;
        }
        if self.end == End::Well || is_alone {
            primary.state = "COMPLETED";
            primary.reason = format!("ECS deployment {} completed.", primary.id);
            self.deployments.truncate(1);
            return;
        }
        primary.state = "FAILED";
        primary.reason = "ECS deployment circuit breaker: tasks failed to start.".to_owned();
        if self.end == End::GoesBack {
            let mut former = self.deployments.remove(1);
            former.reason = format!("ECS deployment circuit breaker: rolling back to deploymentId {}.", former.id);
            self.deployments.insert(0, former);
        }
    }

    fn services(&mut self, body: &Value) -> Said {
        if body["cluster"] != CLUSTER {
            return no("ClusterNotFoundException", "Cluster not found.");
        }
        if body["services"] != json!([SERVICE]) {
            let arn = self.arn("service", body["services"][0].as_str().unwrap_or_default());
            return Said::new(200, json!({"services": [], "failures": [{"arn": arn, "reason": "MISSING"}]}));
        }
        self.goes_on();
        Said::new(200, json!({"services": [self.shown()], "failures": []}))
    }

    fn shown(&self) -> Value {
        let one = |(place, one): (usize, &Deployment)| {
            json!({
                "id": one.id,
                "status": if place == 0 { "PRIMARY" } else { "ACTIVE" },
                "taskDefinition": one.definition,
                "desiredCount": self.desired,
                "runningCount": if one.state == "COMPLETED" { self.running } else { 0 },
                "pendingCount": 0,
                "failedTasks": if one.state == "FAILED" { 3 } else { 0 },
                "rolloutState": one.state,
                "rolloutStateReason": one.reason,
                "createdAt": 1_795_181_400.123,
            })
        };
        json!({
            "serviceName": SERVICE,
            "status": self.status,
            "desiredCount": self.desired,
            "runningCount": self.running,
            "pendingCount": (self.desired - self.running).max(0),
            "deploymentController": {"type": self.controller},
            "deployments": self.deployments.iter().enumerate().map(one).collect::<Vec<_>>(),
            "events": [],
        })
    }

    /// In the order of their making and in pages of two, whatever was asked for.
    fn list(&self, body: &Value) -> Said {
        let prefix = body["familyPrefix"].as_str().unwrap_or_default();
        let fits = |one: &&Definition| one.family.starts_with(prefix) && one.is_active;
        let name = |one: &Definition| self.arn("task-definition", &format!("{}:{}", one.family, one.number));
        let all: Vec<String> = self.definitions.iter().filter(fits).map(name).collect();
        let from: usize = body["nextToken"].as_str().map_or(0, |page| page.parse().expect("our own page"));
        let mut answer = json!({"taskDefinitionArns": all.iter().skip(from).take(2).collect::<Vec<_>>()});
        if from + 2 < all.len() {
            answer["nextToken"] = (from + 2).to_string().into();
        }
        Said::new(200, answer)
    }

    fn find(&self, name: &str) -> Option<&Definition> {
        let name = name.rsplit('/').next().unwrap_or_default();
        self.definitions.iter().find(|one| format!("{}:{}", one.family, one.number) == name)
    }

    fn describe(&self, body: &Value) -> Said {
        let Some(one) = self.find(body["taskDefinition"].as_str().unwrap_or_default()) else {
            return no("ClientException", "Unable to describe task definition.");
        };
        let container = json!({
            "name": "web",
            "image": one.image,
            "environment": [{"name": "MODE", "value": one.mode}, {"name": "REGION", "value": self.region}],
        });
        let definition = json!({
            "taskDefinitionArn": self.arn("task-definition", &format!("{}:{}", one.family, one.number)),
            "family": one.family,
            "revision": one.number,
            "status": if one.is_active { "ACTIVE" } else { "INACTIVE" },
            "cpu": "256",
            "memory": "512",
            "containerDefinitions": [container],
        });
        Said::new(200, json!({"taskDefinition": definition}))
    }

    fn update(&mut self, body: &Value) -> Said {
        if self.controller != "ECS" {
            return no(
                "InvalidParameterException",
                "Unable to update task definition on services with a CODE_DEPLOY deployment controller.",
            );
        }
        if let Some(count) = body["desiredCount"].as_i64() {
            self.desired = count;
        }
        if let Some(name) = body["taskDefinition"].as_str() {
            match self.find(name) {
                Some(found) if found.is_active => {
                    let name = format!("{}:{}", found.family, found.number);
                    if self.runs() != name || body["forceNewDeployment"] == true {
                        self.deploys(&name);
                    }
                }
                _ => return no("ClientException", "TaskDefinition is inactive"),
            }
        }
        Said::new(200, json!({"service": self.shown()}))
    }
}

impl Platform for Ecs {
    const VENDOR: &'static str = "ecs";
    const IS_DESCRIBED: bool = false;

    fn answer(&mut self, call: &Call) -> Said {
        let scope = format!("/{}/ecs/aws4_request", self.region);
        let signed = call.header("authorization").unwrap_or_default();
        if !signed.starts_with(&format!("AWS4-HMAC-SHA256 Credential={}/", self.key)) || !signed.contains(&scope) {
            return no("UnrecognizedClientException", "The security token included in the request is invalid.");
        }
        let operation =
            call.header("x-amz-target").and_then(|target| target.split_once('.')).map(|(_, name)| name.to_owned());
        match operation.as_deref() {
            Some("DescribeServices") => self.services(&call.body),
            Some("ListTaskDefinitions") => self.list(&call.body),
            Some("DescribeTaskDefinition") => self.describe(&call.body),
            Some("UpdateService") => self.update(&call.body),
            _ => no("UnknownOperationException", "There is no such operation."),
        }
    }
}

/// A refusal as ECS writes it.
pub fn no(name: &str, message: &str) -> Said {
    Said::new(400, json!({"__type": name, "message": message}))
}
