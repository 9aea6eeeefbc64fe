//! What stands outside in the simulation: Slack, the mail server and the telephones.
//!
//! Each call is drawn a fate: done, done with its answer lost, refused for now, never arrived, late. It keeps what a
//! person would see in the end, and looks at the truth in the store when somebody is woken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};

use crate::clock::Clock;
use crate::engine::Chat;
use crate::incident::decision::{Effect, ReplyTo, Report};
use crate::incident::id::{ChannelId, IncidentId, MessageRef, PageId};
use crate::incident::people::Contact;
use crate::incident::state::Incident;
use crate::incident::time::{Instant, Millis};
use crate::incident::timeline::{Card, PageWhy};
use crate::incident::words::Words;
use crate::paging::{Page, PagingChannel, PagingFault, PagingKind, Receipt};
use crate::slack::SlackFault;
use crate::slack::scene::Scene;
use crate::store::Store;

/// What a call does when it arrives.
type Work = Box<dyn FnOnce(&mut State) + Send>;

/// A call that is under way.
pub(super) struct Parked {
    /// Which.
    pub call: u64,
    /// When its answer comes.
    pub at: Instant,
    /// Lets it come.
    pub resume: oneshot::Sender<()>,
}

/// What a call ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// It was done and nobody is told.
    AnswerLost,
    /// It was not done and nobody is told.
    RequestLost,
    /// Come again later.
    Limited(i64),
    /// Nothing can be reached.
    Down,
    /// No, for good.
    Refused,
}

/// Why a call was of no use.
enum Vain {
    Later(Option<Duration>),
    Unknown,
    Never,
}

/// One attempt to wake somebody.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    pub page: PageId,
    pub at: Instant,
}

pub(super) struct State {
    rng: fastrand::Rng,
    /// Of a hundred calls so many go wrong.
    pub trouble: u32,
    /// Slack cannot be reached until then.
    pub down_until: Instant,
    pub parked: Option<Parked>,
    /// What arrives with the answer, whatever its caller does meanwhile.
    arriving: BTreeMap<u64, Work>,
    calls: u64,
    /// The channels that were made, by incident.
    pub channels: BTreeMap<IncidentId, Vec<ChannelId>>,
    /// The messages of each card or text, by conversation and name.
    pub messages: BTreeMap<(String, String), u32>,
    /// Every attempt to wake somebody, whether it reached the provider or not.
    pub rings: Vec<Ring>,
    /// The pages that a mail server or a telephone company was given.
    taken: BTreeSet<PageId>,
    /// What somebody was to be answered, by what they said; an answer may be lost on its way.
    pub answered: BTreeSet<String>,
    /// What must not happen, as it happened.
    pub faults: Vec<String>,
    /// What happened, for the story.
    pub story: Vec<String>,
}

/// The outside. Cheap to clone.
#[derive(Clone)]
pub(super) struct Outside {
    state: Arc<Mutex<State>>,
    clock: Clock,
    /// The truth, to be looked at when somebody is woken.
    store: Store,
    /// Told when a call is under way.
    pub parks: Arc<Notify>,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}

impl Outside {
    pub fn new(seed: u64, clock: Clock, store: Store) -> Self {
        let state = State {
            rng: fastrand::Rng::with_seed(seed),
            trouble: 12,
            down_until: Instant(0),
            parked: None,
            arriving: BTreeMap::new(),
            calls: 0,
            channels: BTreeMap::new(),
            messages: BTreeMap::new(),
            rings: Vec::new(),
            taken: BTreeSet::new(),
            answered: BTreeSet::new(),
            faults: Vec::new(),
            story: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), clock, store, parks: Arc::default() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: `work` is what it does, if it arrives; early or late within its time.
    async fn call(
        &self,
        what: String,
        can_refuse: bool,
        work: impl FnOnce(&mut State) + Send + 'static,
    ) -> Result<(), Vain> {
        let (resume, resumed) = oneshot::channel();
        let fate = {
            let mut state = self.state();
            let now = self.clock.now();
            let (fate, wait) = state.draw(now, can_refuse);
            state.calls += 1;
            let call = state.calls;
            if fate.is_done() {
                state.arriving.insert(call, Box::new(work));
                if state.rng.bool() {
                    state.arrive(call);
                }
            }
            state.parked = Some(Parked { call, at: now + wait, resume });
            fate
        };
        self.parks.notify_one();
        // The driver always answers, unless the process of this call ends first.
        let _ = resumed.await;
        self.state().story.push(format!("    {what}: {fate:?}"));
        match fate {
            Fate::Done => Ok(()),
            Fate::Limited(seconds) => Err(Vain::Later(Some(Duration::from_secs(seconds.unsigned_abs())))),
            Fate::Down => Err(Vain::Later(None)),
            Fate::Refused => Err(Vain::Never),
            Fate::AnswerLost | Fate::RequestLost => Err(Vain::Unknown),
        }
    }

    /// Somebody is about to be woken: that must still be wanted, as far as anything is committed.
    async fn wakes(&self, page: PageId) {
        let truth = self.store.incident(page.incident).await.ok().flatten();
        let at = self.clock.now();
        let mut state = self.state();
        if let Some(incident) = truth
            && !is_wanted(&incident, page)
        {
            state.faults.push(format!("{page} was sent although nobody was to be woken any more"));
        }
        state.rings.push(Ring { page, at });
    }

    async fn show(&self, incident: &Incident, card: Card, attempt: u32) -> Result<Vec<Report>, SlackFault> {
        let place = match (&card, &incident.channel) {
            (Card::Announcement, _) => ChannelId::from("C0INCIDENTS"),
            (_, Some(channel)) => channel.id.clone(),
            (_, None) => return Ok(Vec::new()),
        };
        if incident.cards.contains_key(&card) {
            self.call(format!("edit {}", card.name()), false, |_| ()).await.map_err(slack_fault)?;
            return Ok(Vec::new());
        }
        let name = format!("{}:{}", incident.id, card.name());
        let message = self.post(&place, &name, attempt).await?;
        Ok(vec![Report::CardPosted { card, message }])
    }

    /// Posts what has a name; from the second attempt on it is looked for first.
    async fn post(&self, place: &ChannelId, name: &str, attempt: u32) -> Result<MessageRef, SlackFault> {
        let key = (place.to_string(), name.to_owned());
        let posting = self.call(format!("post {name}, attempt {attempt}"), false, move |state| {
            let standing = state.messages.entry(key).or_default();
            if attempt == 1 || *standing == 0 {
                *standing += 1;
            }
        });
        posting.await.map_err(slack_fault)?;
        Ok(MessageRef { channel: place.clone(), ts: name.to_owned() })
    }
}

impl Fate {
    fn is_done(self) -> bool {
        matches!(self, Fate::Done | Fate::AnswerLost)
    }
}

impl State {
    /// A call does its work now, if it has not done it before.
    pub fn arrive(&mut self, call: u64) {
        if let Some(work) = self.arriving.remove(&call) {
            work(self);
        }
    }

    /// A page has reached whoever brings it to the person.
    pub fn has_arrived(&self, page: PageId) -> bool {
        let name = page.to_string();
        self.taken.contains(&page) || self.messages.keys().any(|(_, message)| *message == name)
    }

    fn draw(&mut self, now: Instant, can_refuse: bool) -> (Fate, Millis) {
        let quick = Millis(self.rng.i64(20..900));
        if now < self.down_until {
            return if self.rng.bool() { (Fate::Down, quick) } else { (Fate::RequestLost, Millis::seconds(10)) };
        }
        if self.rng.u32(..100) >= self.trouble {
            return (Fate::Done, quick);
        }
        match self.rng.u32(..6) {
            0 => (Fate::AnswerLost, quick),
            1 => (Fate::AnswerLost, Millis::seconds(10)),
            2 => (Fate::RequestLost, Millis::seconds(10)),
            3 => (Fate::Limited(self.rng.i64(1..30)), quick),
            4 if can_refuse => (Fate::Refused, quick),
            _ => (Fate::Down, quick),
        }
    }
}

/// Nobody is woken once somebody answered, or when it is over; whoever was asked for by hand is asked in any case.
fn is_wanted(incident: &Incident, page: PageId) -> bool {
    let Some(known) = incident.pages.get(&page) else { return false };
    let climbing = matches!(known.why, PageWhy::Level { .. } | PageWhy::Fallback);
    let answered = incident.acknowledged.as_ref().is_some_and(|mark| mark.at >= known.mark.at);
    incident.status.is_open() && !(climbing && answered)
}

fn slack_fault(vain: Vain) -> SlackFault {
    let (code, why) = ("simulated".to_owned(), "drawn by the simulation".to_owned());
    match vain {
        Vain::Later(after) => SlackFault::Retry { after, code, why },
        Vain::Unknown => SlackFault::Unknown { code, why },
        Vain::Never => SlackFault::Permanent { code, why },
    }
}

fn paging_fault(vain: Vain) -> PagingFault {
    let why = Words::verbatim("drawn by the simulation");
    match vain {
        Vain::Later(after) => PagingFault::Retry { after, why },
        Vain::Unknown => PagingFault::Unknown { why },
        Vain::Never => PagingFault::Permanent { why },
    }
}

#[async_trait]
impl Chat for Outside {
    async fn carry_out(&self, scene: &Scene<'_>, effect: &Effect, attempt: u32) -> Result<Vec<Report>, SlackFault> {
        if let Effect::Reply { to, .. } | Effect::ReplyWith { to, .. } = effect
            && let ReplyTo::Person { response_url: Some(source), .. } = to
        {
            self.state().answered.insert(source.clone());
        }
        let Some(incident) = scene.incident else {
            self.call("answer".to_owned(), true, |_| ()).await.map_err(slack_fault)?;
            return Ok(Vec::new());
        };
        match effect {
            Effect::ShowCard { card } => self.show(incident, card.clone(), attempt).await,
            Effect::OpenChannel => {
                let (id, name) = (incident.id, format!("{}-x", incident.id));
                let channel = ChannelId(format!("C0{}", incident.id));
                let opened = channel.clone();
                // Slack knows each name once: whoever comes second finds the channel of the first.
                let open = self.call(format!("open the channel of {id}"), false, move |state| {
                    let channels = state.channels.entry(id).or_default();
                    if channels.is_empty() {
                        channels.push(opened);
                    }
                });
                open.await.map_err(slack_fault)?;
                Ok(vec![Report::ChannelOpened { channel, name }])
            }
            Effect::Invite { users } => {
                self.call(format!("invite to {}", incident.id), false, |_| ()).await.map_err(slack_fault)?;
                Ok(vec![Report::Invited { users: users.clone(), failed: Vec::new() }])
            }
            Effect::Reply { .. } | Effect::ReplyWith { .. } | Effect::Home { .. } => {
                self.call("answer".to_owned(), true, |_| ()).await.map_err(slack_fault)?;
                Ok(Vec::new())
            }
            _ => {
                self.call("decorate".to_owned(), false, |_| ()).await.map_err(slack_fault)?;
                Ok(Vec::new())
            }
        }
    }

    async fn page(
        &self,
        scene: &Scene<'_>,
        page: PageId,
        contact: &Contact,
        attempt: u32,
    ) -> Result<MessageRef, SlackFault> {
        let place = ChannelId(format!("D0{}", contact.key));
        if let Some(message) = scene.incident.and_then(|incident| incident.cards.get(&Card::Page(page))) {
            return Ok(message.clone());
        }
        self.wakes(page).await;
        self.post(&place, &page.to_string(), attempt).await
    }

    async fn post_text(&self, channel: &ChannelId, _: &str, key: &str, attempt: u32) -> Result<MessageRef, SlackFault> {
        self.post(channel, key, attempt).await
    }

    fn workspace(&self) -> Option<&str> {
        None
    }

    async fn sing(&self, _: &ChannelId, _: &str, _: Instant) -> Result<(), SlackFault> {
        Ok(())
    }

    fn canary_heard_at(&self) -> Option<Instant> {
        None
    }

    fn canary_unheard(&self) -> Vec<Instant> {
        Vec::new()
    }

    async fn may_hear_canary(&self) -> bool {
        true
    }

    async fn refusal(&self) -> Option<String> {
        None
    }
}

/// A way to reach people beside Slack.
#[derive(Debug)]
pub(super) struct Telephone(pub Outside, pub PagingKind);

#[async_trait]
impl PagingChannel for Telephone {
    fn kind(&self) -> PagingKind {
        self.1
    }

    async fn page(&self, page: &Page) -> Result<Receipt, PagingFault> {
        let id: PageId = page.id.parse().map_err(|_| paging_fault(Vain::Never))?;
        self.0.wakes(id).await;
        let takes = move |state: &mut State| {
            state.taken.insert(id);
        };
        let call = self.0.call(format!("{} {id}", self.1), true, takes);
        call.await.map_err(paging_fault)?;
        Ok(Receipt { provider_id: None, note: Words::verbatim("taken") })
    }
}
