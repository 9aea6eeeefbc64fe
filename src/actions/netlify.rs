//! Netlify: a site shows an earlier deploy again (N1).

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::World;
use super::api::{Api, Trouble, is_plain, validate_base, validate_credential};
use super::config::{ConfigFault, fault};
use super::http::Method;
use super::length;
use super::lever::{self, Halt, Lever, Stand};
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use crate::incident::approval::{Choice, Choosing, PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

const VENDOR: &str = "Netlify";
const BASE: &str = "https://api.netlify.com/api/v1";
/// How many deploys are asked for at once.
const PAGE: usize = 50;

/// A site at Netlify that shows an earlier deploy again.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Netlify {
    /// The site, by id or by its netlify.app domain.
    pub site: String,
    /// A personal access token of somebody who may publish.
    #[schemars(with = "String")]
    pub token: SecretString,
    /// Where the API is; Netlify's own when it is not said.
    pub base_url: Option<String>,
    /// What it can do to the world; reversible when it is not said.
    pub risk: Option<Risk>,
    /// How long after Netlify's yes nothing need be seen: 10 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub settle: Option<Millis>,
    /// Shows an earlier production deploy.
    pub restore: Restore,
}

/// Which deploy is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Always this one, by its id; the one before when it is not said.
    pub to: Option<String>,
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Spec {
    from: String,
    from_shown: String,
    to: String,
    to_shown: String,
    /// It takes back what the configuration says.
    #[serde(default)]
    is_back: bool,
}

/// One deploy.
#[derive(Debug, Clone)]
struct Deploy {
    id: String,
    state: String,
    title: Option<String>,
    commit: Option<String>,
    branch: Option<String>,
    created: DateTime<Utc>,
    /// `None` when it never was live.
    published: Option<DateTime<Utc>>,
    is_production: bool,
    is_locked: bool,
}

impl Deploy {
    fn read(value: &Value) -> Result<Self, Trouble> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let moment = |name: &str| {
            let at = DateTime::parse_from_rfc3339(value.get(name)?.as_str()?).ok()?;
            Some(at.to_utc())
        };
        Ok(Self {
            id: text("id").ok_or(Trouble::Garbled)?,
            state: text("state").ok_or(Trouble::Garbled)?,
            title: text("title").filter(|title| !title.trim().is_empty()),
            commit: text("commit_ref").map(|commit| commit.chars().take(7).collect()),
            branch: text("branch"),
            created: moment("created_at").ok_or(Trouble::Garbled)?,
            published: moment("published_at"),
            is_production: text("context").is_none_or(|context| context == "production"),
            is_locked: value.get("locked").and_then(Value::as_bool) == Some(true),
        })
    }

    /// For people: `3f2a1c9 “Fix the cart” (66f0a1)`.
    fn shown(&self) -> String {
        let title = self.title.as_ref().and_then(|title| title.lines().next());
        let title = title.map(|title| format!("“{}” ", title.chars().take(60).collect::<String>()));
        let commit = self.commit.as_ref().map(|commit| format!("{commit} "));
        match (commit, title) {
            (None, None) => self.id.clone(),
            (commit, title) => format!("{}{}({})", commit.unwrap_or_default(), title.unwrap_or_default(), self.id),
        }
    }

    /// It could be live: Netlify built it for production, and it once was.
    fn has_served(&self) -> bool {
        self.state == "ready" && self.is_production && self.published.is_some()
    }
}

#[async_trait]
impl ActionProvider for Netlify {
    fn target(&self) -> Cow<'_, str> {
        format!("{} (Netlify)", self.site).into()
    }

    fn locks(&self) -> Vec<String> {
        vec![format!("netlify/{}", self.site)]
    }

    fn risk(&self) -> Risk {
        self.risk.unwrap_or(Risk::Reversible)
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(2)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.token]
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if !is_plain(&self.site) {
            let sentence = "this is no site; write its id, or its domain such as shop.netlify.app";
            faults.push(fault(format!("{path}.site"), sentence));
        }
        if self.restore.to.as_ref().is_some_and(|to| !is_plain(to)) {
            faults
                .push(fault(format!("{path}.restore.to"), "this is no deploy's id; it stands in the deploy's address"));
        }
        validate_base(self.base_url.as_deref(), path, faults);
        validate_credential(&self.token, path, faults);
    }

    fn choosing(&self) -> Choosing {
        if self.restore.to.is_none() { Choosing::May } else { Choosing::Nothing }
    }

    async fn choices(&self, cx: &PlanContext<'_>) -> Result<Vec<Choice>, PlanFault> {
        let api = self.api(cx.world, cx.within / 2);
        let live = self.live(&api).await.map_err(|trouble| self.fault(&trouble, &self.site))?;
        let choice = |deploy: Deploy| Choice { label: made(&deploy), value: deploy.id };
        Ok(self.older(&api, &live).await?.into_iter().map(choice).collect())
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        // Half of the time: a vendor that does not answer is to be named, and not only the planning that took too long.
        let api = self.api(cx.world, cx.within / 2);
        let live = self.live(&api).await.map_err(|trouble| self.fault(&trouble, &self.site))?;
        let to = match self.restore.to.as_deref().or(cx.wanted) {
            Some(id) => self.served(&api, id).await?,
            None => self.older(&api, &live).await?.into_iter().next().ok_or_else(|| {
                let why = Words::new("netlify.no_earlier").with("site", self.site.as_str());
                PlanFault::NothingToGoBackTo(why.with("at", live.shown()))
            })?,
        };
        self.step(&live, &to, false)
    }

    async fn plan_back(&self, done: &PlannedStep, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let spec: Spec = spec_of(done).map_err(PlanFault::NothingToGoBackTo)?;
        let api = self.api(cx.world, cx.within / 2);
        let live = self.live(&api).await.map_err(|trouble| self.fault(&trouble, &self.site))?;
        let to = self.fixed(&api, &spec.from).await?;
        self.step(&live, &to, true)
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        match self.approved(step) {
            Ok(spec) => lever::throw(&self.lever(step, spec, cx), cx).await,
            Err(found) => StepResult::stale(found),
        }
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        match self.approved(step) {
            Ok(spec) => lever::settled(&self.lever(step, spec, cx), cx).await,
            Err(why) => Happened::CannotTell { why },
        }
    }
}

impl Netlify {
    fn api<'a>(&'a self, world: &'a World, within: Duration) -> Api<'a> {
        Api::bearer(self.base_url.as_deref().unwrap_or(BASE), &self.token, world, within)
    }

    /// The approved facts, if today's configuration still means the same.
    fn approved(&self, step: &PlannedStep) -> Result<Spec, Words> {
        let spec: Spec = spec_of(step)?;
        let same_place = spec.is_back || self.restore.to.as_ref().is_none_or(|to| *to == spec.to);
        if same_place && step.locks == self.locks() { Ok(spec) } else { Err(reconfigured()) }
    }

    fn lever<'a>(&'a self, step: &'a PlannedStep, spec: Spec, cx: &'a StepContext<'_>) -> SiteLever<'a> {
        SiteLever { config: self, api: self.api(cx.world, cx.within), spec, target: &step.target }
    }

    /// The deploy that the site shows.
    async fn live(&self, api: &Api<'_>) -> Result<Deploy, Trouble> {
        let site = api.get(&["sites", &self.site], &[]).await?;
        // Netlify's description leaves the field out where nothing was ever published; its answers say null.
        match site.get("published_deploy").filter(|live| !live.is_null()) {
            Some(live) => Deploy::read(live),
            None if site.get("id").is_some() => {
                Err(Trouble::NotMade(Words::new("netlify.none_live").with("site", self.site.as_str())))
            }
            None => Err(Trouble::Garbled),
        }
    }

    /// One page of the production deploys, the newest first; pages count from 1.
    async fn deploys(&self, api: &Api<'_>, page: usize) -> Result<Vec<Deploy>, Trouble> {
        let (page, most) = (page.to_string(), PAGE.to_string());
        let query = [("production", "true"), ("state", "ready"), ("per_page", &most), ("page", &page)];
        let found = api.get(&["sites", &self.site, "deploys"], &query).await?;
        found.as_array().ok_or(Trouble::Garbled)?.iter().map(Deploy::read).collect()
    }

    /// Those that were live and are older, the newest first; of the first page that has any. Only the last page of all
    /// tells that there are none.
    async fn older(&self, api: &Api<'_>, live: &Deploy) -> Result<Vec<Deploy>, PlanFault> {
        let mut page = 1;
        loop {
            let mut older = self.deploys(api, page).await.map_err(|trouble| self.fault(&trouble, &self.site))?;
            let is_last = older.len() < PAGE;
            older.retain(|deploy| deploy.created < live.created && deploy.has_served());
            if is_last || !older.is_empty() {
                older.sort_by_key(|deploy| std::cmp::Reverse(deploy.created));
                return Ok(older);
            }
            page += 1;
        }
    }

    /// The deploy of this id, if it was built for production and once was live. Netlify would take a preview there, too.
    async fn served(&self, api: &Api<'_>, id: &str) -> Result<Deploy, PlanFault> {
        let to = self.fixed(api, id).await?;
        if to.has_served() {
            return Ok(to);
        }
        let key = if to.is_production { "netlify.never_live" } else { "netlify.preview" };
        let words = Words::new(key).with("what", to.shown()).with("branch", to.branch.as_deref());
        Err(PlanFault::Refused { target: self.target().into_owned(), why: words })
    }

    /// The deploy of this id, if the site can show it.
    async fn fixed(&self, api: &Api<'_>, id: &str) -> Result<Deploy, PlanFault> {
        let found = api.get(&["sites", &self.site, "deploys", id], &[]).await.and_then(|found| Deploy::read(&found));
        let to = found.map_err(|trouble| self.fault(&trouble, id))?;
        if to.state == "ready" {
            return Ok(to);
        }
        let why = Words::new("netlify.not_ready").with("what", to.shown()).with("state", to.state.as_str());
        Err(PlanFault::Refused { target: self.target().into_owned(), why })
    }

    fn fault(&self, trouble: &Trouble, what: &str) -> PlanFault {
        trouble.as_plan_fault(&self.target(), VENDOR, what)
    }

    fn step(&self, live: &Deploy, to: &Deploy, is_back: bool) -> Result<PlannedStep, PlanFault> {
        let target = self.target().into_owned();
        if to.id == live.id {
            return Err(PlanFault::AlreadyThere { target, to: to.shown() });
        }
        let (from, from_shown) = (live.id.clone(), live.shown());
        let spec = Spec { from, from_shown, to: to.id.clone(), to_shown: to.shown(), is_back };
        let locked = if live.is_locked { "netlify.locked" } else { "netlify.not_locked" };
        let title = Words::new("netlify.title_restore").with("site", self.site.as_str());
        Ok(PlannedStep {
            title: title.with("from", live.shown()).with("to", to.shown()),
            target,
            locks: self.locks(),
            from: Some(live.shown()),
            to: to.shown(),
            diff: vec![made(to), Words::new(locked)],
            needs: Vec::new(),
            risk: self.risk(),
            provider: String::new(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
        })
    }
}

/// What there is to know of a deploy.
fn made(deploy: &Deploy) -> Words {
    let words = Words::new("netlify.deploy").with("what", deploy.shown()).with("branch", deploy.branch.as_deref());
    words.with("published_at", deploy.published.map(|at| at.timestamp_millis()))
}

/// The site of an approved plan.
struct SiteLever<'a> {
    config: &'a Netlify,
    api: Api<'a>,
    spec: Spec,
    target: &'a str,
}

#[async_trait]
impl Lever for SiteLever<'_> {
    fn target(&self) -> &str {
        self.target
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn settle(&self) -> Duration {
        length::duration(self.config.settle.unwrap_or(Millis::seconds(10)))
    }

    async fn stand(&self) -> Result<Stand, Trouble> {
        let live = self.config.live(&self.api).await?;
        Ok(if live.id == self.spec.to {
            Stand::There(self.spec.to_shown.clone())
        } else if live.id == self.spec.from {
            Stand::AtStart(self.spec.from_shown.clone())
        } else {
            Stand::Elsewhere(live.shown())
        })
    }

    async fn throw(&self) -> Result<(), Halt> {
        let path = ["sites", &self.config.site, "deploys", &self.spec.to, "restore"];
        self.api.send(Method::Post, &path, &[], None).await?;
        Ok(())
    }

    fn refusal(&self, trouble: &Trouble) -> Words {
        trouble.words(VENDOR, &self.spec.to_shown)
    }
}
