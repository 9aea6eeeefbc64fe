//! What the command line says about runbook actions.

use crate::actions::kubernetes::Subject;
use crate::actions::{Actions, http};
use crate::clock::Clock;
use crate::config::{Config, whole_environment};
use crate::incident::waiting::OpenIncidents;
use crate::render::Renderer;
use crate::slack::cards::plan_text::plan_text;
use crate::slack::cards::words;
use crate::slack::scene::Scene;

/// The manifests of the least that Vigie must be allowed in a cluster: in the named one, or in the only one there is.
///
/// # Errors
/// A sentence with its cure.
pub fn rbac(config: &Config, cluster: Option<&str>, subject: &str) -> Result<String, String> {
    let subject: Subject = subject.parse()?;
    let known: Vec<&str> = config.actions.clusters.keys().map(String::as_str).collect();
    let cluster = match (cluster, known.as_slice()) {
        (Some(named), _) => named,
        (None, [only]) => only,
        (None, []) => return Err("the configuration has no clusters".to_owned()),
        (None, several) => return Err(format!("name one with --cluster; there are {}", several.join(", "))),
    };
    let needs = config.actions.needs_in(cluster);
    let needs = needs.ok_or_else(|| format!("there is no cluster “{cluster}”; there are {}", known.join(", ")))?;
    if needs.is_empty() {
        return Err(format!("no action and no check uses the cluster “{cluster}”, so nothing is needed there"));
    }
    Ok(format!(
        "# What Vigie needs in the cluster {cluster}, and no more: kubectl apply -f -\n{}",
        needs.manifest(&subject)
    ))
}

/// The actions that there are, one line each: key, risk, title.
pub fn list(config: &Config) -> String {
    let actions = config.rules.actions.values();
    let width = actions.clone().map(|action| action.key.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for action in actions {
        let rollback = if action.is_rollback { ", a rollback" } else { "" };
        let (key, risk, title) = (&action.key, action.risk.word().replace('_', " "), &action.title);
        text += &format!("{key:width$}  {title} ({risk}{rollback})\n");
    }
    text
}

/// The plan of an action as the card shows it, or as the record that would be approved. Reads only, and needs neither Slack
/// nor a database.
///
/// # Errors
/// A sentence: why there is no plan.
pub async fn plan(config: Config, action: &str, to: Option<&str>, json: bool) -> Result<String, String> {
    super::install_crypto();
    let (render, actions) = texts_and_actions(&config)?;
    let open = OpenIncidents::default();
    let scene = Scene::bare(&config.rules, &render, Clock::system().now(), &open);
    let locale = config.rules.locale.parse().unwrap_or_default();
    match actions.make_plan(action, to).await {
        Ok(plan) if json => serde_json::to_string_pretty(&plan).map_err(|error| error.to_string()),
        Ok(plan) => plan_text(&scene, locale, &plan).map_err(|fault| fault.to_string()),
        Err(fault) => Err(words::plain(&scene, locale, &fault.words()).unwrap_or_else(|_| fault.words().to_string())),
    }
}

/// What is needed to look at systems and to say what is seen there, without a bot.
pub(super) fn texts_and_actions(config: &Config) -> Result<(Renderer, Actions), String> {
    let render = Renderer::load(config.templates.as_deref()).map_err(|fault| fault.to_string())?;
    let client = http::client().map_err(|error| format!("no HTTP client can be made: {error}"))?;
    let actions = Actions::new(config.actions.clone(), client, whole_environment(), &[]);
    let actions = actions.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    Ok((render, actions))
}
