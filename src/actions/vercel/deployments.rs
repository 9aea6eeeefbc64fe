//! Deployments and domains as Vercel tells them.

use std::time::Duration;

use serde_json::Value;

use super::super::api::{Api, Trouble};

/// How many older deployments are looked through.
const MOST_LISTED: &str = "20";
/// Where the commit stands, for each of the services that Vercel builds from.
const SOURCES: [&str; 3] = ["github", "gitlab", "bitbucket"];

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deployment {
    pub id: String,
    /// In milliseconds since 1970.
    pub created: i64,
    pub url: String,
    /// The id of its project; `None` where Vercel does not say.
    pub project: Option<String>,
    /// The commit with its message, where it was built from one.
    commit: Option<String>,
    state: String,
    pub is_production: bool,
    is_staged: bool,
    /// `None` where Vercel does not say.
    candidate: Option<bool>,
}

impl Deployment {
    /// As one of a list, or alone: Vercel names the same fields differently.
    fn read(value: &Value) -> Result<Self, Trouble> {
        let text = |names: &[&str]| names.iter().find_map(|name| value.get(name)?.as_str()).map(str::to_owned);
        let created = value.get("created").or_else(|| value.get("createdAt")).and_then(Value::as_i64);
        Ok(Self {
            id: text(&["uid", "id"]).ok_or(Trouble::Garbled)?,
            created: created.ok_or(Trouble::Garbled)?,
            url: text(&["url"]).unwrap_or_default(),
            project: text(&["projectId"]),
            commit: commit(value),
            state: text(&["readyState", "state"]).ok_or(Trouble::Garbled)?,
            is_production: value.get("target").and_then(Value::as_str) == Some("production"),
            is_staged: value.get("readySubstate").and_then(Value::as_str) == Some("STAGED"),
            candidate: value.get("isRollbackCandidate").and_then(Value::as_bool),
        })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.state == "READY"
    }

    pub(super) fn state(&self) -> &str {
        &self.state
    }

    /// Production can go back to it: it has served once, and Vercel still keeps it.
    pub(super) fn is_candidate(&self) -> bool {
        self.is_ready() && !self.is_staged && self.candidate != Some(false)
    }

    /// For people: `3f2a1c9 “Fix the cart” (dpl_8Xy)`.
    pub(super) fn shown(&self) -> String {
        match &self.commit {
            Some(commit) => format!("{commit} ({})", self.id),
            None => self.id.clone(),
        }
    }
}

fn commit(value: &Value) -> Option<String> {
    let meta = value.get("meta")?;
    SOURCES.iter().find_map(|source| {
        let of = |what: &str| meta.get(format!("{source}Commit{what}"))?.as_str();
        let sha: String = of("Sha")?.chars().take(7).collect();
        let first = of("Message").and_then(|message| message.lines().next()).unwrap_or_default();
        let title: String = first.chars().take(60).collect();
        Some(if title.is_empty() { sha } else { format!("{sha} “{title}”") })
    })
}

/// A domain, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Shows {
    pub deployment: String,
    pub project: Option<String>,
}

/// A project at Vercel, for one piece of work.
pub(in super::super) struct Project<'a> {
    pub api: Api<'a>,
    /// Its id or name, as configured.
    pub name: &'a str,
    pub team: Option<&'a str>,
}

impl Project<'_> {
    /// The query of every request.
    pub(in super::super) fn with_team<'q>(&'q self, more: &[(&'q str, &'q str)]) -> Vec<(&'q str, &'q str)> {
        self.team.iter().map(|team| ("teamId", *team)).chain(more.iter().copied()).collect()
    }

    /// What a domain shows.
    pub(in super::super) async fn shows(&self, domain: &str) -> Result<Shows, Trouble> {
        let found = self.api.get(&["v4", "aliases", domain], &self.with_team(&[])).await?;
        // Vercel's description says that it is a list; what comes is one.
        let alias = found.get(0).unwrap_or(&found);
        let text = |name| alias.get(name).and_then(Value::as_str).map(str::to_owned);
        let deployment = text("deploymentId").ok_or(Trouble::Garbled)?;
        Ok(Shows { deployment, project: text("projectId") })
    }

    pub(super) async fn deployment(&self, id: &str) -> Result<Deployment, Trouble> {
        let found = self.api.get(&["v13", "deployments", id], &self.with_team(&[])).await?;
        Deployment::read(&found)
    }

    /// What the deployment behind a domain says while somebody listens for so long. Vercel keeps nothing for those who come
    /// late, and does not even begin to answer until there is something.
    pub(in super::super) async fn heard(&self, domain: &str, most: Duration) -> Result<Vec<Value>, Trouble> {
        let Shows { deployment, project } = self.shows(domain).await?;
        let project = match project {
            Some(project) => project,
            None => {
                let found = self.api.get(&["v13", "deployments", &deployment], &self.with_team(&[])).await?;
                found.get("projectId").and_then(Value::as_str).ok_or(Trouble::Garbled)?.to_owned()
            }
        };
        let path = ["v1", "projects", &project, "deployments", &deployment, "runtime-logs"];
        self.api.listen(&path, &self.with_team(&[("format", "lines")]), most.min(self.api.left())).await
    }

    /// The id of the project, whichever way it is configured; `None` when the deployment belongs to another one.
    pub(super) async fn project_of(&self, shows: &Shows) -> Result<Option<String>, Trouble> {
        let Some(id) = &shows.project else { return Ok(None) };
        if id == self.name {
            return Ok(Some(id.clone()));
        }
        let found = self.api.get(&["v13", "deployments", &shows.deployment], &self.with_team(&[])).await?;
        // The deployment's own name is what the project was called when it was built.
        let name = found.pointer("/project/name").or_else(|| found.get("name"));
        let is_it = name.and_then(Value::as_str) == Some(self.name);
        Ok(is_it.then(|| id.clone()))
    }

    /// Ready production deployments, the newest first; with `before`, those that production could go back to.
    pub(super) async fn production(
        &self,
        project: &str,
        before: Option<&Deployment>,
    ) -> Result<Vec<Deployment>, Trouble> {
        let until = before.map(|before| before.created.to_string());
        let mut query =
            vec![("projectId", project), ("target", "production"), ("state", "READY"), ("limit", MOST_LISTED)];
        if let Some(until) = &until {
            query.extend([("until", until.as_str()), ("rollbackCandidate", "true")]);
        }
        let found = self.api.get(&["v6", "deployments"], &self.with_team(&query)).await?;
        let list = found.get("deployments").and_then(Value::as_array).ok_or(Trouble::Garbled)?;
        let mut list = list.iter().map(Deployment::read).collect::<Result<Vec<_>, _>>()?;
        list.sort_by_key(|deployment| std::cmp::Reverse(deployment.created));
        Ok(list)
    }

    /// Whether a rollback or a promotion is under way.
    pub(super) async fn is_moving(&self, project: &str) -> Result<bool, Trouble> {
        let found = self.api.get(&["v1", "projects", project, "promote", "aliases"], &self.with_team(&[])).await?;
        let aliases = found.get("aliases").and_then(Value::as_array);
        let is_under_way = |alias: &Value| {
            matches!(alias.get("status").and_then(Value::as_str), Some("pending" | "in-progress" | "in_progress"))
        };
        Ok(aliases.is_some_and(|aliases| aliases.iter().any(is_under_way)))
    }
}
