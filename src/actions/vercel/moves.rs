//! Which deployment domains show: planned, moved by one request, and read again until they show it.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::api::Trouble;
use super::super::http::Method;
use super::super::length;
use super::super::lever::{Halt, Lever, Stand};
use super::super::provider::{ActionProvider as _, PlanFault, reconfigured, spec_of};
use super::deployments::{Deployment, Project, Shows};
use super::{VENDOR, Vercel};
use crate::incident::approval::{Choice, PlannedStep};
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

impl Kind {
    /// What takes it back.
    fn back(self) -> Self {
        match self {
            Kind::Rollback => Kind::Promote,
            Kind::Promote => Kind::Rollback,
            Kind::Alias => Kind::Alias,
        }
    }
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
    /// It takes back what the configuration says.
    #[serde(default)]
    is_back: bool,
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
        let same = if self.is_back {
            kind.back() == self.kind
        } else {
            kind == self.kind && to.is_none_or(|to| to == self.to)
        };
        same && all_configured
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

/// Plans what is configured; `wanted` is the deployment that a person chose.
pub(super) async fn plan(config: &Vercel, site: &Project<'_>, wanted: Option<&str>) -> Result<PlannedStep, PlanFault> {
    let target = config.target().into_owned();
    Planning { config, site, target: &target }.step(wanted).await
}

/// The deployments between which a person can choose.
pub(super) async fn choices(config: &Vercel, site: &Project<'_>) -> Result<Vec<Choice>, PlanFault> {
    let target = config.target().into_owned();
    Planning { config, site, target: &target }.choices().await
}

/// Plans the way back of a step that was done.
pub(super) async fn plan_back(
    config: &Vercel,
    site: &Project<'_>,
    done: &PlannedStep,
) -> Result<PlannedStep, PlanFault> {
    let target = config.target().into_owned();
    Planning { config, site, target: &target }.back(done).await
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

    /// The project's id, and what the domain shows.
    async fn live(&self) -> Result<(String, Deployment), PlanFault> {
        let domain = self.config.domain.as_deref().unwrap_or_default();
        let now = self.site.shows(domain).await.map_err(|trouble| self.fault(&trouble, domain))?;
        let project = self.site.project_of(&now).await.map_err(|trouble| self.fault(&trouble, &now.deployment))?;
        let foreign = || self.refused(Words::new("vercel.no_domain").with("domain", domain));
        Ok((project.ok_or_else(foreign)?, self.deployment(&now.deployment).await?))
    }

    async fn step(&self, wanted: Option<&str>) -> Result<PlannedStep, PlanFault> {
        let config = self.config;
        let Some((kind, fixed)) = config.operation() else { return Err(self.refused(reconfigured())) };
        let (project, live) = self.live().await?;
        let to = match (kind, fixed.or(wanted)) {
            (_, Some(id)) => self.fixed(kind, &project, id).await?,
            (Kind::Rollback, None) => self.before(&project, &live).await?,
            (Kind::Promote, None) => self.newest(&project, &live).await?,
            (Kind::Alias, None) => live.clone(),
        };
        let domains = match &config.alias {
            Some(alias) => self.domains(&alias.domains, &to).await?,
            None if to.id == live.id => Vec::new(),
            None => {
                let (name, from) = (config.domain.clone().unwrap_or_default(), Some(live.id.clone()));
                vec![Domain { name, from, from_shown: live.shown() }]
            }
        };
        self.moved(kind, project, domains, &to, false).await
    }

    /// What is done is undone from where everything stands now.
    async fn back(&self, done: &PlannedStep) -> Result<PlannedStep, PlanFault> {
        let no_way = || PlanFault::NothingToGoBackTo(Words::new("step.no_way_back"));
        let spec: Moves = spec_of(done).map_err(PlanFault::NothingToGoBackTo)?;
        let mut before = spec.domains.iter().map(|domain| domain.from.as_deref());
        let from = before.next().flatten().ok_or_else(no_way)?;
        if before.any(|other| other != Some(from)) {
            return Err(no_way());
        }
        let to = self.deployment(from).await?;
        let names: Vec<String> = spec.domains.iter().map(|domain| domain.name.clone()).collect();
        let domains = self.domains(&names, &to).await?;
        self.moved(spec.kind.back(), spec.project, domains, &to, true).await
    }

    async fn moved(
        &self,
        kind: Kind,
        project: String,
        domains: Vec<Domain>,
        to: &Deployment,
        is_back: bool,
    ) -> Result<PlannedStep, PlanFault> {
        if domains.is_empty() {
            return Err(PlanFault::AlreadyThere { target: self.target.to_owned(), to: to.shown() });
        }
        self.refuse_if_moving(&project).await?;
        let moves = Moves { kind, project, domains, to: to.id.clone(), to_shown: to.shown(), is_back };
        Ok(self.planned(&moves, to))
    }

    async fn choices(&self) -> Result<Vec<Choice>, PlanFault> {
        let Some((kind, _)) = self.config.operation() else { return Ok(Vec::new()) };
        let (project, live) = self.live().await?;
        let all = match kind {
            Kind::Rollback => self.older(&project, &live).await?,
            Kind::Promote => self.all(&project).await?,
            Kind::Alias => Vec::new(),
        };
        let choice = |deployment: Deployment| {
            let label = Words::new("vercel.deployment").with("what", deployment.shown());
            let label = label.with("made_at", deployment.created).with("url", None::<&str>);
            Choice { value: deployment.id, label }
        };
        Ok(all.into_iter().filter(|deployment| deployment.id != live.id).map(choice).collect())
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

    /// The deployment that the configuration or a person names, if this can be done with it. Who reads one project of a team
    /// reads the deployments of all.
    async fn fixed(&self, kind: Kind, project: &str, id: &str) -> Result<Deployment, PlanFault> {
        let to = self.deployment(id).await?;
        let says = |key| self.refused(Words::new(key).with("what", to.shown()));
        if to.project.as_deref().is_some_and(|its| its != project) {
            return Err(says("vercel.other_project"));
        }
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

    /// Those that production can go back to, the newest first.
    async fn older(&self, project: &str, live: &Deployment) -> Result<Vec<Deployment>, PlanFault> {
        let mut older = self.site.production(project, Some(live)).await;
        if let Ok(older) = &mut older {
            older.retain(|deployment| deployment.created < live.created && deployment.is_candidate());
        }
        older.map_err(|trouble| self.fault(&trouble, &self.config.project))
    }

    async fn all(&self, project: &str) -> Result<Vec<Deployment>, PlanFault> {
        let mut all = self.site.production(project, None).await;
        if let Ok(all) = &mut all {
            all.retain(Deployment::is_ready);
        }
        all.map_err(|trouble| self.fault(&trouble, &self.config.project))
    }

    async fn before(&self, project: &str, live: &Deployment) -> Result<Deployment, PlanFault> {
        self.older(project, live).await?.into_iter().next().ok_or_else(|| {
            let words = Words::new("vercel.no_earlier").with("domain", self.config.domain.as_deref());
            PlanFault::NothingToGoBackTo(words.with("at", live.shown()))
        })
    }

    /// The newest of all: what a rollback is undone with.
    async fn newest(&self, project: &str, live: &Deployment) -> Result<Deployment, PlanFault> {
        Ok(self.all(project).await?.into_iter().next().unwrap_or_else(|| live.clone()))
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
            always: false,
            after: Vec::new(),
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

    async fn throw(&self) -> Result<(), Halt> {
        let Moves { kind, project, to, domains, .. } = &self.moves;
        let (path, more) = match kind {
            Kind::Rollback => (["v1", "projects", project, "rollback", to], vec![("description", self.note.as_str())]),
            Kind::Promote => (["v10", "projects", project, "promote", to], Vec::new()),
            Kind::Alias => {
                let mut is_begun = false;
                for domain in domains {
                    let halt = |trouble| Halt { trouble, is_begun };
                    if self.seen(domain).await.map_err(halt)? == domain.from {
                        self.point(domain).await.map_err(halt)?;
                        is_begun = true;
                    }
                }
                return Ok(());
            }
        };
        self.site.api.send(Method::Post, &path, &self.site.with_team(&more), None).await?;
        Ok(())
    }

    fn refusal(&self, trouble: &Trouble) -> Words {
        match trouble {
            Trouble::Said { status: 422, message, .. } if self.moves.kind == Kind::Rollback => {
                let words = Words::new("vercel.no_candidate").with("what", self.moves.to_shown.as_str());
                words.with("said", message.as_deref())
            }
            _ => trouble.words(VENDOR, &self.moves.to_shown),
        }
    }
}
