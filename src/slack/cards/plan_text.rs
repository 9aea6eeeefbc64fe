//! A plan as plain text, for a terminal: the lines of the card without its buttons.

use serde_json::json;

use super::pen::{Pen, Said};
use crate::incident::approval::ActionPlan;
use crate::incident::words::Words;
use crate::render::Locale;
use crate::slack::scene::Scene;

/// Everything that an approver has to read, one line each.
///
/// # Errors
/// When a label is missing or wants a variable that there is not.
pub fn plan_text(scene: &Scene<'_>, locale: Locale, plan: &ActionPlan) -> Said<String> {
    let pen = Pen::new(scene, locale);
    let mut lines = vec![plan.title.clone()];
    for (place, step) in plan.steps.iter().enumerate() {
        if let Some(phase) = plan.phases.iter().find(|phase| phase.first == place) {
            lines.push(bare(&pen.plain("plan.phase", super::plan::phase_vars(phase))?));
        }
        let vars = json!({
            "n": place + 1,
            "many": true,
            "title": step.title,
            "from": step.from,
            "to": step.to,
            "target": step.target,
        });
        lines.push(pen.plain("plan.step", vars)?);
        if step.always {
            lines.push(bare(&pen.plain("plan.always", json!({}))?));
        }
        for change in &step.diff {
            lines.push(pen.plain("plan.diff", json!({"text": change, "whole": true}))?);
        }
    }
    listed(&pen, "plan.why", &told(&pen, &plan.why)?, &mut lines)?;
    lines.push(bare(&super::plan::risk(&pen, plan)?));
    listed(&pen, "plan.cautions", &plan.cautions, &mut lines)?;
    listed(&pen, "plan.will_not", &plan.will_not, &mut lines)?;
    listed(&pen, "plan.stays_done", &told(&pen, &plan.stays_done)?, &mut lines)?;
    let checks =
        plan.verification.iter().map(|check| super::plan::verified(&pen, check)).collect::<Said<Vec<String>>>()?;
    listed(&pen, "plan.verification", &checks, &mut lines)?;
    listed(&pen, "plan.needs", &super::plan::needs(&pen, plan)?, &mut lines)?;
    Ok(lines.join("\n"))
}

fn told(pen: &Pen<'_>, all: &[Words]) -> Said<Vec<String>> {
    all.iter().map(|words| pen.told(words)).collect()
}

fn listed(pen: &Pen<'_>, key: &str, items: &[String], lines: &mut Vec<String>) -> Said<()> {
    if !items.is_empty() {
        lines.push(bare(&pen.plain(key, json!({}))?));
        lines.extend(items.iter().map(|item| format!("  - {item}")));
    }
    Ok(())
}

/// Without the marks that make words bold or slanted in Slack.
fn bare(line: &str) -> String {
    line.replace(['*', '_'], "")
}
