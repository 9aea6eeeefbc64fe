//! Lines in the log of the deployment that a domain at Vercel shows (V3).

use std::time::Duration;

use async_trait::async_trait;
use regex::Regex;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::{Bounds, Check, Seen, validate_filter};
use crate::actions::World;
use crate::actions::api::{Api, Trouble, is_plain, validate_base, validate_credential};
use crate::actions::config::{ConfigFault, fault};
use crate::actions::vercel::{BASE, Project, VENDOR, validate_domain};
use crate::incident::words::Words;

/// How many of the newest lines are looked through.
const MOST_LINES: &str = "500";

/// The log of what a domain shows.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VercelCheck {
    /// The team's id, where the project belongs to one.
    pub team: Option<String>,
    /// An access token that may look.
    #[schemars(with = "String")]
    pub token: SecretString,
    /// The domain whose deployment is meant.
    pub domain: String,
    /// Where the API is; Vercel's own when it is not said.
    pub base_url: Option<String>,
    /// Which lines count, as a regular expression: `ERROR|Error:`.
    pub filter: String,
    /// The limits of how many there are among the newest 500.
    pub limits: Bounds,
}

#[async_trait]
impl Check for VercelCheck {
    fn default_title(&self) -> String {
        format!("{} · {}", self.domain, self.filter)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.token]
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.team.as_ref().is_some_and(|team| !is_plain(team)) {
            faults.push(fault(format!("{path}.team"), "this is no team's id; it begins with team_"));
        }
        validate_filter(&self.filter, path, faults);
        validate_domain(&self.domain, &format!("{path}.domain"), faults);
        validate_base(self.base_url.as_deref(), path, faults);
        validate_credential(&self.token, path, faults);
        self.limits.validate(&format!("{path}.limits"), faults);
    }

    fn limits(&self) -> Option<&Bounds> {
        Some(&self.limits)
    }

    async fn look(&self, world: &World, within: Duration) -> Seen {
        let Ok(filter) = Regex::new(&self.filter) else { return Seen::fail(Words::new("look.broke")) };
        let api = Api::bearer(self.base_url.as_deref().unwrap_or(BASE), &self.token, world, within);
        let site = Project { api, name: "", team: self.team.as_deref() };
        let lines = match self.lines(&site).await {
            Ok(lines) => lines,
            Err(trouble) => {
                let words = trouble.words(VENDOR, &self.domain);
                return if site.api.left().is_zero() { Seen::hung(words) } else { Seen::fail(words) };
            }
        };
        let found: Vec<&String> = lines.iter().filter(|line| filter.is_match(line)).collect();
        let seen = self.limits.judge(found.len() as f64);
        let newest = found.first().map(|line| line.trim());
        let value = Words::new("look.log").with("count", found.len()).with("newest", newest);
        Seen { value: value.with("within_ms", Value::Null), ..seen }
    }
}

impl VercelCheck {
    /// The newest lines first.
    async fn lines(&self, site: &Project<'_>) -> Result<Vec<String>, Trouble> {
        let live = site.shows(&self.domain).await?;
        let query = site.with_team(&[("direction", "backward"), ("limit", MOST_LINES), ("builds", "0")]);
        let found = site.api.get(&["v3", "deployments", &live.deployment, "events"], &query).await?;
        let text = |event: &Value| {
            let text = event.get("text").or_else(|| event.pointer("/payload/text"));
            text.and_then(Value::as_str).map(str::to_owned)
        };
        Ok(found.as_array().ok_or(Trouble::Garbled)?.iter().filter_map(text).collect())
    }
}
