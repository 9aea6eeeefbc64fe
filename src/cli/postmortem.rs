//! `vigie postmortem`: an incident's post-mortem as Markdown, as a page to print, or as the bare record (PM1, PM2).

use std::path::Path;

use anyhow::{Context as _, anyhow};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::{Format, Postmortem, incidents, print};
use crate::clock::Clock;
use crate::config::{Config, environment, load};
use crate::incident::postmortem::compile;
use crate::incident::rules::Rules;
use crate::render::Renderer;
use crate::slack::paper;
use crate::slack::scene::Scene;

/// The look of the page, on a screen and on paper; follows the reader's light or dark.
const STYLE: &str = include_str!("postmortem.css");

/// Prints one post-mortem.
pub(super) async fn print_one(args: &Postmortem) -> anyhow::Result<()> {
    let (rules, render) = surroundings(args.config.as_deref())?;
    let store = incidents::open().await?;
    let incident = store.incident(args.incident).await?;
    let incident =
        incident.ok_or_else(|| anyhow!("there is no incident {}; vigie incidents lists them", args.incident))?;
    let timeline = store.timeline(args.incident).await.context("the timeline could not be read")?;
    if args.format == Format::Json {
        let record = serde_json::to_string_pretty(&compile(&incident, &timeline))?;
        return print(&format!("{record}\n"));
    }
    let now = Clock::system().now();
    let scene =
        Scene { rules: &rules, render: &render, now, incident: Some(&incident), timeline: &timeline, open: &[] };
    let template = format!("postmortem_{}.md", args.layout);
    if !render.has(&template) {
        let known: Vec<&str> = render.names().filter_map(layout).collect();
        return Err(anyhow!("there is no layout “{}”; there is {}", args.layout, known.join(", ")));
    }
    let markdown = paper::markdown(&scene, &incident, &template).context("the post-mortem could not be written")?;
    match args.format {
        Format::Html => print(&page(&incident.locale, &format!("{}: {}", incident.id, incident.title), &markdown)),
        Format::Md | Format::Json => print(&markdown),
    }
}

/// The layout that a template's name stands for.
fn layout(template: &str) -> Option<&str> {
    template.strip_prefix("postmortem_")?.strip_suffix(".md")
}

/// The team's rules and texts; without a configuration, English in UTC and people by their Slack IDs.
fn surroundings(config: Option<&Path>) -> anyhow::Result<(Rules, Renderer)> {
    let (rules, templates) = match config {
        None => (Rules { locale: "en".to_owned(), zone: "UTC".to_owned(), ..Rules::default() }, None),
        Some(path) => {
            let Config { rules, templates, .. } = load(path, &environment)?;
            (rules, templates)
        }
    };
    Ok((rules, Renderer::load(templates.as_deref())?))
}

/// A whole page. Whatever stands in the Markdown, no markup of its own gets through and no link but to the web or to
/// an e-mail address.
fn page(locale: &str, title: &str, markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    let events = Parser::new_ext(markdown, options).filter_map(harmless);
    let mut body = String::new();
    html::push_html(&mut body, events);
    let mut escaped = String::new();
    // The escape of element content is the one for text.
    html::push_html(&mut escaped, std::iter::once(Event::Text(CowStr::from(title))));
    format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{escaped}</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        if locale == "fr" { "fr" } else { "en" }
    )
}

fn harmless(event: Event<'_>) -> Option<Event<'_>> {
    Some(match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::HtmlBlock)
        | Event::End(TagEnd::HtmlBlock)
        | Event::Start(Tag::Image { .. })
        | Event::End(TagEnd::Image) => {
            return None;
        }
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let safe = ["https://", "http://", "mailto:"].iter().any(|scheme| dest_url.starts_with(scheme));
            let dest_url = if safe { dest_url } else { CowStr::from("#") };
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_post_mortem_becomes_markup_or_a_script() {
        let page = page(
            "en",
            "inc_7: <b>",
            "# a <script>alert(1)</script>\n\n<img src=x onerror=y>\n\n[x](javascript:alert(1)) ![p](https://e.example.com/p.png)\n",
        );
        assert!(page.contains("<title>inc_7: &lt;b&gt;</title>"), "{page}");
        for forbidden in ["<script", "<img", "javascript:"] {
            assert!(!page.contains(forbidden), "{forbidden} is in {page}");
        }
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }

    #[test]
    fn lists_to_tick_and_tables_are_drawn() {
        let page = page("fr", "t", "- [ ] a\n\n| a | b |\n|---|---|\n| 1 | 2 |\n");
        assert!(
            page.contains("<html lang=\"fr\">") && page.contains("type=\"checkbox\"") && page.contains("<table>"),
            "{page}"
        );
    }

    #[test]
    fn every_shipped_layout_is_offered() {
        let render = Renderer::load(None).unwrap();
        let mut layouts: Vec<&str> = render.names().filter_map(layout).collect();
        layouts.sort_unstable();
        assert_eq!(layouts, ["long", "minimal", "short"]);
    }
}
