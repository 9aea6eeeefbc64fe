//! What the deployment that a domain at Vercel shows says at run time (V3). Vercel keeps no past of it: whoever wants to
//! know listens for a while.

use std::time::Duration;

use async_trait::async_trait;
use regex::Regex;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::{Bounds, Check, Seen, millis, validate_filter};
use crate::actions::World;
use crate::actions::api::{Api, is_plain, validate_base, validate_credential};
use crate::actions::config::{ConfigFault, fault};
use crate::actions::length;
use crate::actions::stopwatch::Stopwatch;
use crate::actions::vercel::{BASE, Project, VENDOR, validate_domain};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// How long is listened when nothing is said.
const LISTEN: Millis = Millis::seconds(3);

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
    /// How long is listened: 3 s when it is not said. At most a megabyte is heard.
    #[serde(default, deserialize_with = "length::read_some")]
    pub listen: Option<Millis>,
    /// Which lines count, as a regular expression. A line begins with its level: `^(error|fatal)`.
    pub filter: String,
    /// The limits of how many there are while it is listened.
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
        if self.listen == Some(Millis(0)) {
            faults.push(fault(format!("{path}.listen"), "nothing is heard in no time; write for example 3s"));
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
        let most = length::duration(self.listen.unwrap_or(LISTEN));
        let watch = Stopwatch::start();
        let rows = match site.heard(&self.domain, most).await {
            Ok(rows) => rows,
            Err(trouble) => {
                let words = trouble.words(VENDOR, &self.domain);
                return if site.api.left().is_zero() { Seen::hung(words) } else { Seen::fail(words) };
            }
        };
        let heard = watch.took().min(millis(most));
        let lines: Vec<String> = rows.iter().filter_map(line).filter(|line| filter.is_match(line)).collect();
        let seen = self.limits.judge(lines.len() as f64);
        let value = Words::new("look.log").with("count", lines.len()).with("newest", lines.last().map(String::as_str));
        Seen { value: value.with("within_ms", heard.0), ..seen }
    }
}

/// A row of the log as one line, the level first: `error 500 GET /cart TypeError: …`. Nothing for rows in which Vercel
/// speaks of the log itself.
fn line(row: &Value) -> Option<String> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if text("source") == Some("delimiter") {
        return None;
    }
    let status = row.get("responseStatusCode").and_then(Value::as_u64).filter(|status| *status > 0);
    let parts = [
        text("level").map(str::to_owned),
        status.map(|status| status.to_string()),
        text("requestMethod").map(str::to_owned),
        text("requestPath").map(str::to_owned),
        text("message").map(|message| message.trim().to_owned()),
    ];
    let line = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}
