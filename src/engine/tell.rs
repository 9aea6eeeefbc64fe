//! The comms lane: an approved text goes to one destination (section 8 of the field procedures).

use serde_json::json;

use super::Engine;
use super::delivery::Setting;
use super::patience::Trouble;
use crate::comms::{Earlier, Message, Missed, Phase, Sent, UnknownPlace};
use crate::incident::decision::Report;
use crate::incident::id::{ChannelId, UpdateId};
use crate::incident::state::{Arrival, Incident, Status};
use crate::paging::PagingFault;
use crate::render::{Locale, RenderFault};
use crate::slack::cards::pen::{Pen, message_vars};

impl Engine {
    /// `place` is `<audience>/<destination>`.
    pub(super) async fn tell(
        &self,
        setting: &Setting,
        update: UpdateId,
        place: &str,
        customer: bool,
        attempt: u32,
    ) -> Result<Vec<Report>, Trouble> {
        let Some(incident) = setting.incident.as_ref() else { return Ok(Vec::new()) };
        let Some(written) = incident.updates.get(&update) else { return Ok(Vec::new()) };
        let text = if customer { &written.customer } else { &written.internal };
        let Some(text) = text else { return Ok(Vec::new()) };
        let (audience, destination) = place.split_once('/').unwrap_or((place, ""));
        let known = self.parts.comms.audience(audience).map_err(|fault| unknown(&fault))?;
        let locale: Locale = known.locale.parse().unwrap_or_default();
        let before = told_before(incident, update, place, customer);
        let phase = match (incident.status, before.is_empty()) {
            (Status::Resolved, _) => Phase::Resolved,
            (_, true) => Phase::Open,
            (_, false) => Phase::Update,
        };
        let message = self.write(setting, incident, update, text, phase, locale);
        let message = message.map_err(|fault| Trouble::permanent("not_drawn", fault.to_string()))?;
        let remote_id = before.iter().find_map(|arrived| arrived.remote_id.clone());
        let earlier = Earlier { remote_id, ..Earlier::default() };
        let outcome = self.parts.comms.deliver(audience, destination, &message, &earlier).await;
        let outcome = outcome.map_err(|fault| unknown(&fault))?;
        let delivered = |note: String, remote_id: Option<String>| {
            let destination = place.to_owned();
            Report::TextDelivered { update, customer, destination, note, remote_id }
        };
        match outcome.result {
            Sent::BySlackRoom { channel } => {
                let key = message.id_for(place);
                let posted = self.parts.slack.post_text(&ChannelId(channel), &message.text, &key, attempt).await?;
                Ok(vec![delivered(posted.ts, None)])
            }
            Sent::Here { taken, missed } => {
                if taken.is_empty()
                    && let Some(first) = missed.first()
                {
                    return Err(first.fault.clone().into());
                }
                let mut reports: Vec<Report> =
                    missed.iter().map(|missed| failed(update, customer, place, missed)).collect();
                let notes: Vec<&str> = taken.iter().map(|taken| taken.receipt.note.as_str()).take(1).collect();
                let all = taken.len() + missed.len();
                let note = if all > 1 { format!("{} of {all}", taken.len()) } else { notes.concat() };
                let remote_id = taken.first().filter(|_| all == 1).and_then(|taken| taken.receipt.provider_id.clone());
                reports.push(delivered(note, remote_id));
                Ok(reports)
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
fn told_before<'a>(incident: &'a Incident, update: UpdateId, place: &str, customer: bool) -> Vec<&'a Arrival> {
    let others = incident.updates.iter().filter(|(id, _)| **id != update);
    let arrived = others.flat_map(|(_, other)| &other.delivered);
    arrived.filter(|arrived| arrived.destination == place && arrived.customer == customer).collect()
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

fn failed(update: UpdateId, customer: bool, place: &str, missed: &Missed) -> Report {
    let why = match &missed.fault {
        PagingFault::Retry { why, .. } | PagingFault::Permanent { why } | PagingFault::Unknown { why } => why,
    };
    Report::TextFailed { update, customer, destination: format!("{place} ({})", missed.to), why: why.clone() }
}

fn unknown(fault: &UnknownPlace) -> Trouble {
    Trouble::permanent("unknown_destination", fault.to_string())
}
