//! The page lane: one person, one way. It waits for nothing, least of all for Slack's channel (rule 4).

use serde_json::json;

use super::Engine;
use super::delivery::Setting;
use super::patience::Trouble;
use crate::incident::decision::Report;
use crate::incident::id::PageId;
use crate::incident::people::{Contact, Way};
use crate::incident::state::{Incident, PageState};
use crate::incident::timeline::{Card, PageWhy};
use crate::incident::words::Words;
use crate::paging::{Page, PagingKind};
use crate::render::{Locale, RenderFault};
use crate::slack::cards::page_why;
use crate::slack::cards::pen::{Pen, message_vars};

impl Engine {
    pub(super) async fn page(
        &self,
        setting: &Setting,
        page: PageId,
        contact: &Contact,
        way: Way,
        attempt: u32,
    ) -> Result<Vec<Report>, Trouble> {
        let Some((incident, state)) =
            setting.incident.as_ref().and_then(|incident| Some((incident, incident.pages.get(&page)?)))
        else {
            return Ok(Vec::new());
        };
        if no_longer_wanted(incident, state) {
            return Ok(vec![Report::PageFailed { page, why: Words::new("trouble.answered_before") }]);
        }
        if way == Way::Slack {
            let message = self.parts.slack.page(&self.scene(setting), page, contact, attempt).await?;
            let card = Card::Page(page);
            return Ok(vec![Report::CardPosted { card, message }, Report::PageDelivered { page, note: None }]);
        }
        let kind = kind_of(way);
        let channel = self.parts.paging.iter().find(|channel| Some(channel.kind()) == kind).ok_or_else(|| {
            let setting = format!("paging.{way}");
            Trouble::permanent("not_set_up", Words::new("paging_fault.not_set_up").with("setting", setting))
        })?;
        let address = contact.address(way).ok_or_else(|| {
            let words = Words::new("trouble.no_address").with("name", contact.name.as_str());
            Trouble::permanent("no_address", words.with("way", Words::new(label_of(way))))
        })?;
        let written = self.write_page(setting, incident, state, address, page)?;
        let receipt = channel.page(&written).await?;
        Ok(vec![Report::PageDelivered { page, note: Some(receipt.note) }])
    }

    fn write_page(
        &self,
        setting: &Setting,
        incident: &Incident,
        state: &PageState,
        to: String,
        page: PageId,
    ) -> Result<Page, RenderFault> {
        let scene = self.scene(setting);
        let pen = Pen::for_contact(&scene, &state.contact);
        let locale: Locale = pen.locale;
        let mut vars = message_vars(&pen, incident);
        let why = page_why(&pen, incident, state)?;
        if let Some(map) = vars.as_object_mut() {
            map.insert("why".to_owned(), why.into());
            map.insert("message".to_owned(), json!(state.message));
            if let Some(zone) = &state.contact.zone {
                map.insert("tz".to_owned(), json!(zone));
            }
        }
        let render = &self.parts.render;
        Ok(Page {
            id: page.to_string(),
            at: state.mark.at.0,
            to,
            subject: render.plain(locale, "page_email_subject", &vars)?,
            text: render.plain(locale, if state.way == Way::Email { "page_email_body" } else { "page_sms" }, &vars)?,
            spoken: render.plain(locale, "page_voice", &vars)?,
            link: vars.get("link").and_then(|link| link.as_str()).map(str::to_owned),
            locale: locale.to_string(),
        })
    }
}

/// Somebody answered, or it is over: nobody is woken for it any more. A page by hand is always sent.
fn no_longer_wanted(incident: &Incident, page: &PageState) -> bool {
    let climbing = matches!(page.why, PageWhy::Level { .. } | PageWhy::Fallback);
    let answered = incident.acknowledged.as_ref().is_some_and(|mark| mark.at >= page.mark.at);
    !incident.status.is_open() || (climbing && answered)
}

/// The label of the way's name.
const fn label_of(way: Way) -> &'static str {
    match way {
        Way::Slack => "paging.slack",
        Way::Email => "paging.email",
        Way::Sms => "paging.sms",
        Way::Voice => "paging.voice",
        Way::Whatsapp => "paging.whatsapp",
        Way::Pagerduty => "paging.pagerduty",
        Way::Webhook => "paging.webhook",
    }
}

pub(super) const fn kind_of(way: Way) -> Option<PagingKind> {
    match way {
        Way::Slack => None,
        Way::Email => Some(PagingKind::Email),
        Way::Sms => Some(PagingKind::Sms),
        Way::Voice => Some(PagingKind::Voice),
        Way::Whatsapp => Some(PagingKind::Whatsapp),
        Way::Pagerduty => Some(PagingKind::Pagerduty),
        Way::Webhook => Some(PagingKind::Webhook),
    }
}
