//! The comms lane: an approved text goes to one destination (section 8 of the field procedures).

use std::collections::BTreeSet;

use serde_json::json;

use super::Engine;
use super::delivery::Setting;
use super::patience::Trouble;
use crate::comms::{Earlier, Message, Missed, Outcome, Phase, Sent, Taken, UnknownPlace};
use crate::incident::decision::Report;
use crate::incident::id::{ChannelId, RunId, UpdateId};
use crate::incident::state::{Arrival, Incident, Status};
use crate::incident::words::Words;
use crate::render::{Locale, RenderFault, escape_slack};
use crate::slack::cards::notice;
use crate::slack::cards::pen::{Pen, message_vars};
use crate::store::Claimed;

/// What is to be brought where.
pub(super) struct Errand<'a> {
    /// The update whose text it is.
    pub update: UpdateId,
    /// `<audience>/<destination>`.
    pub place: &'a str,
    /// Its text for customers.
    pub customer: bool,
    /// Only these addresses of a list, which were missed before; empty means all.
    pub only: &'a BTreeSet<String>,
}

impl Engine {
    pub(super) async fn tell(
        &self,
        setting: &Setting,
        errand: &Errand<'_>,
        attempt: u32,
    ) -> Result<Vec<Report>, Trouble> {
        let Some(incident) = setting.incident.as_ref() else { return Ok(Vec::new()) };
        let Some(written) = incident.updates.get(&errand.update) else { return Ok(Vec::new()) };
        let text = if errand.customer { &written.customer } else { &written.internal };
        let Some(text) = text else { return Ok(Vec::new()) };
        let (audience, destination) = errand.place.split_once('/').unwrap_or((errand.place, ""));
        let known = self.parts.comms.audience(audience).map_err(unknown)?;
        let locale: Locale = known.locale.parse().unwrap_or_default();
        let before = told_before(incident, errand);
        let phase = match (incident.status, before.is_empty()) {
            (Status::Resolved, _) => Phase::Resolved,
            (_, true) => Phase::Open,
            (_, false) => Phase::Update,
        };
        let message = self.write(setting, incident, errand.update, text, phase, locale)?;
        let remote_id = before.iter().find_map(|arrived| arrived.remote_id.clone());
        let earlier = Earlier { remote_id, only: errand.only.clone() };
        let outcome = self.parts.comms.deliver(audience, destination, &message, &earlier).await.map_err(unknown)?;
        match &outcome.result {
            Sent::BySlackRoom { channel } => {
                let (channel, key) = (ChannelId(channel.clone()), message.id_for(errand.place));
                // The text is people's: whatever looks like markup in it is none.
                self.parts.slack.post_text(&channel, &escape_slack(&message.text), &key, attempt).await?;
                Ok(vec![delivered(errand, None, None)])
            }
            Sent::Here { taken, missed } => reports(errand, &outcome, taken, missed),
        }
    }

    /// An audience hears that a rollback is in progress, or how it ended (P3).
    pub(super) async fn tell_of_run(
        &self,
        setting: &Setting,
        run: RunId,
        ended: bool,
        place: &str,
        claimed: &Claimed,
    ) -> Result<Vec<Report>, Trouble> {
        let Some(incident) = setting.incident.as_ref() else { return Ok(Vec::new()) };
        let Some(state) = incident.runs.get(&run) else { return Ok(Vec::new()) };
        let (audience, destination) = place.split_once('/').unwrap_or((place, ""));
        let known = self.parts.comms.audience(audience).map_err(unknown)?;
        let scene = self.scene(setting);
        let pen = Pen::new(&scene, known.locale.parse().unwrap_or_default());
        // One that went on and ended again has that told by another effect: this one is late, and would tell it twice.
        if ended && state.ended_at.is_some_and(|at| at > claimed.created_at) {
            return Ok(Vec::new());
        }
        let Some(text) = notice::of_rollback(&pen, incident, state, ended)? else { return Ok(Vec::new()) };
        let moment =
            state.ended_at.filter(|_| ended).map_or_else(|| "begun".to_owned(), |at| format!("ended-{}", at.0));
        let message = Message {
            id: format!("{run}-{moment}"),
            at: scene.now.0,
            phase: Phase::Update,
            subject: text.lines().next().unwrap_or_default().to_owned(),
            short: shorten(&text),
            text,
            link: None,
        };
        let told = |why: Option<Words>| Report::RunTold { run, ended, destination: place.to_owned(), why };
        let outcome = self.parts.comms.deliver(audience, destination, &message, &Earlier::default()).await;
        let outcome = outcome.map_err(unknown)?;
        match &outcome.result {
            Sent::BySlackRoom { channel } => {
                let (channel, key) = (ChannelId(channel.clone()), message.id_for(place));
                self.parts.slack.post_text(&channel, &escape_slack(&message.text), &key, claimed.attempts).await?;
                Ok(vec![told(None)])
            }
            Sent::Here { taken, missed } => {
                let again = outcome.worth_retrying();
                let passing = missed.iter().find(|missed| again.contains(&missed.to));
                // As long as nobody was reached, nobody hears it twice.
                if let (Some(passing), true) = (passing, taken.is_empty()) {
                    return Err(passing.fault.clone().into());
                }
                Ok(vec![told(missed.first().map(|missed| missed.fault.why().clone()))])
            }
        }
    }

    fn write(
        &self,
        setting: &Setting,
        incident: &Incident,
        update: UpdateId,
        text: &str,
        phase: Phase,
        locale: Locale,
    ) -> Result<Message, RenderFault> {
        let scene = self.scene(setting);
        let pen = Pen::new(&scene, locale);
        let mut vars = message_vars(&pen, incident);
        // The word of the subject: the label `customer_phase.<word>`.
        let word = match (phase, incident.status) {
            (Phase::Resolved, _) => "resolved",
            (_, Status::Mitigated) => "restored",
            (Phase::Open, _) => "in_progress",
            (Phase::Update, _) => "update",
        };
        if let Some(map) = vars.as_object_mut() {
            map.insert("phase".to_owned(), json!(word));
        }
        Ok(Message {
            id: update.to_string(),
            at: scene.now.0,
            phase,
            subject: self.parts.render.plain(locale, "customer_email_subject", &vars)?,
            text: text.to_owned(),
            short: shorten(text),
            link: self.parts.rules.status_page.clone(),
        })
    }
}

/// What arrived at this place before, of other updates, oldest first.
fn told_before<'a>(incident: &'a Incident, errand: &Errand<'_>) -> Vec<&'a Arrival> {
    let others = incident.updates.iter().filter(|(id, _)| **id != errand.update);
    let arrived = others.flat_map(|(_, other)| &other.delivered);
    arrived.filter(|arrived| arrived.destination == errand.place && arrived.customer == errand.customer).collect()
}

/// What became of a text. Addresses that were missed for now are tried again, and only they; as long as nothing at all
/// was settled, the outbox tries the whole errand again by itself.
fn reports(errand: &Errand<'_>, outcome: &Outcome, taken: &[Taken], missed: &[Missed]) -> Result<Vec<Report>, Trouble> {
    let again = outcome.worth_retrying();
    let (later, lost): (Vec<&Missed>, Vec<&Missed>) = missed.iter().partition(|missed| again.contains(&missed.to));
    if let (Some(first), true) = (later.first(), taken.is_empty() && lost.is_empty()) {
        return Err(first.fault.clone().into());
    }
    // Where everybody was missed for one reason, it is the errand that failed.
    if let (Some(first), true) = (lost.first(), taken.is_empty() && later.is_empty())
        && lost.iter().all(|missed| missed.fault == first.fault)
    {
        return Err(first.fault.clone().into());
    }
    let mut reports: Vec<Report> = lost.iter().map(|missed| failed(errand, missed)).collect();
    let all = taken.len() + missed.len();
    if let Some(first) = taken.first() {
        let note = match all {
            1 => first.receipt.note.clone(),
            _ => Words::new("receipt.of_list").with("taken", taken.len()).with("all", all),
        };
        reports.push(delivered(errand, Some(note), first.receipt.provider_id.clone().filter(|_| all == 1)));
    }
    if !again.is_empty() {
        let (update, customer, destination) = (errand.update, errand.customer, errand.place.to_owned());
        reports.push(Report::TextMissed { update, customer, destination, addresses: again });
    }
    Ok(reports)
}

fn delivered(errand: &Errand<'_>, note: Option<Words>, remote_id: Option<String>) -> Report {
    let (update, customer, destination) = (errand.update, errand.customer, errand.place.to_owned());
    Report::TextDelivered { update, customer, destination, note, remote_id }
}

fn failed(errand: &Errand<'_>, missed: &Missed) -> Report {
    let destination = format!("{} ({})", errand.place, missed.to);
    let why = missed.fault.why().clone();
    Report::TextFailed { update: errand.update, customer: errand.customer, destination, why }
}

/// A text message of two parts at most.
fn shorten(text: &str) -> String {
    const LENGTH: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LENGTH {
        return line;
    }
    let mut cut: String = line.chars().take(LENGTH - 1).collect();
    cut.push('…');
    cut
}

fn unknown(UnknownPlace(words): UnknownPlace) -> Trouble {
    Trouble::permanent("unknown_destination", words)
}
