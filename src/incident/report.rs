//! What follows from the results that come back from outside.
//!
//! A report may come twice or late; each is taken only when the incident still waits for it.

use super::decision::{Context, Decision, Effect, Report};
use super::draft::Draft;
use super::state::{Incident, PageOutcome, Phase};
use super::timeline::{CapturedBy, Card, Fact};

/// Slack's words for a channel that cannot be used.
const CHANNEL_LOST: [&str; 3] = ["is_archived", "channel_not_found", "not_in_channel"];

/// Decides what a result means.
pub fn report(context: Context<'_>, incident: &Incident, report: &Report) -> Decision {
    let mut draft = Draft::of(context, incident);
    match report {
        Report::ChannelOpened { channel, name } => {
            if draft.incident.channel.as_ref().is_none_or(|known| &known.id != channel) {
                draft.fact(Fact::ChannelOpened { channel: channel.clone(), name: name.clone() });
                if draft.incident.status.is_open() && !context.rules.proposed(&draft.incident).is_empty() {
                    draft.notice();
                }
                draft.show(Card::Announcement).refresh_pages();
            }
        }
        Report::CardPosted { card, message } => {
            if draft.incident.cards.get(card) != Some(message) {
                draft.fact(Fact::CardPosted { card: card.clone(), message: message.clone() });
            }
            if let Card::Notice(seq) = card {
                draft.told(*seq, true);
            }
        }
        Report::Invited { users, failed } => {
            draft.fact(Fact::Invited { users: users.clone(), failed: failed.clone() });
        }
        Report::ChatFailed { effect, code, why } => chat_failed(&mut draft, effect, code, why),
        Report::PageDelivered { page, note } => {
            if draft.incident.pages.get(page).is_some_and(|page| page.outcome == PageOutcome::Sending) {
                draft.fact(Fact::PageDelivered { page: *page, note: note.clone() }).show(Card::Incident);
            }
        }
        Report::PageFailed { page, why } => {
            draft.page_failed(*page, why);
            draft.show(Card::Incident);
        }
        Report::MessageRead { message, author, text, thread, .. } => {
            if draft.incident.captured.get(message).is_none_or(|captured| captured.withdrawn) {
                draft.fact(Fact::MessageCaptured {
                    message: message.clone(),
                    author: author.clone(),
                    text: text.clone(),
                    by: CapturedBy::Reaction,
                    thread: thread.clone(),
                });
            }
        }
        Report::Diagnosed { diagnostic, results } => {
            if draft.incident.diagnostics.get(diagnostic).is_some_and(|round| round.results.is_none()) {
                draft.fact(Fact::DiagnosticFinished { diagnostic: *diagnostic, results: results.clone() });
                draft.show(Card::Diagnostic(*diagnostic)).show(Card::Incident);
            }
        }
        Report::Planned { run, plan } => draft.plan_made(*run, plan.clone()),
        Report::RunStarted { run, .. }
        | Report::StepStarted { run, .. }
        | Report::StepFinished { run, .. }
        | Report::VerificationStarted { run }
        | Report::VerificationFinished { run, .. } => {
            if let Some(fact) = progress(report, &draft.incident) {
                draft.fact(fact).show(Card::Run(*run));
            }
        }
        Report::RunFinished { run, outcome, output } => draft.run_finished(*run, outcome.clone(), output.clone()),
        Report::TextDelivered { update, customer, destination, note } => {
            draft.fact(Fact::TextDelivered {
                update: *update,
                customer: *customer,
                destination: destination.clone(),
                note: note.clone(),
            });
            draft.show(Card::Update(*update));
        }
        Report::TextFailed { update, customer, destination, why } => {
            draft.fact(Fact::TextFailed {
                update: *update,
                customer: *customer,
                destination: destination.clone(),
                why: why.clone(),
            });
            draft.show(Card::Update(*update));
        }
    }
    draft.finish()
}

/// The fact that a report of progress stands for, if the run is being executed.
fn progress(report: &Report, incident: &Incident) -> Option<Fact> {
    let (run, fact) = match report {
        Report::RunStarted { run, fence } => (run, Fact::RunStarted { run: *run, fence: *fence }),
        Report::StepStarted { run, step } => (run, Fact::StepStarted { run: *run, step: *step }),
        Report::StepFinished { run, step, note, took, output } => (
            run,
            Fact::StepFinished { run: *run, step: *step, note: note.clone(), took: *took, output: output.clone() },
        ),
        Report::VerificationStarted { run } => (run, Fact::VerificationStarted { run: *run }),
        Report::VerificationFinished { run, results } => {
            (run, Fact::VerificationFinished { run: *run, results: results.clone() })
        }
        _ => return None,
    };
    let phase = &incident.runs.get(run)?.phase;
    matches!(phase, Phase::Released | Phase::Running | Phase::Verifying).then_some(fact)
}

fn chat_failed(draft: &mut Draft<'_>, effect: &Effect, code: &str, why: &str) {
    let in_channel = !matches!(
        effect,
        Effect::Reply { .. }
            | Effect::ReplyWith { .. }
            | Effect::Home { .. }
            | Effect::ShowCard { card: Card::Announcement | Card::Page(_) }
    );
    if in_channel && CHANNEL_LOST.contains(&code) && draft.incident.usable_channel().is_some() {
        draft.channel_lost(code);
    } else {
        draft.fact(Fact::ChatFailed { what: name_of(effect), why: why.to_owned() });
        if *effect == Effect::OpenChannel {
            draft.show(Card::Announcement);
        }
    }
    if let Effect::ShowCard { card: Card::Notice(seq) } = effect {
        draft.told(*seq, false);
    }
}

/// The effect's own word, with the card's name: `show_card run_7_1`.
fn name_of(effect: &Effect) -> String {
    let value = serde_json::to_value(effect).unwrap_or_default();
    let word = value.get("effect").and_then(serde_json::Value::as_str).unwrap_or("effect").to_owned();
    match effect {
        Effect::ShowCard { card } => format!("{word} {}", card.name()),
        _ => word,
    }
}
