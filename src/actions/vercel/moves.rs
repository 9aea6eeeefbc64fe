//! Which deployment domains show: planned, moved by one request, and read again until they show it.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::api::Trouble;
use super::super::http::Method;
use super::super::length;
use super::super::lever::{Lever, Stand};
use super::super::provider::{ActionProvider as _, PlanFault, reconfigured};
use super::deployments::{Deployment, Project, Shows};
use super::{VENDOR, Vercel};
use crate::incident::approval::PlannedStep;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// A domain that shows nothing.
const NONE: &str = "–";

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Rollback,
    Promote,
    Alias,
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moves {
    kind: Kind,
    /// The project's id.
    project: String,
    domains: Vec<Domain>,
    /// The deployment that all of them show afterwards.
    to: String,
    to_shown: String,
}

/// One domain, and what it showed when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Domain {
    name: String,
    from: Option<String>,
    from_shown: String,
}

impl Moves {
    /// Today's configuration would still lead to this.
    pub(super) fn is_meant_by(&self, config: &Vercel) -> bool {
        let Some((kind, to)) = config.operation() else { return false };
        let configured = config.moved_domains();
        let all_configured = self.domains.iter().all(|domain| configured.contains(&domain.name.as_str()));
        kind == self.kind && all_configured && to.is_none_or(|to| to == self.to)
    }

    /// How a deployment is called in this plan.
    fn shown<'s>(&'s self, id: Option<&'s str>) -> &'s str {
        let Some(id) = id else { return NONE };
        if id == self.to {
            return &self.to_shown;
        }
        let known = self.domains.iter().find(|domain| domain.from.as_deref() == Some(id));
        known.map_or(id, |domain| &domain.from_shown)
    }

    /// What the domains show, in their order: of one alone, or of each with its name.
    fn told(&self, seen: &[Option<String>]) -> String {
        let shown =
            |(domain, id): (&Domain, &Option<String>)| (domain.name.clone(), self.shown(id.as_deref()).to_owned());
        let all: Vec<(String, String)> = self.domains.iter().zip(seen).map(shown).collect();
        match all.as_slice() {
            [(_, only)] => only.clone(),
            several => several.iter().map(|(name, at)| format!("{name}: {at}")).collect::<Vec<_>>().join(", "),
        }
    }
}

impl Vercel {
    /// What is configured, with the deployment where it is fixed.
    fn operation(&self) -> Option<(Kind, Option<&str>)> {
        let rollback = self.rollback.as_ref().map(|found| (Kind::Rollback, found.to.as_deref()));
        let promote = self.promote.as_ref().map(|found| (Kind::Promote, found.to.as_deref()));
        let alias = self.alias.as_ref().map(|found| (Kind::Alias, found.to.as_deref()));
        rollback.or(promote).or(alias)
    }
}

/// Plans what is configured.
pub(super) async fn plan(config: &Vercel, site: &Project<'_>) -> Result<PlannedStep, PlanFault> {
    let target = config.target().into_owned();
    Planning { config, site, target: &target }.step().await
}

struct Planning<'a> {
    config: &'a Vercel,
    site: &'a Project<'a>,
    target: &'a str,
}

impl Planning<'_> {
    fn fault(&self, trouble: &Trouble, what: &str) -> PlanFault {
        trouble.as_plan_fault(self.target, VENDOR, what)
    }

    fn refused(&self, why: Words) -> PlanFault {
        PlanFault::Refused { target: self.target.to_owned(), why }
    }

    async fn step(&self) -> Result<PlannedStep, PlanFault> {
        let Self { config, site, .. } = *self;
        let Some((kind, fixed)) = config.operation() else { return Err(self.refused(reconfigured())) };
        let domain = config.domain.as_deref().unwrap_or_default();
        let now = site.shows(domain).await.map_err(|trouble| self.fault(&trouble, domain))?;
        let project = site.project_of(&now).await.map_err(|trouble| self.fault(&trouble, &now.deployment))?;
        let project = project.ok_or_else(|| self.refused(Words::new("vercel.no_domain").with("domain", domain)))?;
        let live = self.deployment(&now.deployment).await?;
        let to = match (kind, fixed) {
            (_, Some(id)) => self.fixed(kind, id).await?,
            (Kind::Rollback, None) => self.before(&project, &live).await?,
            (Kind::Promote, None) => self.newest(&project, &live).await?,
            (Kind::Alias, None) => live.clone(),
        };
        let domains = match &config.alias {
            Some(alias) => self.domains(&alias.domains, &to).await?,
            None if to.id == live.id => Vec::new(),
            None => {
                let (name, from) = (domain.to_owned(), Some(live.id.clone()));
                vec![Domain { name, from, from_shown: live.shown() }]
            }
        };
        if domains.is_empty() {
            return Err(PlanFault::AlreadyThere { target: self.target.to_owned(), to: to.shown() });
        }
        self.refuse_if_moving(&project).await?;
        let moves = Moves { kind, project, domains, to: to.id.clone(), to_shown: to.shown() };
        Ok(self.planned(&moves, &to))
    }

    async fn deployment(&self, id: &str) -> Result<Deployment, PlanFault> {
        self.site.deployment(id).await.map_err(|trouble| self.fault(&trouble, id))
    }

    async fn refuse_if_moving(&self, project: &str) -> Result<(), PlanFault> {
        let moving = self.site.is_moving(project).await;
        if moving.map_err(|trouble| self.fault(&trouble, &self.config.project))? {
            return Err(self.refused(Words::new("vercel.busy")));
        }
        Ok(())
    }

    /// The deployment that the configuration names, if this can be done with it.
    async fn fixed(&self, kind: Kind, id: &str) -> Result<Deployment, PlanFault> {
        let to = self.deployment(id).await?;
        let says = |key| self.refused(Words::new(key).with("what", to.shown()));
        if !to.is_ready() {
            let words = Words::new("vercel.not_ready").with("what", to.shown()).with("state", to.state());
            return Err(self.refused(words));
        }
        if kind != Kind::Alias && !to.is_production {
            return Err(says("vercel.preview"));
        }
        if kind == Kind::Rollback && !to.is_candidate() {
            return Err(
                self.refused(Words::new("vercel.no_candidate").with("what", to.shown()).with("said", None::<&str>))
            );
        }
        Ok(to)
    }

    /// The newest that production can go back to.
    async fn before(&self, project: &str, live: &Deployment) -> Result<Deployment, PlanFault> {
        let older = self.site.production(project, Some(live)).await;
        let older = older.map_err(|trouble| self.fault(&trouble, &self.config.project))?;
        let is_fit = |deployment: &Deployment| deployment.created < live.created && deployment.is_candidate();
        older.into_iter().find(is_fit).ok_or_else(|| {
            let domain = self.config.domain.as_deref();
            PlanFault::NothingToGoBackTo(
                Words::new("vercel.no_earlier").with("domain", domain).with("at", live.shown()),
            )
        })
    }

    /// The newest of all: what a rollback is undone with.
    async fn newest(&self, project: &str, live: &Deployment) -> Result<Deployment, PlanFault> {
        let all = self.site.production(project, None).await;
        let all = all.map_err(|trouble| self.fault(&trouble, &self.config.project))?;
        Ok(all.into_iter().find(Deployment::is_ready).unwrap_or_else(|| live.clone()))
    }

    /// The domains that do not show it yet.
    async fn domains(&self, names: &[String], to: &Deployment) -> Result<Vec<Domain>, PlanFault> {
        let mut domains = Vec::new();
        for name in names {
            let from = match self.site.shows(name).await {
                Ok(Shows { deployment, .. }) => Some(deployment),
                Err(trouble) if trouble.is(404) => None,
                Err(trouble) => return Err(self.fault(&trouble, name)),
            };
            if from.as_ref() == Some(&to.id) {
                continue;
            }
            let from_shown = match &from {
                Some(id) => self.deployment(id).await?.shown(),
                None => NONE.to_owned(),
            };
            domains.push(Domain { name: name.clone(), from, from_shown });
        }
        Ok(domains)
    }

    fn planned(&self, moves: &Moves, to: &Deployment) -> PlannedStep {
        let seen: Vec<Option<String>> = moves.domains.iter().map(|domain| domain.from.clone()).collect();
        let from = moves.told(&seen);
        let names: Vec<&str> = moves.domains.iter().map(|domain| domain.name.as_str()).collect();
        let title = match moves.kind {
            Kind::Rollback => "vercel.title_rollback",
            Kind::Promote => "vercel.title_promote",
            Kind::Alias => "vercel.title_alias",
        };
        let title = Words::new(title).with("domains", names).with("from", from.as_str()).with("to", to.shown());
        PlannedStep {
            title,
            target: self.target.to_owned(),
            locks: self.config.locks(),
            from: Some(from),
            to: to.shown(),
            diff: lines(moves, to),
            needs: Vec::new(),
            risk: self.config.risk(),
            configured_at: None,
            provider: String::new(),
            spec: serde_json::to_value(moves).unwrap_or_default(),
        }
    }
}

/// What the approver should know of it.
fn lines(moves: &Moves, to: &Deployment) -> Vec<Words> {
    let made = Words::new("vercel.deployment").with("what", to.shown()).with("made_at", to.created);
    let mut lines = vec![made.with("url", to.url.as_str())];
    match moves.kind {
        Kind::Rollback => lines.push(Words::new("vercel.no_auto_assign")),
        Kind::Promote => lines.push(Words::new("vercel.auto_assign")),
        Kind::Alias => lines.extend(moves.domains.iter().map(|domain| {
            let words = Words::new("vercel.domain_moves").with("domain", domain.name.as_str());
            words.with("from", domain.from_shown.as_str()).with("to", to.shown())
        })),
    }
    lines.push(Words::new("vercel.variables_stay"));
    lines
}

/// The domains of an approved plan.
pub(super) struct DomainLever<'a> {
    pub config: &'a Vercel,
    pub site: Project<'a>,
    pub moves: Moves,
    pub target: &'a str,
    /// What Vercel keeps beside a rollback.
    pub note: String,
}

impl DomainLever<'_> {
    /// What a domain shows now.
    async fn seen(&self, domain: &Domain) -> Result<Option<String>, Trouble> {
        match self.site.shows(&domain.name).await {
            Ok(shows) => Ok(Some(shows.deployment)),
            Err(trouble) if trouble.is(404) && domain.from.is_none() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    async fn point(&self, domain: &Domain) -> Result<(), Trouble> {
        let path = ["v2", "deployments", &self.moves.to, "aliases"];
        let body = json!({"alias": domain.name});
        self.site.api.send(Method::Post, &path, &self.site.with_team(&[]), Some(body)).await.map(|_| ())
    }
}

#[async_trait]
impl Lever for DomainLever<'_> {
    fn target(&self) -> &str {
        self.target
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn settle(&self) -> Duration {
        length::duration(self.config.settle.unwrap_or(Millis::seconds(15)))
    }

    async fn stand(&self) -> Result<Stand, Trouble> {
        let moves = &self.moves;
        let mut seen = Vec::new();
        for domain in &moves.domains {
            seen.push(self.seen(domain).await?);
        }
        let told = moves.told(&seen);
        let there = seen.iter().filter(|id| id.as_deref() == Some(&moves.to)).count();
        let is_known =
            |(domain, id): (&Domain, &Option<String>)| id.as_deref() == Some(&moves.to) || *id == domain.from;
        if there == seen.len() {
            Ok(Stand::There(moves.to_shown.clone()))
        } else if !moves.domains.iter().zip(&seen).all(is_known) {
            Ok(Stand::Elsewhere(told))
        } else if there > 0 {
            Ok(Stand::Half(told))
        } else if moves.kind != Kind::Alias && self.site.is_moving(&moves.project).await? {
            Ok(Stand::Moving(told))
        } else {
            Ok(Stand::AtStart(told))
        }
    }

    async fn throw(&self) -> Result<(), Trouble> {
        let Moves { kind, project, to, domains, .. } = &self.moves;
        let (path, more) = match kind {
            Kind::Rollback => (["v1", "projects", project, "rollback", to], vec![("description", self.note.as_str())]),
            Kind::Promote => (["v10", "projects", project, "promote", to], Vec::new()),
            Kind::Alias => {
                for domain in domains {
                    if self.seen(domain).await? == domain.from {
                        self.point(domain).await?;
                    }
                }
                return Ok(());
            }
        };
        self.site.api.send(Method::Post, &path, &self.site.with_team(&more), None).await.map(|_| ())
    }

    fn refusal(&self, trouble: &Trouble) -> Words {
        match trouble {
            Trouble::Said { status: 422, message, .. } => {
                let words = Words::new("vercel.no_candidate").with("what", self.moves.to_shown.as_str());
                words.with("said", message.as_deref())
            }
            _ => trouble.words(VENDOR, &self.moves.to_shown),
        }
    }
}
