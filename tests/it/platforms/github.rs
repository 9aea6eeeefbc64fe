//! GitHub's side of Actions: workflows that are dispatched, and runs that go on with each reading.

use serde_json::{Map, Value, json};

use super::{Call, Platform, Said};

/// One run of the workflow.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: i64,
    pub title: String,
    pub event: &'static str,
    pub branch: String,
    readings_left: usize,
    pub conclusion: &'static str,
}

/// A repository with one workflow, `rollback.yml`.
pub struct Github {
    pub token: String,
    pub runs: Vec<Run>,
    /// The inputs that the workflow takes.
    pub takes: Vec<&'static str>,
    /// Says yes without the run's number, as older servers do.
    pub says_no_number: bool,
    /// The workflow's file does not show the mark in its runs' names.
    pub hides_mark: bool,
    /// The list does not show what was started, for so many readings.
    pub list_is_late: usize,
    /// The same for what is started next.
    pub list_is_late_after_start: usize,
    /// A run is not found yet, or asked for too often, for so many readings.
    pub unseen: usize,
    pub limited: usize,
    /// After how many readings a run is over, and how it ends.
    pub readings: usize,
    pub conclusion: &'static str,
    made: i64,
}

pub const REPOSITORY: &str = "example/shop";
const WORKFLOW: &str = "rollback.yml";

impl Github {
    /// One run was there before.
    pub fn new() -> Self {
        let mut github = Self {
            token: "github-token-for-tests".to_owned(),
            runs: Vec::new(),
            takes: vec!["environment", "vigie_run"],
            says_no_number: false,
            hides_mark: false,
            list_is_late: 0,
            list_is_late_after_start: 0,
            unseen: 0,
            limited: 0,
            readings: 2,
            conclusion: "success",
            made: 0,
        };
        github.begins("Roll back", "workflow_dispatch", 0);
        github
    }

    /// A run that is over after so many readings; its id.
    pub fn begins(&mut self, title: &str, event: &'static str, readings_left: usize) -> i64 {
        self.made += 1;
        let (title, branch, conclusion) = (title.to_owned(), "main".to_owned(), self.conclusion);
        let id = 9_000 + self.made;
        self.runs.push(Run { id, title, event, branch, readings_left, conclusion });
        id
    }

    fn list(&mut self, call: &Call) -> Said {
        let most: usize = call.query["per_page"].parse().expect("per_page is a number");
        let late = if self.list_is_late > 0 { 1 } else { 0 };
        self.list_is_late = self.list_is_late.saturating_sub(1);
        let shown: Vec<Value> = self.runs.iter().rev().skip(late).take(most).map(shown).collect();
        Said::new(200, json!({"total_count": self.runs.len(), "workflow_runs": shown}))
    }

    fn one(&mut self, id: &str) -> Said {
        if self.unseen > 0 {
            self.unseen -= 1;
            return no(404, "Not Found");
        }
        if self.limited > 0 {
            self.limited -= 1;
            return Said { retry_after_s: Some(1), ..no(403, "You have exceeded a secondary rate limit") };
        }
        match self.runs.iter_mut().find(|run| run.id.to_string() == id) {
            None => no(404, "Not Found"),
            Some(run) => {
                let said = Said::new(200, shown(run));
                run.readings_left = run.readings_left.saturating_sub(1);
                said
            }
        }
    }

    fn dispatch(&mut self, body: &Value) -> Said {
        let inputs = body["inputs"].as_object().cloned().unwrap_or_default();
        let unknown: Vec<&String> = inputs.keys().filter(|name| !self.takes.contains(&name.as_str())).collect();
        if !unknown.is_empty() {
            return no(422, &format!("Unexpected inputs provided: {unknown:?}"));
        }
        if body["ref"] != "main" && body["ref"] != "refs/heads/main" {
            return no(422, "No ref found for it");
        }
        let mark = inputs.get("vigie_run").filter(|_| !self.hides_mark).and_then(Value::as_str).unwrap_or_default();
        self.list_is_late += std::mem::take(&mut self.list_is_late_after_start);
        let id = self.begins(format!("Roll back {mark}").trim(), "workflow_dispatch", self.readings);
        if self.says_no_number || body["return_run_details"] != true {
            return Said::nothing(204);
        }
        let (run_url, html_url) = (format!("https://api.github.com/runs/{id}"), link(id));
        Said::new(200, json!({"workflow_run_id": id, "run_url": run_url, "html_url": html_url}))
    }
}

impl Platform for Github {
    const VENDOR: &'static str = "github";

    fn answer(&mut self, call: &Call) -> Said {
        if call.bearer.as_deref() != Some(&self.token) {
            return no(401, "Bad credentials");
        }
        let parts = call.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (call.method.as_str(), parts.as_slice()) {
            ("GET", ["repos", "example", "shop", "actions", "workflows", WORKFLOW, "runs"]) => self.list(call),
            ("GET", ["repos", "example", "shop", "actions", "runs", id]) => self.one(id),
            ("POST", ["repos", "example", "shop", "actions", "workflows", WORKFLOW, "dispatches"]) => {
                self.dispatch(&call.body)
            }
            _ => no(404, "Not Found"),
        }
    }
}

fn no(status: u16, message: &str) -> Said {
    Said::new(status, json!({"message": message, "documentation_url": "https://docs.github.com/rest"}))
}

fn link(id: i64) -> String {
    format!("https://github.com/{REPOSITORY}/actions/runs/{id}")
}

fn shown(run: &Run) -> Value {
    let is_over = run.readings_left == 0;
    let own = json!({
        "id": run.id,
        "node_id": "WFR_1",
        "name": "Roll back",
        "display_title": run.title,
        "run_number": run.id - 9_000,
        "event": run.event,
        "head_branch": run.branch,
        "head_sha": "1".repeat(40),
        "path": ".github/workflows/rollback.yml",
        "workflow_id": 1,
        "status": if is_over { "completed" } else { "in_progress" },
        "conclusion": if is_over { Value::from(run.conclusion) } else { Value::Null },
        "html_url": link(run.id),
        "created_at": "2026-11-20T12:00:00Z",
        "updated_at": "2026-11-20T12:00:00Z",
        "head_commit": null,
        "repository": repository(),
        "head_repository": repository(),
        "pull_requests": [],
    });
    let urls =
        ["url", "jobs_url", "logs_url", "check_suite_url", "cancel_url", "rerun_url", "artifacts_url", "workflow_url"];
    with_urls(own, &urls)
}

/// An object with these addresses, which nobody here follows.
fn with_urls(object: Value, names: &[&str]) -> Value {
    let mut object: Map<String, Value> = object.as_object().cloned().unwrap_or_default();
    object.extend(names.iter().map(|name| ((*name).to_owned(), "https://api.github.com/somewhere".into())));
    Value::Object(object)
}

fn repository() -> Value {
    let urls = [
        "archive_url",
        "assignees_url",
        "blobs_url",
        "branches_url",
        "collaborators_url",
        "comments_url",
        "commits_url",
        "compare_url",
        "contents_url",
        "contributors_url",
        "deployments_url",
        "downloads_url",
        "events_url",
        "forks_url",
        "git_commits_url",
        "git_refs_url",
        "git_tags_url",
        "hooks_url",
        "html_url",
        "issue_comment_url",
        "issue_events_url",
        "issues_url",
        "keys_url",
        "labels_url",
        "languages_url",
        "merges_url",
        "milestones_url",
        "notifications_url",
        "pulls_url",
        "releases_url",
        "stargazers_url",
        "statuses_url",
        "subscribers_url",
        "subscription_url",
        "tags_url",
        "teams_url",
        "trees_url",
        "url",
    ];
    let own = json!({
        "id": 1,
        "node_id": "R_1",
        "name": "shop",
        "full_name": REPOSITORY,
        "owner": owner(),
        "private": true,
        "fork": false,
        "description": null,
    });
    with_urls(own, &urls)
}

fn owner() -> Value {
    let urls = [
        "avatar_url",
        "events_url",
        "followers_url",
        "following_url",
        "gists_url",
        "html_url",
        "organizations_url",
        "received_events_url",
        "repos_url",
        "starred_url",
        "subscriptions_url",
        "url",
    ];
    let own = json!({"id": 1, "node_id": "O_1", "login": "example", "gravatar_id": null, "site_admin": false, "type": "Organization"});
    with_urls(own, &urls)
}
