//! `vigie postmortem`: an incident's post-mortem as Markdown, as a page to print, or as the bare record (PM1, PM2).

use std::path::Path;

use super::{Format, Postmortem, incidents, print, surroundings};
use crate::clock::Clock;
use crate::config::Config;
use crate::incident::rules::Rules;
use crate::incident::waiting::OpenIncidents;
use crate::render::Renderer;
use crate::slack::documents;
use crate::slack::scene::Scene;
use anyhow::{Context as _, anyhow};

/// Prints one post-mortem.
pub(super) async fn print_one(args: &Postmortem) -> anyhow::Result<()> {
    let (rules, render) = rules_and_texts(args.config.as_deref())?;
    let store = incidents::open().await?;
    let incident = store.incident(args.incident).await?;
    let incident =
        incident.ok_or_else(|| anyhow!("there is no incident {}; vigie incidents lists them", args.incident))?;
    let timeline = store.timeline(args.incident).await.context("the timeline could not be read")?;
    let now = Clock::system().now();
    let open = OpenIncidents::default();
    let scene = Scene { incident: Some(&incident), timeline: &timeline, ..Scene::bare(&rules, &render, now, &open) };
    let template = format!("postmortem_{}.md", args.layout);
    if !render.has(&template) {
        let known: Vec<&str> = render.names().filter_map(layout).collect();
        return Err(anyhow!("there is no layout “{}”; there is {}", args.layout, known.join(", ")));
    }
    let format = match args.format {
        Format::Md => documents::Format::Markdown,
        Format::Html => documents::Format::Html,
        Format::Json => documents::Format::Json,
    };
    let written = documents::postmortem(&scene, &incident, &args.layout, format);
    print(&written.context("the post-mortem could not be written")?)
}

/// The layout that a template's name stands for.
fn layout(template: &str) -> Option<&str> {
    template.strip_prefix("postmortem_")?.strip_suffix(".md")
}

/// The team's rules and texts; without a configuration, English in UTC and people by their Slack IDs.
fn rules_and_texts(config: Option<&Path>) -> anyhow::Result<(Rules, Renderer)> {
    let (rules, templates) = match surroundings(config)? {
        None => (Rules { locale: "en".to_owned(), zone: "UTC".to_owned(), ..Rules::default() }, None),
        Some(Config { rules, templates, .. }) => (rules, templates),
    };
    Ok((rules, Renderer::load(templates.as_deref())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_layout_is_offered() {
        let render = Renderer::load(None).unwrap();
        let mut layouts: Vec<&str> = render.names().filter_map(layout).collect();
        layouts.sort_unstable();
        assert_eq!(layouts, ["long", "minimal", "short"]);
    }
}
