//! Vercel's side: deployments, domains, one rollback or promotion at a time that ends after so many
//! readings, environment variables, a log.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Call, Platform, Rows, Said};

/// One deployment.
#[derive(Debug, Clone)]
pub struct Deployment {
    pub id: String,
    pub created: i64,
    /// The id of its project.
    pub project: &'static str,
    pub message: String,
    pub state: &'static str,
    pub is_production: bool,
    /// It has served production once.
    pub has_served: bool,
    pub is_deleted: bool,
    /// Vercel keeps it for going back to.
    pub is_candidate: bool,
}

/// A rollback or a promotion that is not over.
#[derive(Debug, Clone)]
struct Under {
    to: String,
    readings_left: usize,
}

/// One environment variable.
#[derive(Debug, Clone)]
pub struct Variable {
    pub id: String,
    pub key: String,
    pub value: String,
    /// `encrypted` can be read back, `sensitive` cannot.
    pub kind: String,
    pub target: Vec<String>,
    /// The team's own environments, by their ids.
    pub custom: Vec<String>,
    pub updated: i64,
}

/// A project of a team, with its deployments.
pub struct Vercel {
    /// What the project is called now; its deployments keep the name from when they were built.
    pub name: &'static str,
    pub token: String,
    pub team: String,
    pub deployments: Vec<Deployment>,
    /// Which deployment each domain shows.
    pub domains: BTreeMap<String, String>,
    /// New production deployments go live by themselves.
    pub auto_assign: bool,
    /// The plan that goes back one deployment only.
    pub is_hobby: bool,
    /// After how many readings a rollback or a promotion is over.
    pub readings: usize,
    under_way: Option<Under>,
    /// After so many changes the token ends.
    pub changes_left: Option<usize>,
    pub variables: Vec<Variable>,
    /// The token may list variables but not read this one.
    pub withheld: Option<&'static str>,
    /// The list of variables goes on in another part.
    pub lists_in_parts: bool,
    made: i64,
    /// What the live deployment says while somebody listens: the level, the status of the request, the message.
    pub log: Vec<(&'static str, u16, String)>,
    /// Vercel's five minutes of listening are never over.
    pub log_stays_open: bool,
}

pub const PROJECT: &str = "prj_shop1";
pub const DOMAIN: &str = "shop.example.com";
/// 20 November 2026, noon; a deployment every hour.
const FIRST: i64 = 1_795_176_000_000;

impl Vercel {
    /// Three production deployments, of which the last is live.
    pub fn new() -> Self {
        let mut vercel = Self {
            name: "shop",
            token: "vercel-token-for-tests".to_owned(),
            team: "team_shop1".to_owned(),
            deployments: Vec::new(),
            domains: BTreeMap::new(),
            auto_assign: true,
            is_hobby: false,
            readings: 2,
            under_way: None,
            changes_left: None,
            variables: Vec::new(),
            withheld: None,
            lists_in_parts: false,
            made: 0,
            log: Vec::new(),
            log_stays_open: false,
        };
        for message in ["Add the cart", "Fix the cart", "New checkout"] {
            vercel.built(message);
        }
        vercel
    }

    /// A new production deployment; its id. It goes live unless a rollback has stopped that.
    pub fn built(&mut self, message: &str) -> String {
        let number = self.deployments.len() + 1;
        let id = format!("dpl_{number}");
        self.deployments.push(Deployment {
            id: id.clone(),
            created: FIRST + 3_600_000 * i64::try_from(number).expect("few deployments"),
            project: PROJECT,
            message: message.to_owned(),
            state: "READY",
            is_production: true,
            has_served: self.auto_assign,
            is_deleted: false,
            is_candidate: true,
        });
        if self.auto_assign {
            self.domains.insert(DOMAIN.to_owned(), id.clone());
        }
        id
    }

    /// Somebody sets a variable by hand.
    pub fn set(&mut self, key: &str, value: &str, kind: &str, target: &[&str]) {
        self.set_for(key, value, kind, target, &[]);
    }

    /// The same for the team's own environments as well.
    pub fn set_for(&mut self, key: &str, value: &str, kind: &str, target: &[&str], custom: &[&str]) {
        let owned = |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>();
        let (target, custom) = (owned(target), owned(custom));
        self.made += 1;
        let updated = FIRST + self.made;
        let is_it = |one: &&mut Variable| one.key == key && one.target == target && one.custom == custom;
        if let Some(found) = self.variables.iter_mut().find(is_it) {
            (found.value, found.kind, found.updated) = (value.to_owned(), kind.to_owned(), updated);
            return;
        }
        let (id, key, value, kind) = (format!("env{}", self.made), key.to_owned(), value.to_owned(), kind.to_owned());
        self.variables.push(Variable { id, key, value, kind, target, custom, updated });
    }

    /// What a variable is set to; nothing when there is none.
    pub fn value(&self, key: &str) -> Option<String> {
        self.variables.iter().find(|one| one.key == key).map(|one| one.value.clone())
    }

    fn put(&mut self, body: &Value) -> Said {
        let text = |name: &str| body[name].as_str().expect("it is a text").to_owned();
        let list = |name: &str| body[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let (target, custom): (Vec<&str>, Vec<&str>) = (list("target"), list("customEnvironmentIds"));
        if target.is_empty() && custom.is_empty() {
            return no(400, "bad_request", "A variable belongs to an environment");
        }
        self.set_for(&text("key"), &text("value"), &text("type"), &target, &custom);
        let made = self.variables.iter().find(|one| one.key == text("key")).map(|one| shown(one, "(encrypted)"));
        Said::new(201, json!({"created": made, "failed": []}))
    }

    fn read(&self, id: &str) -> Said {
        match self.variables.iter().find(|one| one.id == id) {
            None => no(404, "not_found", "The variable was not found"),
            Some(one) => {
                let is_readable = one.kind != "sensitive" && self.withheld != Some(&one.key);
                let mut body = shown(one, if is_readable { &one.value } else { "(encrypted)" });
                body["decrypted"] = is_readable.into();
                Said::new(200, body)
            }
        }
    }

    fn remove(&mut self, id: &str) -> Said {
        match self.variables.iter().position(|one| one.id == id) {
            None => no(404, "not_found", "The variable was not found"),
            Some(at) => Said::new(200, shown(&self.variables.remove(at), "(encrypted)")),
        }
    }

    /// What is said from now on; nothing of before. In the end Vercel itself says that the time is over.
    fn says(&self) -> Said {
        let row = |at: usize, source: &str, (level, status, message): &(&str, u16, String)| {
            json!({
                "rowId": format!("row_{at}"),
                "timestampInMs": FIRST + i64::try_from(at).expect("few lines"),
                "source": source,
                "level": level,
                "message": message,
                "messageTruncated": false,
                "domain": DOMAIN,
                "requestMethod": "GET",
                "requestPath": "/cart",
                "responseStatusCode": status,
            })
        };
        let mut values: Vec<Value> =
            self.log.iter().enumerate().map(|(at, said)| row(at, "serverless", said)).collect();
        if !self.log_stays_open {
            let end = ("error", 0, "Exceeded query duration limit of 5 minutes".to_owned());
            values.push(row(values.len(), "delimiter", &end));
        }
        Said::rows(Rows { values, stays_open: self.log_stays_open })
    }

    pub fn deployment(&mut self, id: &str) -> &mut Deployment {
        self.deployments.iter_mut().find(|found| found.id == id).expect("there is such a deployment")
    }

    pub fn live(&self) -> &str {
        &self.domains[DOMAIN]
    }

    /// Somebody begins a rollback by hand that takes so many readings.
    pub fn begins(&mut self, to: &str, readings: usize) {
        self.under_way = Some(Under { to: to.to_owned(), readings_left: readings });
    }

    fn passes(&mut self) {
        let Some(under) = &mut self.under_way else { return };
        if under.readings_left > 0 {
            under.readings_left -= 1;
            return;
        }
        let to = under.to.clone();
        self.under_way = None;
        self.deployment(&to).has_served = true;
        self.domains.insert(DOMAIN.to_owned(), to);
    }

    fn find(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|found| found.id == id)
    }

    /// The deployment that was live before.
    fn previous(&self) -> Option<&str> {
        let at = self.deployments.iter().position(|found| found.id == self.live())?;
        self.deployments[..at].iter().rev().find(|found| found.has_served).map(|found| found.id.as_str())
    }

    fn alias(&mut self, domain: &str) -> Said {
        self.passes();
        match self.domains.get(domain) {
            None => no(404, "not_found", "The alias was not found"),
            Some(id) => Said::new(
                200,
                json!([{
                    "uid": format!("als_{domain}"),
                    "alias": domain,
                    "created": "2026-11-20T12:00:00.000Z",
                    "deploymentId": id,
                    "projectId": PROJECT,
                    "deployment": {"id": id, "url": format!("{id}.vercel.app")},
                }]),
            ),
        }
    }

    fn one(&self, id: &str) -> Said {
        match self.find(id) {
            None => no(404, "not_found", "The deployment was not found"),
            Some(found) if found.is_deleted => no(410, "gone", "The deployment was deleted"),
            Some(found) => Said::new(200, alone(found, self.name)),
        }
    }

    fn list(&self, call: &Call) -> Said {
        let asked = |name: &str| call.query.get(name).map(String::as_str);
        let until: i64 = asked("until").map_or(i64::MAX, |text| text.parse().expect("until is a number"));
        let most: usize = asked("limit").map_or(20, |text| text.parse().expect("limit is a number"));
        let is_asked_for = |found: &&Deployment| {
            !found.is_deleted
                && found.created < until
                && (asked("target") != Some("production") || found.is_production)
                && asked("state").is_none_or(|state| state == found.state)
                && (asked("rollbackCandidate") != Some("true") || (found.is_candidate && found.has_served))
        };
        let found: Vec<Value> = self.deployments.iter().rev().filter(is_asked_for).take(most).map(listed).collect();
        let pagination = json!({"count": found.len(), "next": null, "prev": null});
        Said::new(200, json!({"deployments": found, "pagination": pagination}))
    }

    /// Why production cannot be moved there now.
    fn immovable(&self, id: &str) -> Option<Said> {
        match self.find(id) {
            None => Some(no(404, "not_found", "The deployment was not found")),
            Some(found) if found.is_deleted => Some(no(410, "gone", "The deployment was deleted")),
            Some(_) if self.under_way.is_some() => {
                Some(no(409, "rollback_in_progress", "Another rollback is in progress"))
            }
            Some(_) => None,
        }
    }

    fn rollback(&mut self, id: &str) -> Said {
        if let Some(said) = self.immovable(id) {
            return said;
        }
        let found = self.find(id).expect("it was found");
        if !found.is_candidate || !found.has_served || !found.is_production {
            return no(422, "not_rollback_candidate", "The deployment was never live");
        }
        if self.is_hobby && self.previous() != Some(id) {
            return no(402, "plan_limit", "Your plan goes back to the deployment before only");
        }
        self.auto_assign = false;
        self.begins(id, self.readings);
        Said::nothing(201)
    }

    fn promote(&mut self, id: &str) -> Said {
        if let Some(said) = self.immovable(id) {
            return said;
        }
        self.auto_assign = true;
        self.begins(id, self.readings);
        Said::nothing(201)
    }

    fn moving(&self) -> Said {
        let status = |_: &Under| json!({"status": "in-progress", "alias": DOMAIN, "id": "als_1"});
        let aliases: Vec<Value> = self.under_way.iter().map(status).collect();
        let pagination = json!({"count": aliases.len(), "next": null, "prev": null});
        Said::new(200, json!({"aliases": aliases, "pagination": pagination}))
    }

    fn point(&mut self, id: &str, domain: &str) -> Said {
        match self.find(id) {
            None => return no(404, "not_found", "The deployment was not found"),
            Some(found) if found.state != "READY" => {
                return no(409, "deployment_not_ready", "The deployment is not ready");
            }
            Some(_) => {}
        }
        let old = self.domains.insert(domain.to_owned(), id.to_owned());
        let mut body = json!({"uid": format!("als_{domain}"), "alias": domain, "created": "2026-11-20T12:00:00.000Z"});
        if let Some(old) = old {
            body["oldDeploymentId"] = old.into();
        }
        Said::new(200, body)
    }
}

impl Platform for Vercel {
    const VENDOR: &'static str = "vercel";

    fn answer(&mut self, call: &Call) -> Said {
        match self.changes_left {
            Some(0) if call.is_write() => self.token = "another-token-altogether".to_owned(),
            Some(left) if call.is_write() => self.changes_left = Some(left - 1),
            _ => {}
        }
        if call.bearer.as_deref() != Some(&self.token) {
            return no(401, "unauthorized", "The request is not authorised");
        }
        if call.query.get("teamId") != Some(&self.team) {
            return no(403, "forbidden", "The token is of another team");
        }
        let parts = call.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (call.method.as_str(), parts.as_slice()) {
            ("GET", ["v4", "aliases", domain]) => self.alias(domain),
            ("GET", ["v13", "deployments", id]) => self.one(id),
            ("GET", ["v6", "deployments"]) => self.list(call),
            ("GET", ["v1", "projects", PROJECT, "promote", "aliases"]) => self.moving(),
            ("POST", ["v1", "projects", PROJECT, "rollback", id]) => self.rollback(id),
            ("POST", ["v10", "projects", PROJECT, "promote", id]) => self.promote(id),
            ("POST", ["v2", "deployments", id, "aliases"]) => {
                let domain = call.body["alias"].as_str().unwrap_or_default().to_owned();
                self.point(id, &domain)
            }
            ("GET", ["v10", "projects", PROJECT, "env"]) => {
                let all: Vec<Value> = self.variables.iter().map(|one| shown(one, "(encrypted)")).collect();
                let next = self.lists_in_parts.then_some(FIRST);
                Said::new(200, json!({"envs": all, "pagination": {"count": all.len(), "next": next, "prev": null}}))
            }
            ("GET", ["v1", "projects", PROJECT, "env", id]) => self.read(id),
            ("POST", ["v10", "projects", PROJECT, "env"]) => self.put(&call.body),
            ("DELETE", ["v9", "projects", PROJECT, "env", id]) => self.remove(id),
            ("GET", ["v1", "projects", PROJECT, "deployments", id, "runtime-logs"]) if *id == self.live() => {
                assert_eq!(call.query.get("format").map(String::as_str), Some("lines"));
                self.says()
            }
            _ => no(404, "not_found", "There is nothing at this address"),
        }
    }
}

fn no(status: u16, code: &str, message: &str) -> Said {
    Said::new(status, json!({"error": {"code": code, "message": message}}))
}

fn shown(one: &Variable, value: &str) -> Value {
    json!({
        "id": one.id,
        "key": one.key,
        "value": value,
        "type": one.kind,
        "target": one.target,
        "customEnvironmentIds": one.custom,
        "createdAt": FIRST,
        "updatedAt": one.updated,
    })
}

fn meta(found: &Deployment) -> Value {
    let sha: String = found.id.trim_start_matches("dpl_").repeat(40).chars().take(40).collect();
    json!({"githubCommitSha": sha, "githubCommitMessage": format!("{}\n\nand why", found.message)})
}

fn target(found: &Deployment) -> Value {
    if found.is_production { "production".into() } else { Value::Null }
}

/// As one of a list.
fn listed(found: &Deployment) -> Value {
    json!({
        "uid": found.id,
        "name": "shop",
        "projectId": found.project,
        "url": format!("{}.vercel.app", found.id),
        "created": found.created,
        "state": found.state,
        "readyState": found.state,
        "readySubstate": if found.has_served { "PROMOTED" } else { "STAGED" },
        "isRollbackCandidate": found.is_candidate && found.has_served,
        "type": "LAMBDAS",
        "creator": {"uid": "user_1"},
        "inspectorUrl": null,
        "target": target(found),
        "meta": meta(found),
    })
}

/// As it is told alone.
fn alone(found: &Deployment, project: &str) -> Value {
    json!({
        "id": found.id,
        "name": "shop",
        "project": {"id": found.project, "name": project, "framework": null},
        "projectId": found.project,
        "url": format!("{}.vercel.app", found.id),
        "createdAt": found.created,
        "bootedAt": found.created,
        "buildingAt": found.created,
        "buildSkipped": false,
        "status": found.state,
        "readyState": found.state,
        "readySubstate": if found.has_served { "PROMOTED" } else { "STAGED" },
        "aliasAssigned": found.has_served,
        "creator": {"uid": "user_1"},
        "public": false,
        "type": "LAMBDAS",
        "regions": ["cdg1"],
        "version": 2,
        "target": target(found),
        "meta": meta(found),
    })
}
