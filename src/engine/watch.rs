//! Vigie looks after itself (rule 10): each minute, whether everything that is due is being done and Slack is heard.
//!
//! It repairs what it can (deaf connections are replaced), tells people by a way that is not Slack, and keeps a dead-man
//! heartbeat only while all is well, so that whoever waits for it hears of the silence.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::incident::id::ChannelId;
use crate::incident::people::{Contact, Way};
use crate::incident::time::{Instant, Millis};
use crate::incident::words::Words;
use crate::paging::{Heartbeat, Page};
use crate::render::{Locale, RenderFault};
use crate::slack::{CANARY_HEARD, Health, SlackFault, unheard_by_all};
use crate::store::StoreFault;

/// What Vigie's looking after itself is set up with.
#[derive(Debug, Default)]
pub struct Watch {
    /// Told, by anything but Slack, when Vigie itself has trouble.
    pub tell: Vec<Contact>,
    /// Called every minute while all is well.
    pub heartbeat: Option<Heartbeat>,
    /// Where the canary sings.
    pub canary: Option<ChannelId>,
    /// How Slack's door is; nothing where Slack calls in over HTTP.
    pub door: Option<Health>,
}

/// How often it looks.
const EVERY: Millis = Millis::minutes(1);
/// How often the connection's state is looked at, in real time.
const GLANCE: Duration = Duration::from_secs(5);
/// Later than this, and people are told.
const LATE: Millis = Millis::seconds(30);
/// The same for what Slack is told: a storm of incidents brings much at once.
const LATE_CHAT: Millis = Millis::minutes(5);
/// Nothing heard for this long is deafness.
const DEAF: Millis = Millis::minutes(1);
/// Open incidents are told of an absence this long; at the start it is known to the minute only.
const AWAY: Millis = Millis::minutes(2);
const AWAY_AT_START: Millis = Millis::minutes(3);
/// How often the canary sings.
const CANARY_EVERY: Millis = Millis::minutes(5);
/// A canary that may not sing is told of when it is so at this many looks in a row.
const MUTE_AFTER: u32 = 2;
/// People are told again of the same trouble after this long.
const AGAIN: Millis = Millis::minutes(60);
/// Inputs that were decided upon are forgotten after this long; Slack repeats itself for a day at most.
const KEPT: Millis = Millis::minutes(7 * 24 * 60);
/// What is said when Socket Mode was switched off.
const SWITCHED_OFF: &str = "watch.switched_off";
/// Where the last minute that somebody worked in is kept.
const ALIVE: &str = "alive_at";
/// Where several processes keep when one of them last had its door to Slack open.
const HEARD: &str = "heard_at";

/// Where it is kept how much was put aside when somebody last looked, and when more was found.
const ASIDE: &str = "aside";
const ASIDE_AT: &str = "aside_at";

/// What is remembered between two looks; may be lost.
#[derive(Debug, Default)]
struct Memory {
    looked_at: Option<Instant>,
    sang_at: Option<Instant>,
    /// Why the canary may not sing, when Slack refused it for good, and at how many looks in a row.
    mute: Option<(u32, String)>,
    /// Since when this process's door to Slack is not open.
    deaf_since: Option<Instant>,
    told: BTreeMap<String, Instant>,
    /// Nobody had heard it, and what it sang at this look has yet to be heard.
    waits_for_canary: bool,
    /// So many incidents nobody would have woken, and people were not told yet.
    forgotten: usize,
    /// When it last glanced, and how far somebody had moved the hands by then.
    glanced: Option<(Instant, Millis)>,
    /// This process stood still, or its database was away: the open incidents may have to be told. Until they are, nobody says
    /// that somebody works again, or it would be forgotten who was away.
    was_out: bool,
    /// What people are being told of. Whoever does not answer holds up no look.
    telling: JoinSet<Told>,
}

/// What became of telling people of a trouble.
#[derive(Debug)]
struct Told {
    /// The trouble.
    key: String,
    /// Somebody was reached, or nobody wants to be.
    reached: bool,
}

impl Memory {
    /// Of a trouble that reached nobody people are told again at the next look.
    fn note_end(&mut self, told: Result<Told, tokio::task::JoinError>, now: Instant) {
        match told {
            Ok(Told { reached: true, .. }) => {}
            Ok(Told { key, .. }) => drop(self.told.insert(key, now - AGAIN + EVERY)),
            Err(fault) => tracing::error!(
                %fault,
                "telling people of a trouble of Vigie's own failed by a defect in Vigie; please report it"
            ),
        }
    }
}

impl Engine {
    /// Looks until `stop`; `was_out` when an absence may have to be told that could not be at the start.
    pub(super) async fn watch_until(self, stop: CancellationToken, was_out: bool) {
        // Nobody has heard anything yet, and perhaps nobody did before.
        let deaf_since = self.parts.watch.door.as_ref().map(|_| self.parts.clock.now());
        let mut memory = Memory { was_out, deaf_since, ..Memory::default() };
        while !stop.is_cancelled() {
            let now = self.parts.clock.now();
            self.come_back(&mut memory, now).await;
            self.listen(&mut memory, now).await;
            let is_news = self.is_switched_off() && !memory.told.contains_key(SWITCHED_OFF);
            if is_news || memory.looked_at.is_none_or(|at| now.since(at) >= EVERY) {
                memory.looked_at = Some(now);
                self.look(&mut memory, now).await;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.parts.clock.wait_until(Some(now + EVERY), GLANCE) => {}
            }
            while let Some(told) = memory.telling.try_join_next() {
                memory.note_end(told, self.parts.clock.now());
            }
        }
        while let Some(told) = memory.telling.join_next().await {
            memory.note_end(told, self.parts.clock.now());
        }
    }

    /// Nobody worked for a while: the open incidents are told.
    pub(super) async fn note_absence(&self) -> Result<(), StoreFault> {
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        match store.number(ALIVE).await?.map(Instant) {
            Some(alive) if now.since(alive) >= AWAY_AT_START => {
                store.tell_absence(alive, now, AWAY_AT_START).await.map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Who goes on after standing still, or whose database is there again, looks whether anybody else worked meanwhile. Time
    /// that somebody moved the hands over was no absence.
    async fn come_back(&self, memory: &mut Memory, now: Instant) {
        let by_hand = self.parts.clock.moved_by_hand();
        let before = memory.glanced.replace((now, by_hand));
        let passed = before.map(|(at, moved)| now.since(at).0 - (by_hand.0 - moved.0));
        memory.was_out |= passed.is_some_and(|passed| passed >= AWAY.0);
        if !memory.was_out {
            return;
        }
        match self.note_absence().await {
            // Should nobody say then that somebody works again, the same absence is told once all the same.
            Ok(()) => memory.was_out = false,
            Err(fault) => tracing::error!(%fault, "whether anybody was away could not be looked at; it is tried again"),
        }
    }

    /// Whether the door to Slack is open; when it opens again after a while, the open incidents are told.
    async fn listen(&self, memory: &mut Memory, now: Instant) {
        let Some(door) = &self.parts.watch.door else { return };
        let Some(heard_again) = door.gauge().connected_since else {
            memory.deaf_since.get_or_insert(now);
            return;
        };
        match self.heard_again(memory, heard_again, now).await {
            Ok(()) => memory.deaf_since = None,
            Err(fault) => {
                tracing::error!(%fault, "the open incidents could not be told of an absence; it is tried again")
            }
        }
    }

    /// Of several processes each may have been deaf while another heard: nobody was away then.
    async fn heard_again(&self, memory: &mut Memory, heard_again: Instant, now: Instant) -> Result<(), StoreFault> {
        let store = &self.parts.store;
        if let Some(own) = memory.deaf_since {
            let since = self.heard_by_all().await?.unwrap_or(own);
            let noted = store.deaf_since().await?;
            // What began while the door was open is over when the canary is heard.
            if self.parts.watch.canary.is_none() || noted.is_none_or(|noted| noted >= since) {
                self.end_deafness(since, heard_again).await?;
            }
            memory.sang_at = None;
        }
        if store.is_shared() {
            store.set_number(HEARD, now.0).await?;
        }
        Ok(())
    }

    /// When one of several processes last had its door open.
    async fn heard_by_all(&self) -> Result<Option<Instant>, StoreFault> {
        let store = &self.parts.store;
        if store.is_shared() { Ok(store.number(HEARD).await?.map(Instant)) } else { Ok(None) }
    }

    async fn look(&self, memory: &mut Memory, now: Instant) {
        self.sing(memory, now).await;
        let troubles = match self.troubles(memory, now).await {
            // A newer release looks after this database, and its heart is the one to listen to.
            Ok(None) => return,
            Ok(Some(troubles)) => troubles,
            Err(fault) => {
                tracing::error!(%fault, "Vigie could not look after itself");
                memory.was_out = true;
                vec![Words::new("watch.database")]
            }
        };
        metrics::gauge!("vigie_troubles").set(troubles.len() as f64);
        // What comes and goes is told once an hour, too.
        memory.told.retain(|_, at| now.since(*at) < AGAIN);
        for words in &troubles {
            if !memory.told.contains_key(&words.key) {
                memory.told.insert(words.key.clone(), now);
                let (engine, words) = (self.clone(), words.clone());
                memory.telling.spawn(async move { engine.tell_of(&words, now).await });
            }
        }
        if troubles.is_empty() && !memory.waits_for_canary {
            self.beat().await;
        }
    }

    /// Everything that is not as it should be; nothing is said where a newer release has the database.
    async fn troubles(&self, memory: &mut Memory, now: Instant) -> Result<Option<Vec<Words>>, StoreFault> {
        let store = &self.parts.store;
        let late = store.lateness(now).await?;
        let parts = [late.wake, late.input, late.page, late.work, late.chat, late.lease];
        for (what, late) in ["wake", "input", "page", "work", "chat", "lease"].into_iter().zip(parts) {
            metrics::gauge!("vigie_late_seconds", "what" => what).set(late.0 as f64 / 1000.0);
        }
        if store.has_a_newer().await? {
            tracing::warn!("a newer vigie has this database: this one takes no more work and can be stopped");
            // What it sees there may be of a kind that it does not know.
            return Ok(None);
        }
        if !memory.was_out {
            store.set_number(ALIVE, now.0).await?;
        }
        let forgotten = store.wake_the_forgotten(now).await?;
        for incident in &forgotten {
            tracing::error!(%incident, "nothing would have woken this incident any more; it is woken now");
        }
        metrics::counter!("vigie_forgotten_total").increment(forgotten.len() as u64);
        memory.forgotten += forgotten.len();
        let aside = store.put_aside().await?;
        metrics::gauge!("vigie_put_aside").set(aside as f64);
        let mut troubles = Vec::new();
        let worst = if late.chat > LATE_CHAT { late.worst().max(late.chat) } else { late.worst() };
        if worst > LATE {
            troubles.push(Words::new("watch.late").with("late_ms", worst.0));
        }
        if self.is_news(aside, now).await? {
            troubles.push(Words::new("watch.put_aside").with("count", aside));
        }
        if let Some(why) = self.parts.slack.refusal().await {
            troubles.push(Words::new("watch.token").with("why", why));
        } else if let Some((_, why)) = memory.mute.as_ref().filter(|(looks, _)| *looks >= MUTE_AFTER) {
            troubles.push(Words::new("watch.mute").with("why", why.as_str()));
        }
        let deaf_since = self.deaf_since(memory, now).await?;
        if self.is_switched_off() {
            troubles.push(Words::new(SWITCHED_OFF));
        } else if let Some(since) = deaf_since {
            troubles.push(Words::new("watch.deaf").with("since", since.0));
        }
        if let Err(fault) = store.forget_inputs(now - KEPT).await {
            tracing::error!(%fault, "what was decided upon long ago could not be forgotten");
            troubles.push(Words::new("watch.database"));
        }
        let forgotten = std::mem::take(&mut memory.forgotten);
        if forgotten > 0 {
            troubles.push(Words::new("watch.forgotten").with("count", forgotten));
        }
        Ok(Some(troubles))
    }

    /// What was put aside stays there for whoever looks into it. People are told of it once, and the heart is silent for as
    /// long as nobody is told again: it has to be heard when something else happens.
    async fn is_news(&self, aside: i64, now: Instant) -> Result<bool, StoreFault> {
        let store = &self.parts.store;
        let known = store.number(ASIDE).await?.unwrap_or(0);
        if aside > known {
            store.set_number(ASIDE_AT, now.0).await?;
        }
        if aside != known {
            store.set_number(ASIDE, aside).await?;
        }
        let since = store.number(ASIDE_AT).await?.map(Instant);
        Ok(aside > 0 && since.is_some_and(|since| now.since(since) < AGAIN))
    }

    /// Somebody switched Socket Mode off.
    fn is_switched_off(&self) -> bool {
        self.parts.watch.door.as_ref().is_some_and(|door| door.gauge().switched_off)
    }

    /// Since when nothing is heard. Whoever notices notes it for all, and for whoever starts meanwhile.
    async fn deaf_since(&self, memory: &mut Memory, now: Instant) -> Result<Option<Instant>, StoreFault> {
        let store = &self.parts.store;
        let noted = store.deaf_since().await?;
        let since = match self.canary_unheard_since(memory, noted, now).await? {
            Some(since) => since,
            None => {
                if noted.is_some() && self.parts.watch.canary.is_none() && memory.deaf_since.is_none() {
                    // Of a door, or a canary, that this configuration has no more.
                    store.note_deaf(None).await?;
                }
                let own = memory.deaf_since.filter(|since| now.since(*since) >= DEAF);
                let Some(own) = own else { return Ok(None) };
                if self.hears_elsewhere(now).await? {
                    tracing::warn!("this process does not hear Slack; another one that shares the database does");
                    return Ok(None);
                }
                self.heard_by_all().await?.unwrap_or(own)
            }
        };
        if noted.is_none() {
            store.note_deaf(Some(since)).await?;
        }
        Ok(Some(noted.unwrap_or(since)))
    }

    /// Since when the canary is not heard. Then every connection is replaced; once it is heard again, the open incidents are
    /// told. `noted` is since when nobody hears Slack.
    async fn canary_unheard_since(
        &self,
        memory: &mut Memory,
        noted: Option<Instant>,
        now: Instant,
    ) -> Result<Option<Instant>, StoreFault> {
        let (store, slack) = (&self.parts.store, &self.parts.slack);
        memory.waits_for_canary = false;
        if self.parts.watch.canary.is_none() {
            return Ok(None);
        }
        let door = self.parts.watch.door.as_ref();
        let opened = door.and_then(|door| door.gauge().connected_since);
        if door.is_some() && opened.is_none() {
            // The door tells of it.
            return Ok(noted);
        }
        let mut songs = slack.canary_unheard();
        songs.retain(|sung| opened.is_none_or(|opened| *sung >= opened));
        let unheard = unheard_by_all(store, &songs, now).await?;
        // What it sang at this very look has yet to be heard, through connections that may be new.
        let is_new = memory.sang_at == Some(now);
        if unheard.is_some() && !is_new {
            // It sings anew at the next look: through new connections, or where it is heard.
            memory.sang_at = None;
        }
        let heard = self.canary_heard_at().await?;
        match (unheard, noted) {
            (Some(since), _) if slack.may_hear_canary().await => {
                if let Some(door) = door.filter(|_| !is_new) {
                    door.reopen();
                }
                Ok(Some(since))
            }
            (None, Some(noted)) => match heard.filter(|heard| *heard > noted) {
                Some(heard) => self.end_deafness(noted, heard).await.map(|()| None),
                // One that may not sing shows nothing. How long the door was shut is known all the same.
                None if memory.mute.is_some() => self.end_deafness(noted, opened.unwrap_or(noted)).await.map(|()| None),
                // Whoever is new is believed to hear it, but does not say so before it has.
                None if is_new => {
                    memory.waits_for_canary = true;
                    Ok(None)
                }
                None => Ok(Some(noted)),
            },
            // Slack would not tell of it.
            (Some(_), Some(noted)) => self.end_deafness(noted, opened.unwrap_or(noted)).await.map(|()| None),
            (_, None) => Ok(None),
        }
    }

    /// Tells of it, and forgets it.
    async fn end_deafness(&self, since: Instant, ended: Instant) -> Result<(), StoreFault> {
        self.parts.store.tell_absence(since, ended, AWAY).await?;
        self.parts.store.note_deaf(None).await
    }

    /// When anybody last heard the canary.
    async fn canary_heard_at(&self) -> Result<Option<Instant>, StoreFault> {
        let store = &self.parts.store;
        let by_all = if store.is_shared() { store.number(CANARY_HEARD).await?.map(Instant) } else { None };
        Ok(by_all.max(self.parts.slack.canary_heard_at()))
    }

    /// Another process has its door open: commands and buttons work.
    async fn hears_elsewhere(&self, now: Instant) -> Result<bool, StoreFault> {
        Ok(self.heard_by_all().await?.is_some_and(|heard| now.since(heard) < DEAF))
    }

    async fn sing(&self, memory: &mut Memory, now: Instant) {
        let Some(channel) = &self.parts.watch.canary else { return };
        if memory.sang_at.is_some_and(|at| now.since(at) < CANARY_EVERY) {
            return;
        }
        memory.sang_at = Some(now);
        let locale = self.parts.rules.locale.parse().unwrap_or_default();
        let text = self.parts.render.label(locale, "watch.canary", &serde_json::json!({"at": now.0}));
        let sung = match text {
            Ok(text) => self.parts.slack.sing(channel, &text, now).await,
            Err(fault) => return tracing::error!(%fault, "the canary's text cannot be drawn"),
        };
        let Err(fault) = sung else {
            memory.mute = None;
            return;
        };
        tracing::warn!(code = fault.code(), why = fault.why(), "the canary could not sing; it tries again soon");
        memory.sang_at = None;
        if matches!(fault, SlackFault::Permanent { .. }) {
            let looks = memory.mute.take().map_or(0, |(looks, _)| looks);
            memory.mute = Some((looks + 1, fault.why().to_owned()));
        }
    }

    /// Tells everybody who wants to know, side by side, each by the first of their ways that works.
    async fn tell_of(&self, words: &Words, now: Instant) -> Told {
        tracing::error!(trouble = words.key, vars = ?words.vars, "Vigie itself has trouble");
        let contacts = self.parts.watch.tell.iter().map(|contact| async move {
            let told = self.tell_one(contact, words, now).await;
            if !told {
                tracing::error!(contact = contact.key, "could not be told that Vigie itself has trouble");
            }
            told
        });
        let mut told = join_all(contacts).await;
        if words.key == SWITCHED_OFF {
            told.push(self.say_in_slack(words, now).await);
        }
        Told { key: words.key.clone(), reached: told.is_empty() || told.contains(&true) }
    }

    /// Where incidents are announced, for Slack still takes what is said even if it lets nothing in.
    async fn say_in_slack(&self, words: &Words, now: Instant) -> bool {
        let Some(channel) = &self.parts.rules.announce_in else { return false };
        let locale = self.parts.rules.locale.parse().unwrap_or_default();
        let text = match self.parts.render.label(locale, &words.key, &words.vars) {
            Ok(text) => format!("🔇 {text}"),
            Err(fault) => {
                tracing::error!(%fault, "the words for a trouble of Vigie's own cannot be drawn");
                return false;
            }
        };
        let said = self.parts.slack.post_text(channel, &text, &format!("{}:{}", words.key, now.0), 1).await;
        if let Err(fault) = &said {
            tracing::warn!(code = fault.code(), why = fault.why(), "Slack could not be told that it is not heard");
        }
        said.is_ok()
    }

    async fn tell_one(&self, contact: &Contact, words: &Words, now: Instant) -> bool {
        let ways = contact.page_with.iter().chain(&contact.fall_over).filter(|way| **way != Way::Slack);
        for way in ways {
            let kind = super::page::kind_of(*way);
            let channel = self.parts.paging.iter().find(|channel| Some(channel.kind()) == kind);
            let (Some(channel), Some(address)) = (channel, contact.address(*way)) else { continue };
            let page = match self.write_trouble(contact, words, now, address) {
                Ok(page) => page,
                Err(fault) => {
                    tracing::error!(%fault, "the words for a trouble of Vigie's own cannot be drawn");
                    return false;
                }
            };
            match channel.page(&page).await {
                Ok(_) => return true,
                Err(fault) => tracing::warn!(%fault, contact = contact.key, %way, "not told this way"),
            }
        }
        false
    }

    fn write_trouble(&self, contact: &Contact, words: &Words, now: Instant, to: String) -> Result<Page, RenderFault> {
        let render = &self.parts.render;
        let locale: Locale = contact.locale.as_ref().unwrap_or(&self.parts.rules.locale).parse().unwrap_or_default();
        let mut vars = words.vars.clone();
        let zone = contact.zone.as_ref().unwrap_or(&self.parts.rules.zone);
        vars.insert("tz".to_owned(), zone.as_str().into());
        let text = render.label_plain(locale, &words.key, &vars)?;
        let subject = render.label_plain(locale, "watch.subject", &())?;
        Ok(Page {
            id: format!("watch:{}:{}:{}", words.key, contact.key, now.0 / AGAIN.0),
            at: now.0,
            to,
            spoken: format!("{subject}. {text}"),
            subject,
            text,
            link: None,
            locale: locale.to_string(),
        })
    }

    async fn beat(&self) {
        let Some(heartbeat) = &self.parts.watch.heartbeat else { return };
        if let Err(fault) = heartbeat.beat().await {
            tracing::warn!(%fault, "the heartbeat was not taken");
        }
    }
}
