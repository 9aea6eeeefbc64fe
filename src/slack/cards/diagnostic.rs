//! The diagnostic card: one line a check, worst first, value against its limit (H7).

use serde_json::json;

use super::blocks::{Button, Part, lines, told};
use super::pen::{Pen, Said, headline};
use super::steps::{self, Step};
use crate::incident::approval::{CheckResult, Verdict};
use crate::incident::id::DiagnosticId;
use crate::incident::state::{Diagnostic, Incident};
use crate::slack::scene::{Drawn, Scene};

/// Checks shown line by line; the rest, which are the better ones, are counted.
const SHOWN: usize = 20;

pub(super) fn draw(scene: &Scene<'_>, incident: &Incident, id: DiagnosticId, round: &Diagnostic) -> Said<Drawn> {
    let pen = Pen::for_channel(scene, incident);
    let title = title(&pen, round)?;
    let mut parts = vec![Part::Text(title.clone())];
    if let Some(results) = &round.results {
        let mut worst_first: Vec<&CheckResult> = results.iter().collect();
        worst_first.sort_by_key(|result| std::cmp::Reverse(result.verdict));
        let shown = worst_first.iter().take(SHOWN).map(|result| line(&pen, result));
        parts.extend(lines(shown.collect::<Said<Vec<_>>>()?));
        if let Some(more) = results.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            parts.push(Part::Text(pen.say("diagnostic.more", json!({"more": more}))?));
        }
    }
    let vars = json!({
        "who": pen.actor(&round.asked.by),
        "at": round.asked.at.0,
        "diagnostic": id.to_string(),
    });
    parts.push(Part::Small(pen.say("diagnostic.asked", vars)?));
    if round.results.is_some() && incident.status.is_open() {
        parts.push(row(&pen, incident, id, round)?);
    }
    Ok(told([headline(&pen, incident)?, title], parts))
}

/// `Diagnostic of the shop: 1 of 4 checks is outside its limits`.
fn title(pen: &Pen<'_>, round: &Diagnostic) -> Said {
    let service = pen.service(&round.service);
    let Some(results) = &round.results else {
        let all = pen.rules.services.get(&round.service).map_or(0, |service| service.checks.len());
        return pen.say("diagnostic.running", json!({"service": service, "all": all}));
    };
    let bad = results.iter().filter(|result| is_bad(result)).count();
    let key = if bad == 0 { "diagnostic.well" } else { "diagnostic.bad" };
    pen.say(key, json!({"service": service, "bad": bad, "all": results.len()}))
}

/// Roll back when something is wrong and there is a rollback, else look again.
fn row(pen: &Pen<'_>, incident: &Incident, id: DiagnosticId, round: &Diagnostic) -> Said<Part> {
    let results = round.results.as_deref().unwrap_or_default();
    let mut row = Vec::new();
    if results.iter().any(is_bad) && steps::can_roll_back(pen) {
        row.push(Step::RollBack);
    }
    row.extend([Step::Update, Step::Diagnose]);
    let mut part = steps::of_steps(pen, incident.id, &row, &[])?;
    if let Part::Row(buttons, _) = &mut part
        && results.iter().any(|result| result.details.is_some())
    {
        buttons.push(Button::new("details", pen.word("button.check_details")?, format!("details {id}")));
    }
    Ok(part)
}

/// One check: `❌ error rate: 7.2 % (limit 5 %) · 41 ms`.
pub(super) fn line(pen: &Pen<'_>, result: &CheckResult) -> Said {
    let vars = json!({
        "emoji": emoji(result.verdict),
        "title": result.title,
        "value": result.value,
        "limit": result.limit,
        "took_ms": result.took.0,
        "verdict": pen.word(&format!("verdict.{}", verdict_word(result.verdict)))?,
    });
    let key = if result.verdict == Verdict::Hung { "diagnostic.hung" } else { "diagnostic.line" };
    pen.say(key, vars)
}

/// The check to look at first.
pub(super) fn worst(results: &[CheckResult]) -> Option<&CheckResult> {
    results.iter().rev().max_by_key(|result| result.verdict)
}

/// Outside its limits, or silent.
pub(super) fn is_bad(result: &CheckResult) -> bool {
    matches!(result.verdict, Verdict::Fail | Verdict::Hung)
}

/// A mark that always stands beside its word.
pub(super) const fn emoji(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅",
        Verdict::Warn => "⚠️",
        Verdict::Fail => "❌",
        Verdict::Hung => "⌛",
    }
}

/// The verdict's word in label keys.
pub(super) const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Warn => "warn",
        Verdict::Fail => "fail",
        Verdict::Hung => "hung",
    }
}
