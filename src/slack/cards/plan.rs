//! A plan as its approvers read it: everything they need to know before they say yes (P4–P6).

use serde_json::{Value, json};

use super::blocks::{Button, Confirm, Part, Style, lines};
use super::markup::Mrkdwn;
use super::pen::{Pen, Said};
use crate::incident::approval::{
    ActionPlan, Approver, CheckItem, CheckWhen, Class, PlanPhase, PlannedStep, Risk, Verification,
};
use crate::incident::state::{Phase, Run};
use crate::incident::words::Words;

/// Lines of one list; the rest is counted.
const SHOWN: usize = 6;
/// Steps of a plan.
const SHOWN_STEPS: usize = 12;
/// Lines of one step's change, and of one that may lose something for good: whoever approves that has to read it all.
const SHOWN_CHANGES: usize = 4;
const SHOWN_LOSSES: usize = 10;
/// Lines of a check list. Each takes a block.
const SHOWN_ITEMS: usize = 20;

/// How much of a plan is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// As much as can be read on a phone; the rest is counted, and a button away.
    Card,
    Whole,
}

impl Length {
    fn most(self, shown: usize) -> usize {
        if self == Length::Card { shown } else { usize::MAX }
    }
}

/// What there is to know of a plan that waits for approval.
pub(super) fn to_approve(pen: &Pen<'_>, run: &Run) -> Said<Vec<Part>> {
    let Some(plan) = &run.plan else {
        return Ok(vec![]);
    };
    let rehearsed =
        if run.phase == Phase::Rehearsed { pen.say("run.rehearsed", json!({}))? } else { Mrkdwn::default() };
    let head = vec![rehearsed, change(pen, run)?];
    let all = head.into_iter().chain(steps(pen, plan, Length::Card)?).chain(about(pen, run, plan, Length::Card)?);
    let mut parts = lines(all.filter(|line| !line.is_empty()));
    parts.extend(checklist(pen, run)?);
    parts.push(Part::Text(Mrkdwn::join([approvals(pen, run)?, window(pen, run)?, glass(pen, run)?], "\n")));
    Ok(parts)
}

/// Every line of a plan.
pub(super) fn whole(pen: &Pen<'_>, run: &Run) -> Said<Vec<Mrkdwn>> {
    let Some(plan) = &run.plan else {
        return Ok(vec![]);
    };
    let all = [change(pen, run)?].into_iter().chain(steps(pen, plan, Length::Whole)?);
    let all = all.chain(about(pen, run, plan, Length::Whole)?);
    Ok(all.filter(|line| !line.is_empty()).collect())
}

/// Asks for the whole plan, where the card does not show all of it.
pub(super) fn whole_button(pen: &Pen<'_>, run: &Run) -> Said<Option<Button>> {
    if !run.plan.as_ref().is_some_and(is_shortened) {
        return Ok(None);
    }
    Ok(Some(Button::new("plan", pen.word("button.whole_plan")?, format!("plan {}", run.id))))
}

fn is_shortened(plan: &ActionPlan) -> bool {
    let lists = [plan.why.len(), plan.cautions.len(), plan.will_not.len(), plan.stays_done.len()];
    let needs = plan.steps.iter().map(|step| step.needs.len()).sum();
    plan.steps.len() > SHOWN_STEPS
        || plan.steps.iter().any(|step| step.diff.len() > shown_changes(step))
        || lists.into_iter().chain([plan.verification.len(), needs]).any(|items| items > SHOWN)
}

fn shown_changes(step: &PlannedStep) -> usize {
    if step.risk == Risk::Destructive { SHOWN_LOSSES } else { SHOWN_CHANGES }
}

/// Why, how risky, what it leaves alone, what is looked at afterwards, and what happens when it does not work.
fn about(pen: &Pen<'_>, run: &Run, plan: &ActionPlan, length: Length) -> Said<Vec<Mrkdwn>> {
    let why = plan.why.iter().map(|why| pen.told(why)).collect::<Said<Vec<String>>>()?;
    let checks = plan.verification.iter().map(|check| verified(pen, check)).collect::<Said<Vec<String>>>()?;
    let stays_done = plan.stays_done.iter().map(|line| pen.told(line)).collect::<Said<Vec<String>>>()?;
    Ok(vec![
        listed(pen, "plan.why", &why, length)?,
        risk_line(pen, plan)?,
        listed(pen, "plan.cautions", &plan.cautions, length)?,
        listed(pen, "plan.will_not", &plan.will_not, length)?,
        listed(pen, "plan.stays_done", &stays_done, length)?,
        listed(pen, "plan.verification", &checks, length)?,
        listed(pen, "plan.needs", &needs(pen, plan)?, length)?,
        kept(pen, run)?,
        pen.say(
            "plan.if_it_fails",
            json!({"steps": plan.steps.len(), "always": plan.steps.iter().any(|step| step.always)}),
        )?,
    ])
}

/// The one line that matters: `v1.3.0 → v1.2.3 · http:shop`. Nothing before there is a plan.
pub(super) fn change(pen: &Pen<'_>, run: &Run) -> Said {
    match run.plan.as_ref().and_then(|plan| plan.steps.first()) {
        Some(first) => pen.say("plan.change", change_vars(first)),
        None => Ok(Mrkdwn::default()),
    }
}

fn change_vars(step: &PlannedStep) -> Value {
    json!({"from": step.from, "to": step.to, "target": step.target})
}

/// Each step with its change, where it says more than the one line above.
fn steps(pen: &Pen<'_>, plan: &ActionPlan, length: Length) -> Said<Vec<Mrkdwn>> {
    let mut lines = Vec::new();
    for (place, step) in plan.steps.iter().enumerate().take(length.most(SHOWN_STEPS)) {
        if let Some(phase) = plan.phases.iter().find(|phase| phase.first == place) {
            lines.push(pen.say("plan.phase", phase_vars(phase))?);
        }
        // From, to and target of the first stand in the line above, and what has nothing to do says so in its title.
        let later = place > 0 && !step.has_nothing_to_do();
        let vars = json!({
            "n": place + 1,
            "many": plan.steps.len() > 1,
            "title": step.title,
            "from": step.from.as_ref().filter(|_| later),
            "to": later.then_some(&step.to),
            "target": later.then_some(&step.target),
        });
        lines.push(pen.say("plan.step", vars)?);
        if step.always {
            lines.push(pen.say("plan.always", json!({}))?);
        }
        let most = length.most(shown_changes(step));
        for change in step.diff.iter().take(most) {
            lines.push(pen.say("plan.diff", json!({"text": change, "whole": length == Length::Whole}))?);
        }
        lines.extend(more(pen, step.diff.len(), most)?);
    }
    lines.extend(more(pen, plan.steps.len(), length.most(SHOWN_STEPS))?);
    Ok(lines)
}

/// A phase's title and budget.
pub(super) fn phase_vars(phase: &PlanPhase) -> Value {
    json!({"title": phase.title, "within_ms": phase.within.0})
}

fn more(pen: &Pen<'_>, all: usize, shown: usize) -> Said<Option<Mrkdwn>> {
    match all.checked_sub(shown).filter(|more| *more > 0) {
        Some(more) => pen.say("plan.more", json!({"more": more})).map(Some),
        None => Ok(None),
    }
}

/// A heading with one text behind it, or with several below it. Nothing when there is none.
fn listed(pen: &Pen<'_>, key: &str, items: &[String], length: Length) -> Said {
    let head = pen.say(key, json!({}))?;
    match items {
        [] => Ok(Mrkdwn::default()),
        [only] => Ok(Mrkdwn::join([head, Mrkdwn::of(only)], " ")),
        several => {
            let mut lines = vec![head];
            let most = length.most(SHOWN);
            for item in several.iter().take(most) {
                lines.push(pen.say("plan.item", json!({"text": item}))?);
            }
            lines.extend(more(pen, several.len(), most)?);
            Ok(Mrkdwn::join(lines, "\n"))
        }
    }
}

/// A check, and what it saw before where that will matter.
pub(super) fn verified(pen: &Pen<'_>, check: &Verification) -> Said<String> {
    match &check.before {
        Some(before) => pen.told(
            &Words::new("plan.check_before").with("title", check.title.as_str()).with("before", before.shown.clone()),
        ),
        None => Ok(check.title.clone()),
    }
}

/// What is kept of the state before (K15).
pub(super) fn kept(pen: &Pen<'_>, run: &Run) -> Said {
    if run.action.keep_state.is_off() || run.phase == Phase::Rehearsed {
        return Ok(Mrkdwn::default());
    }
    let Some(kept) = &run.kept else {
        return pen.say(if run.without_state { "plan.not_kept_yet" } else { "plan.keeping" }, json!({}));
    };
    let late = run.without_state.then(|| Words::new("kept.not_anew"));
    let missed = kept.missed.iter().chain(&late).map(|line| pen.told(line)).collect::<Said<Vec<String>>>()?;
    let kilobytes = kept.files.iter().map(|file| file.bytes).sum::<u64>().div_ceil(1_000);
    let vars = json!({"files": kept.files.len(), "kilobytes": kilobytes, "at": kept.at.0, "late": kept.late, "missed": missed});
    pen.say("plan.kept", vars)
}

/// Shares the files with what was kept, where there are any.
pub(super) fn files(pen: &Pen<'_>, run: &Run) -> Said<Option<Button>> {
    if run.kept.as_ref().is_none_or(|kept| kept.files.is_empty()) {
        return Ok(None);
    }
    Ok(Some(Button::new("files", pen.word("button.files")?, format!("files {}", run.id))))
}

/// The rights that the steps need and were found to have, each once.
pub(super) fn needs(pen: &Pen<'_>, plan: &ActionPlan) -> Said<Vec<String>> {
    let mut needs = Vec::new();
    for need in plan.steps.iter().flat_map(|step| &step.needs) {
        let need = pen.told(need)?;
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    Ok(needs)
}

fn risk_line(pen: &Pen<'_>, plan: &ActionPlan) -> Said {
    pen.say("plan.risk", risk_vars(pen, plan)?)
}

/// The risk, the class and the time, as plain text.
pub(super) fn risk(pen: &Pen<'_>, plan: &ActionPlan) -> Said<String> {
    pen.plain("plan.risk", risk_vars(pen, plan)?)
}

fn risk_vars(pen: &Pen<'_>, plan: &ActionPlan) -> Said<Value> {
    Ok(json!({
        "risk": pen.word(&format!("risk.{}", plan.risk().word()))?,
        "class": pen.word(&format!("class_limit.{}", class_word(plan.class)))?,
        "expected_ms": plan.expected.0,
    }))
}

/// The class's word in label keys.
pub(super) const fn class_word(class: Class) -> &'static str {
    match class {
        Class::Urgent => "urgent",
        Class::Planned => "planned",
        Class::Preventive => "preventive",
    }
}

/// The check list, each line with its own button (P5).
pub(super) fn checklist(pen: &Pen<'_>, run: &Run) -> Said<Vec<Part>> {
    let items = run.open_items();
    if items.is_empty() {
        return Ok(vec![]);
    }
    let missing = items.iter().filter(|item| item.required && !run.ticked.contains(&item.key)).count();
    let vars = json!({"missing": missing, "before": items.iter().all(|item| item.when == CheckWhen::Before)});
    let mut parts = vec![Part::Text(pen.say("plan.checklist", vars)?)];
    for item in items.iter().copied().take(SHOWN_ITEMS) {
        parts.push(tickable(pen, run, item)?);
    }
    if let Some(line) = more(pen, items.len(), SHOWN_ITEMS)? {
        parts.push(Part::Text(line));
    }
    Ok(parts)
}

fn tickable(pen: &Pen<'_>, run: &Run, item: &CheckItem) -> Said<Part> {
    let ticked = run.ticked.contains(&item.key);
    let line =
        pen.say("plan.checklist_item", json!({"ticked": ticked, "text": item.text, "required": item.required}))?;
    if run.phase == Phase::Rehearsed {
        return Ok(Part::Text(line));
    }
    let (id, label) = if ticked { ("untick", "button.untick") } else { ("tick", "button.tick") };
    let button = Button::new(id, pen.word(label)?, format!("{id} {} {}", run.id, item.key));
    Ok(Part::beside(line, button))
}

/// Who said yes, how many are still needed, who may, and until when.
pub(super) fn approvals(pen: &Pen<'_>, run: &Run) -> Said {
    let rule = &run.action.approval;
    let given: Vec<Value> = run.approvals.iter().map(|approval| pen.actor(&approval.by)).collect();
    let vars = json!({
        "given": run.approvals.len(),
        "needed": rule.needed,
        "missing": run.missing_approvals(),
        "who": given,
        "may": may_approve(pen, &rule.by)?,
        "requester_may": rule.requester_may,
        "expires_at": run.expires_at.filter(|_| run.phase != Phase::Rehearsed).map(|at| at.0),
    });
    pen.say("plan.approvals", vars)
}

/// When it may be approved, where that is not always.
fn window(pen: &Pen<'_>, run: &Run) -> Said {
    let Some(window) = &run.action.window else { return Ok(Mrkdwn::default()) };
    if run.window().is_none() {
        return pen.say("plan.no_window", json!({"window": window.name}));
    }
    let closed = window.closed(pen.now);
    let vars = json!({
        "window": window.name,
        "closed": closed.is_some(),
        "why": closed.as_ref().and_then(|closed| closed.why.as_ref()),
        "opens_at": closed.as_ref().and_then(|closed| closed.opens_at).map(|at| at.0),
        "urgent": run.action.class == Class::Urgent,
        "run": run.id.to_string(),
    });
    pen.say("plan.window", vars)
}

/// Who may approve alone, where somebody may.
fn glass(pen: &Pen<'_>, run: &Run) -> Said {
    let Some(by) = &run.action.break_glass else { return Ok(Mrkdwn::default()) };
    pen.say("plan.break_glass", json!({"may": may_approve(pen, by)?, "run": run.id.to_string()}))
}

/// The people and roles who may approve; empty for anybody.
pub(super) fn may_approve(pen: &Pen<'_>, by: &[Approver]) -> Said<Vec<Value>> {
    let may = by.iter().map(|approver| match approver {
        Approver::Contact { user, name } => Ok(json!({"id": user.0, "name": name})),
        Approver::Role(role) => Ok(json!({"id": null, "name": pen.word(&format!("role.{role}"))?})),
        Approver::Group(group) => Ok(json!({"id": null, "group": group, "name": group})),
    });
    may.collect()
}

/// Who asked, when, and the plan's fingerprint.
pub(super) fn origin(pen: &Pen<'_>, run: &Run) -> Said {
    let vars = json!({
        "who": pen.actor(&run.asked.by),
        "at": run.asked.at.0,
        "run": run.id.to_string(),
        "undo_of": run.request.undo_of.map(|run| run.to_string()),
        "after": run.request.after.map(|run| run.to_string()),
        "digest": run.digest.as_ref().map(|digest| digest.short()),
    });
    pen.say("run.origin", vars)
}

/// Approve although the window is closed; asks why. Only what is urgent need not wait.
pub(super) fn override_window(pen: &Pen<'_>, run: &Run) -> Said<Option<Button>> {
    let closed = run.window().is_some_and(|window| window.closed(pen.now).is_some());
    if !closed || run.action.class != Class::Urgent {
        return Ok(None);
    }
    let line = format!("approve {} --override \"\"", run.id);
    let button = Button::new("override", pen.word("button.override")?, line);
    Ok(Some(button.styled(run.missing_items(CheckWhen::Before).is_empty().then_some(Style::Danger))))
}

/// Approve, with the question that repeats the one line that matters. It stands out once nothing is missing.
pub(super) fn approve(pen: &Pen<'_>, run: &Run) -> Said<Button> {
    let risk = run.plan.as_ref().map_or(Risk::Destructive, ActionPlan::risk);
    let style = match risk {
        _ if !run.missing_items(CheckWhen::Before).is_empty() => None,
        Risk::Destructive => Some(Style::Danger),
        Risk::Reversible | Risk::ReadOnly => Some(Style::Primary),
    };
    let first = run.plan.as_ref().and_then(|plan| plan.steps.first());
    let vars = json!({
        "title": super::run::title(run),
        "from": first.and_then(|step| step.from.as_ref()),
        "to": first.map(|step| &step.to),
        "target": first.map(|step| &step.target),
        "more": run.missing_approvals().saturating_sub(1),
    });
    let confirm = Confirm {
        title: pen.word("confirm.approve.title")?,
        text: pen.plain("confirm.approve.text", vars)?,
        yes: pen.word("button.approve")?,
        no: pen.word("button.back")?,
        danger: risk != Risk::ReadOnly,
    };
    let button = Button::new("approve", pen.word("button.approve")?, format!("approve {}", run.id));
    Ok(button.styled(style).asking(confirm))
}
