//! What follows from the results that come back from outside.
//!
//! A report may come twice or late; each is taken only when the incident still waits for it.

use super::command::Command;
use super::decision::{Context, Decision, Effect, ReplyTo, Report};
use super::draft::Draft;
use super::id::ChannelId;
use super::state::{Incident, PageOutcome, Phase, Run};
use super::time::Instant;
use super::timeline::{Card, Fact};
use super::words::Words;

/// Slack's words for a channel that cannot be used.
const CHANNEL_LOST: [&str; 3] = ["is_archived", "channel_not_found", "not_in_channel"];

/// Decides what a result means.
pub fn report(context: Context<'_>, incident: &Incident, report: &Report) -> Decision {
    if let Report::GroupsSeen { member_of, command, channel, reply, .. } = report {
        return groups_seen(context, incident, member_of, command, (channel.as_ref(), reply));
    }
    let mut draft = Draft::of(context, incident);
    match report {
        // Decided above.
        Report::GroupsSeen { .. } => {}
        Report::RunTold { run, ended, destination, why } => {
            let (destination, why) = (destination.clone(), why.clone());
            draft.fact(Fact::RunTold { run: *run, ended: *ended, destination, why });
        }
        Report::ChannelOpened { channel, name } => {
            if draft.incident.channel.as_ref().is_none_or(|known| &known.id != channel) {
                draft.fact(Fact::ChannelOpened { channel: channel.clone(), name: name.clone() });
                draft.effect(Effect::Topic);
                if draft.incident.status.is_open() && !context.rules.proposed(&draft.incident).is_empty() {
                    draft.notice();
                }
                draft.show(Card::Announcement).refresh_pages();
            }
        }
        Report::CardPosted { card, message } => {
            if draft.incident.cards.get(card) != Some(message) {
                draft.fact(Fact::CardPosted { card: card.clone(), message: message.clone() });
                match card {
                    Card::Incident => {
                        draft.effect(Effect::PinCard);
                    }
                    // It was written before this was known.
                    Card::Page(_) if has_moved_on(&draft.incident) => {
                        draft.show(card.clone());
                    }
                    _ => {}
                }
            }
            if let Card::Page(page) = card {
                draft.mend_page(*page);
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
            draft.message_read(message, author.as_ref(), text, thread.as_ref());
        }
        Report::PinGone { message, .. } => draft.pin_gone(message),
        Report::Diagnosed { diagnostic, results } => {
            if draft.incident.diagnostics.get(diagnostic).is_some_and(|round| round.results.is_none()) {
                draft.fact(Fact::DiagnosticFinished { diagnostic: *diagnostic, results: results.clone() });
                draft.show(Card::Diagnostic(*diagnostic)).show(Card::Incident);
            }
        }
        Report::Offered { action, choices, dry_run, to } => {
            draft.offered(action, choices.clone(), *dry_run, to.clone());
        }
        Report::Planned { run, plan } => draft.plan_made(*run, plan.clone()),
        Report::StateKept { run, files, missed } => draft.state_kept(*run, files.clone(), missed.clone()),
        Report::RunStarted { run, .. }
        | Report::StepStarted { run, .. }
        | Report::StepFinished { run, .. }
        | Report::RunHalted { run, .. }
        | Report::VerificationStarted { run }
        | Report::VerificationFinished { run, .. } => {
            if let Some(fact) = progress(report, &draft.incident) {
                draft.fact(fact).show(Card::Run(*run));
            } else {
                ended_late(&mut draft, report);
            }
        }
        Report::RunFinished { run, outcome, output } => draft.run_finished(*run, outcome.clone(), output.clone()),
        Report::RunLost { run, why } => draft.run_lost(*run, why.clone()),
        Report::TextDelivered { update, customer, destination, note, remote_id } => {
            draft.fact(Fact::TextDelivered {
                update: *update,
                customer: *customer,
                destination: destination.clone(),
                note: note.clone(),
                remote_id: remote_id.clone(),
            });
            draft.show(Card::Update(*update));
        }
        Report::ChannelSeen { lost } => draft.channel_seen(lost.as_ref()),
        Report::WasAway { from, until } => was_away(&mut draft, *from, *until),
        // Not yet a fact: what becomes of it is one.
        Report::TextMissed { update, customer, destination, addresses } => {
            let (destination, only) = (destination.clone(), addresses.clone());
            draft.effect(Effect::Deliver { update: *update, destination, customer: *customer, only });
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

/// Slack has said which groups the person is in, so what they wanted is decided upon anew. Where it could not be asked
/// nobody is taken for a member: those who are named may still decide.
fn groups_seen(
    context: Context<'_>,
    incident: &Incident,
    member_of: &Result<Vec<String>, Words>,
    command: &Command,
    (channel, reply): (Option<&ChannelId>, &ReplyTo),
) -> Decision {
    let says =
        |words: Words| Decision { effects: vec![Effect::Reply { to: reply.clone(), words }], ..Decision::default() };
    let groups = match member_of {
        Ok(groups) => groups,
        Err(why) => return says(Words::new("refusal.groups_unknown").with("why", why.clone())),
    };
    let context = Context { member_of: Some(groups), channel, reply, ..context };
    command.decide(context, Some(incident)).unwrap_or_else(|refusal| says(refusal.0))
}

/// Something is known by now that a page says, and that was not known when the incident was declared.
fn has_moved_on(incident: &Incident) -> bool {
    incident.channel.is_some()
        || incident.channel_refused.is_some()
        || incident.acknowledged.is_some()
        || !incident.status.is_open()
}

/// The channel is told for how long nobody listened, and what that made late. What is late is done by the next wake.
fn was_away(draft: &mut Draft<'_>, from: Instant, until: Instant) {
    if !draft.incident.status.is_open() {
        return;
    }
    let missed = |at: Option<Instant>| at.is_some_and(|at| from <= at && at <= until);
    let (page, update) = (missed(draft.incident.ladder.next_at), missed(draft.incident.reminder_at()));
    let words = Words::new("fault.was_away")
        .with("from", from.0)
        .with("until", until.0)
        .with("away_ms", until.since(from).0)
        .with("page_late", page)
        .with("update_late", update);
    draft.fact(Fact::Fault { words }).notice();
}

/// Whoever had begun a step tells how it ended when the run has gone on, or come to an end, without them. It is nothing that
/// the present attempt did; whoever decides what is done next must know of it all the same.
fn ended_late(draft: &mut Draft<'_>, report: &Report) {
    let Report::StepFinished { run, step, note, .. } = report else { return };
    if draft.incident.runs.get(run).is_none_or(Run::went_well) {
        return;
    }
    let words = Words::new("fault.ended_late").with("run", run.to_string()).with("step", step + 1);
    draft.fact(Fact::Fault { words: words.with("note", note.clone()) }).notice();
}

/// The fact that a report of progress stands for, if the run is being executed, and by the attempt that tells it.
fn progress(report: &Report, incident: &Incident) -> Option<Fact> {
    let (run, fact) = match report {
        Report::RunStarted { run, fence } => (run, Fact::RunStarted { run: *run, fence: *fence }),
        Report::StepStarted { run, step } => (run, Fact::StepStarted { run: *run, step: *step }),
        Report::StepFinished { run, step, note, took, output, live, .. } => (
            run,
            Fact::StepFinished {
                run: *run,
                step: *step,
                note: note.clone(),
                took: *took,
                output: output.clone(),
                live: live.clone(),
            },
        ),
        Report::RunHalted { run, step, outcome, output } => {
            (run, Fact::RunHalted { run: *run, step: *step, outcome: outcome.clone(), output: output.clone() })
        }
        Report::VerificationStarted { run } => (run, Fact::VerificationStarted { run: *run }),
        Report::VerificationFinished { run, results } => {
            (run, Fact::VerificationFinished { run: *run, results: results.clone() })
        }
        _ => return None,
    };
    let run = incident.runs.get(run)?;
    let is_executed = matches!(run.phase, Phase::Released | Phase::Running | Phase::Verifying);
    let is_of_another = matches!(report, Report::StepFinished { fence, .. } if !run.is_of_this_attempt(*fence));
    (is_executed && !is_of_another).then_some(fact)
}

fn chat_failed(draft: &mut Draft<'_>, effect: &Effect, code: &str, why: &Words) {
    let in_channel = !matches!(
        effect,
        Effect::Reply { .. }
            | Effect::ReplyWith { .. }
            | Effect::Home { .. }
            | Effect::ShowCard { card: Card::Announcement | Card::Page(_) }
    );
    if in_channel && CHANNEL_LOST.contains(&code) && draft.incident.usable_channel().is_some() {
        draft.channel_lost(code);
    } else if let Effect::ShowCard { card: Card::PostMortem(_) } = effect {
        let words = Words::new("fault.postmortem_not_shared").with("why", why.clone());
        draft.fact(Fact::Fault { words: words.with("incident", draft.incident.id.to_string()) }).notice();
    } else if *effect == Effect::OpenChannel {
        draft.fact(Fact::ChannelRefused { why: why.clone() });
        draft.show(Card::Announcement).refresh_pages();
    } else {
        draft.fact(Fact::ChatFailed { what: what(effect), why: why.clone() });
    }
    if let Effect::ShowCard { card: Card::Notice(seq) } = effect {
        draft.told(*seq, false);
    }
}

/// What people would have seen of the effect.
fn what(effect: &Effect) -> Words {
    let key = match effect {
        Effect::ShowCard { card } => match card {
            Card::Incident => "undone.incident",
            Card::Announcement => "undone.announcement",
            Card::Page(_) => "undone.page",
            Card::Run(run) => return Words::new("undone.run").with("run", run.to_string()),
            Card::Update(_) => "undone.update",
            Card::Diagnostic(_) => "undone.diagnostic",
            Card::Notice(_) => "undone.notice",
            Card::Reminder(_) => "undone.reminder",
            Card::PostMortem(_) => "undone.postmortem",
            Card::Kept(run, _) => return Words::new("undone.kept").with("run", run.to_string()),
        },
        Effect::PinCard => "undone.pin",
        Effect::LookAtChannel => "undone.channel",
        Effect::LookForPin { .. } => "undone.look_for_pin",
        Effect::Topic => "undone.topic",
        Effect::Invite { .. } => "undone.invite",
        Effect::Home { .. } => "undone.home",
        Effect::ReadMessage { .. } => "undone.read_message",
        Effect::Reply { .. } | Effect::ReplyWith { .. } => "undone.reply",
        Effect::OpenChannel => "undone.channel",
        Effect::AskGroups { .. } => "undone.groups",
        Effect::Page { .. }
        | Effect::TellRun { .. }
        | Effect::Diagnose { .. }
        | Effect::Offer { .. }
        | Effect::Plan { .. }
        | Effect::KeepState { .. }
        | Effect::Run { .. }
        | Effect::Deliver { .. } => "undone.other",
    };
    Words::new(key)
}
