//! The post-mortem as a document: Markdown from the team's layout, a page to print, or the record as JSON (PM1–PM3).
//!
//! What only people know is left to be filled in, and says so.

use serde_json::{Value, json};

use super::cards::facts::{self, Medium};
use super::cards::pen::{Pen, Said};
use super::page_to_print;
use super::scene::Scene;
use crate::incident::postmortem::{Communication, PostMortem, RunRecord, compile};
use crate::incident::state::Incident;
use crate::incident::timeline::{Entry, Fact};
use crate::render::RenderFault;

/// The longest piece of a text that went out; the whole stands in the update's own card.
const SUBJECT: usize = 160;

/// What the document is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Markdown, as the layout writes it.
    Markdown,
    /// One page of HTML that needs nothing else and prints well.
    Html,
    /// Everything the record knows, for machines; no layout.
    Json,
}

/// The post-mortem of an incident. `layout` is `long`, `short`, `minimal`, or what stands between `postmortem_` and
/// `.md.hbs` in the name of a team's own template (PM2).
///
/// # Errors
/// When there is no such layout, or it lacks a variable.
pub fn postmortem(scene: &Scene<'_>, incident: &Incident, layout: &str, format: Format) -> Said<String> {
    let pen = Pen::for_channel(scene, incident);
    let compiled = compile(incident, scene.timeline);
    if format == Format::Json {
        let json = serde_json::to_string_pretty(&compiled).map_err(|cause| RenderFault::Fill {
            name: "post-mortem".to_owned(),
            locale: pen.locale,
            why: cause.to_string(),
        })?;
        return Ok(json + "\n");
    }
    let vars = vars(scene, &pen, incident, &compiled)?;
    let markdown = pen.render.plain(pen.locale, &format!("postmortem_{layout}.md"), &vars)? + "\n";
    Ok(match format {
        Format::Html => {
            let title = format!("{} {}: {}", pen.word("button.postmortem")?, incident.id, incident.title);
            page_to_print::page(pen.locale, &title, &markdown)
        }
        Format::Markdown | Format::Json => markdown,
    })
}

fn vars(scene: &Scene<'_>, pen: &Pen<'_>, incident: &Incident, compiled: &PostMortem) -> Said<Value> {
    let lines: Said<Vec<Value>> = compiled
        .timeline
        .iter()
        .filter(|entry| !matches!(entry.fact, Fact::CardPosted { .. }))
        .map(|entry| line(scene, pen, entry))
        .collect();
    let services: Vec<&str> = incident.service.iter().map(|key| pen.service(key)).collect();
    let roles: Vec<Value> =
        compiled.roles.iter().map(|(role, user)| json!({"role": role.word(), "holder": pen.person(user)})).collect();
    Ok(json!({
        "incident": compiled.incident.to_string(),
        "title": compiled.title,
        "severity_label": compiled.severity,
        "status": compiled.status.word(),
        "drill": compiled.drill,
        "services": services,
        "started_at": incident.declared.at.0,
        "compiled_at": scene.now.0,
        "zone_name": scene.rules.zone,
        "tz": Some(&scene.rules.zone).filter(|zone| !zone.is_empty()),
        "roles": roles,
        "milestones": milestones(pen, compiled),
        "measures": measures(compiled),
        "impact": {
            "lasted_ms": incident.duration(scene.now).0,
            "users": null,
            "revenue": null,
            "currency": null,
            "reputation": null,
            "summary": compiled.impact,
        },
        "root_cause": compiled.cause,
        "resolution": compiled.summary,
        "lessons": [],
        "prevention": null,
        "runs": compiled.runs.iter().filter_map(|run| executed(pen, incident, run)).collect::<Vec<_>>(),
        "communications": compiled.communications.iter().flat_map(|sent| said(pen, sent)).collect::<Vec<_>>(),
        "follow_ups": [],
        "checklist": checklist(compiled),
        "timeline": lines?,
    }))
}

fn line(scene: &Scene<'_>, pen: &Pen<'_>, entry: &Entry) -> Said<Value> {
    let text = facts::line(scene, pen.locale, entry, Medium::Plain)?;
    Ok(json!({"at": entry.at.0, "by": pen.actor(&entry.by), "text": text}))
}

/// The core's milestones under the names of the field procedures; those that only people know stay open.
fn milestones(pen: &Pen<'_>, compiled: &PostMortem) -> Vec<Value> {
    const NAMES: [(&str, Option<&str>); 9] = [
        ("started", Some("declared")),
        ("detected", None),
        ("alerted", Some("alerted")),
        ("acknowledged", Some("acknowledged")),
        ("investigating", Some("investigated")),
        ("cause_found", None),
        ("fix_applied", Some("action_started")),
        ("mitigated", Some("mitigated")),
        ("resolved", Some("resolved")),
    ];
    let known = |name: Option<&str>| name.and_then(|name| compiled.milestones.iter().find(|known| known.name == name));
    NAMES
        .iter()
        .map(|(shown, name)| {
            let milestone = known(*name);
            let by = milestone.map(|known| pen.actor(&known.by));
            let note = by.and_then(|by| by.get("name").cloned()).unwrap_or(Value::Null);
            json!({"name": shown, "at": milestone.map(|known| known.at.0), "note": note})
        })
        .collect()
}

fn measures(compiled: &PostMortem) -> Vec<Value> {
    let durations = &compiled.durations;
    [("acknowledge", durations.acknowledge), ("mitigate", durations.mitigate), ("resolve", durations.resolve)]
        .iter()
        .map(|(name, took)| json!({"name": name, "took_ms": took.map(|took| took.0)}))
        .collect()
}

/// A run that was executed, or began to be.
fn executed(pen: &Pen<'_>, incident: &Incident, run: &RunRecord) -> Option<Value> {
    let outcome = match run.outcome {
        known @ ("done" | "failed" | "unknown" | "stopped") => known,
        // The world had moved: it ended before its first step.
        "stale" => "stopped",
        _ => return None,
    };
    let started = incident.runs.get(&run.run).and_then(|run| run.started_at).unwrap_or(run.asked.at);
    Some(json!({
        "run": run.run.to_string(),
        "title": run.title,
        "version_from": run.from,
        "version_to": run.to,
        "requested_by": pen.actor(&run.asked.by),
        "approved_by": run.approved.iter().map(|mark| pen.actor(&mark.by)).collect::<Vec<_>>(),
        "glass": run.glass,
        "outside_window": run.outside_window,
        "started_at": started.0,
        "took_ms": run.took.map(|took| took.0),
        "outcome": outcome,
        "note": run.why,
    }))
}

/// A text that went out, once for each place it reached.
fn said(pen: &Pen<'_>, sent: &Communication) -> Vec<Value> {
    if sent.state != "sent" {
        return Vec::new();
    }
    let subject: String = sent.text.lines().next().unwrap_or_default().chars().take(SUBJECT).collect();
    let audience = if sent.customer { "customer" } else { "internal" };
    let approved = sent.approved.as_ref().map(|mark| pen.actor(&mark.by));
    let at = |destination: &str| {
        json!({
            "at": sent.written.at.0,
            "audience": audience,
            "destination": destination,
            "subject": subject,
            "approved_by": approved,
        })
    };
    match sent.delivered.as_slice() {
        [] if sent.customer => Vec::new(),
        [] => vec![at("Slack")],
        places => places.iter().map(|place| at(place)).collect(),
    }
}

/// What the record can answer for is ticked; the rest is for people.
fn checklist(compiled: &PostMortem) -> Vec<Value> {
    let told = compiled.communications.iter().any(|sent| sent.state == "sent");
    [
        ("timeline", false),
        ("root_cause", compiled.cause.is_some()),
        ("impact", compiled.impact.is_some()),
        ("follow_ups", false),
        ("documentation", false),
        ("regression_tests", false),
        ("monitoring", false),
        ("stakeholders", told),
    ]
    .iter()
    .map(|(key, done)| json!({"key": key, "done": done}))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::approval::Outcome;
    use crate::slack::cards::example::*;

    fn told() -> Stage {
        let mut stage = Stage::declared();
        stage.acknowledged().running().step_done(0);
        stage.vigie(Fact::RunFinished { run: RUN, outcome: Outcome::Done, output: None });
        stage.by("U0LEAD", Fact::NoteAdded { text: "<script>alert(1)</script> | [x](javascript:alert(1))".into() });
        let cause = Some("a missing setting".to_owned());
        stage.after(60).by("U0LEAD", Fact::Resolved { summary: "rolled back".into(), impact: None, cause });
        stage
    }

    #[test]
    fn every_layout_is_written_in_every_language_as_markdown_and_to_print() {
        let mut stage = told();
        for locale in ["en", "fr"] {
            stage.speak(locale);
            for layout in ["long", "short", "minimal"] {
                for format in [Format::Markdown, Format::Html] {
                    let written = postmortem(&stage.scene(), stage.incident(), layout, format).unwrap();
                    assert!(written.contains("checkout returns 500") && written.contains("a missing setting"));
                }
            }
        }
    }

    #[test]
    fn how_it_was_resolved_stands_by_itself_in_every_layout() {
        let mut stage = told();
        for locale in ["en", "fr"] {
            stage.speak(locale);
            for layout in ["long", "short", "minimal"] {
                let written = postmortem(&stage.scene(), stage.incident(), layout, Format::Markdown).unwrap();
                let above =
                    written.split("## Full timeline").next().and_then(|above| above.split("## Chronologie").next());
                assert!(above.unwrap().contains("rolled back"), "{locale} {layout}: {written}");
            }
        }
    }

    #[test]
    fn only_people_say_that_the_timeline_is_complete() {
        let stage = told();
        let written = postmortem(&stage.scene(), stage.incident(), "long", Format::Markdown).unwrap();
        assert!(written.contains("- [ ] Timeline is complete"), "{written}");
        assert!(written.contains("- [x] Root cause is identified"), "{written}");
    }

    #[test]
    fn an_incident_that_was_opened_again_was_resolved_when_it_was_resolved_for_good() {
        let mut stage = told();
        stage.after(600).by("U0LEAD", Fact::Reopened { reason: None });
        stage.after(600).by("U0LEAD", Fact::Resolved { summary: "really".into(), impact: None, cause: None });
        let compiled = crate::incident::postmortem::compile(stage.incident(), &stage.timeline);
        let resolved = compiled.milestones.iter().find(|milestone| milestone.name == "resolved").unwrap();
        assert_eq!(resolved.at, stage.now);
        assert_eq!(compiled.durations.resolve, Some(stage.now.since(stage.incident().declared.at)));
        let times: Vec<_> = compiled.milestones.iter().map(|milestone| milestone.at).collect();
        assert!(times.is_sorted(), "{times:?}");
    }

    #[test]
    fn a_note_cannot_act_in_the_printed_page() {
        let stage = told();
        let page = postmortem(&stage.scene(), stage.incident(), "long", Format::Html).unwrap();
        assert!(!page.contains("<script") && !page.contains("href=\"javascript"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "the note is in the record as it was written");
    }

    #[test]
    fn machines_get_the_whole_record() {
        let stage = told();
        let json = postmortem(&stage.scene(), stage.incident(), "long", Format::Json).unwrap();
        let read: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["timeline"].as_array().unwrap().len(), stage.timeline.len());
        assert_eq!(read["runs"][0]["outcome"], "done");
    }

    #[test]
    fn a_layout_that_does_not_exist_is_named() {
        let stage = told();
        let fault = postmortem(&stage.scene(), stage.incident(), "lnog", Format::Markdown).unwrap_err();
        assert!(fault.to_string().contains("postmortem_lnog.md"), "{fault}");
    }
}
