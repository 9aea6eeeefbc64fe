//! Commands from a terminal, for the day Slack is down: the same grammar, the same rules, the same store. Where nobody else
//! is at work, what they set going is done here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{GRACE, Rooms, StartFault, Vigie};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{Chat, Engine, Parts, Watch};
use crate::incident::approval::Outcome;
use crate::incident::command::{Command, parse};
use crate::incident::decision::{Effect, Input, Lane, ReplyTo, Report};
use crate::incident::id::{ChannelId, IncidentId, MessageRef, PageId, RunId, UserId};
use crate::incident::people::{Actor, Contact};
use crate::incident::rules::Rules;
use crate::incident::state::{Incident, Phase, Run};
use crate::incident::time::Instant;
use crate::incident::timeline::{Entry, Fact};
use crate::incident::waiting::OpenIncidents;
use crate::incident::words::Words;
use crate::render::{Locale, RenderFault, Renderer};
use crate::slack::SlackFault;
use crate::slack::cards::facts::{self, Medium};
use crate::slack::cards::plan_text::plan_text;
use crate::slack::cards::words;
use crate::slack::scene::Scene;
use crate::store::{Store, StoreFault, Target};

/// Between two looks.
const GLANCE: Duration = Duration::from_millis(100);
/// So many looks others are left to decide before it is done here.
const OTHERS: u32 = 30;
/// So many looks something is waited for that was not said yet: what can be chosen is looked up.
const ANSWER: u32 = 400;

/// Why a line came to nothing. Each is a sentence with its cure.
#[derive(Debug, thiserror::Error)]
pub enum TerminalFault {
    /// Nobody of the plan.
    #[error("the account “{0}” is nobody of the plan; write “account: {0}” beside their Slack ID under contacts")]
    Nobody(String),
    /// The grammar does not know it, or the rules say no.
    #[error("{0}")]
    Said(String),
    /// Nobody decided.
    #[error("nothing was decided in time; is the database reached by all who use it?")]
    Silent,
    /// It was taken down, and nothing came of it here.
    #[error(
        "it was taken down, and nothing has come of it yet: what it needs is asked of Slack, whether you are in a user \
         group for one. It goes on when Slack can be reached; somebody who is named as an approver need not wait"
    )]
    Unanswered,
    /// What it set going came to no good end; the rest was told.
    #[error("{0} did not end well")]
    NotWell(RunId),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// A text.
    #[error("the answer could not be written: {0}")]
    Texts(#[from] RenderFault),
}

/// Somebody's terminal.
#[derive(Debug)]
pub struct Terminal {
    store: Store,
    clock: Clock,
    rules: Arc<Rules>,
    render: Arc<Renderer>,
    engine: Engine,
    /// Others are at work on this database, or are believed to be until they stay silent.
    has_others: AtomicBool,
}

impl Terminal {
    /// Opens the database that the bot uses. A SQLite file is open only while the bot is not.
    ///
    /// # Errors
    /// A [`StartFault`] that names what is wrong and the cure.
    pub async fn open(config: Config, database: &str, clock: Clock) -> Result<Self, StartFault> {
        super::install_crypto();
        let Rooms { render, rules, comms, actions } =
            Rooms::build(config.rules, config.actions, &config.comms, &config.paging, config.templates, &[])?;
        let store = Store::open(database).await?;
        let engine = Engine::new(Parts {
            store: store.clone(),
            clock: clock.clone(),
            rules: Arc::clone(&rules),
            render: Arc::clone(&render),
            slack: Arc::new(Offline),
            actions,
            paging: Vec::new(),
            comms,
            watch: Watch::default(),
        });
        let has_others = AtomicBool::new(store.is_shared());
        Ok(Self { store, clock, rules, render, engine, has_others })
    }

    /// A terminal beside a bot that works.
    pub fn beside(vigie: &Vigie) -> Self {
        let Vigie { store, clock, rules, render, engine, .. } = vigie.clone();
        Self { store, clock, rules, render, engine, has_others: AtomicBool::new(true) }
    }

    /// Says a line as whoever has this account, and tells what comes of it until nothing is under way any more.
    ///
    /// # Errors
    /// A [`TerminalFault`]; a run that did not end well is one, so that whatever waits for the command does not go on.
    pub async fn say(&self, account: &str, line: &str, tell: &mut dyn FnMut(&str)) -> Result<(), TerminalFault> {
        let user = self.rules.accounts.get(account).ok_or_else(|| TerminalFault::Nobody(account.to_owned()))?;
        let locale = self.locale(user);
        let line = match parse(line) {
            Ok(line) => line,
            Err(usage) => return Err(TerminalFault::Said(self.plain(None, locale, &usage.0)?)),
        };
        let named = line.incident.or_else(|| line.command.incident());
        let before = self.seen(named).await?;
        let ask = uuid::Uuid::now_v7().simple().to_string();
        let source = format!("terminal:{ask}");
        let input = Input::Command {
            by: Actor::Person(user.clone()),
            command: Box::new(line.command.clone()),
            channel: None,
            reply: ReplyTo::Terminal { ask: ask.clone() },
        };
        let target = Target { incident: named, channel: None };
        self.store.receive(&source, target, &input, self.clock.now()).await?;
        let question = Question { ask: &ask, source: &source, user, locale, named, before };
        let stop = CancellationToken::new();
        let done = async {
            let told = self.answered(&question, &line.command, tell).await;
            stop.cancel();
            told
        };
        let (told, ()) = tokio::join!(done, self.work(&source, stop.clone()));
        told
    }

    /// Works here while others do not.
    async fn work(&self, source: &str, stop: CancellationToken) {
        if self.has_others.load(Ordering::SeqCst) {
            for _ in 0..OTHERS {
                if stop.is_cancelled() {
                    return;
                }
                if self.store.is_decided(source).await.unwrap_or_default() {
                    return;
                }
                self.clock.wait_until(None, GLANCE).await;
            }
            self.has_others.store(false, Ordering::SeqCst);
        }
        if !stop.is_cancelled() {
            self.engine.run_without_slack(stop, GRACE).await;
        }
    }

    async fn answered(
        &self,
        question: &Question<'_>,
        command: &Command,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), TerminalFault> {
        let mut looks = 0;
        while !self.store.is_decided(question.source).await? {
            looks += 1;
            if looks > ANSWER {
                return Err(TerminalFault::Silent);
            }
            self.clock.wait_until(None, GLANCE).await;
        }
        let incident = self.meant(question, command).await?;
        let (mut told, mut heard) = (question.before, false);
        loop {
            looks += 1;
            let now = match incident {
                Some(id) => self.store.incident(id).await?,
                None => None,
            };
            let answer = self.store.take_answer(question.ask).await?;
            let has_answer = answer.is_some();
            heard |= has_answer;
            if let Some(words) = answer {
                let said = self.plain(now.as_ref(), question.locale, &words)?;
                // A rule that says no has left nothing else behind.
                if words.key.starts_with("refusal.") {
                    return Err(TerminalFault::Said(said));
                }
                tell(&said);
            }
            let is_over = looks > ANSWER || self.is_idle(looks).await?;
            let Some(now) = now else {
                if has_answer {
                    return Ok(());
                }
                if is_over {
                    return Err(TerminalFault::Unanswered);
                }
                self.clock.wait_until(None, GLANCE).await;
                continue;
            };
            let is_news = now.seq > told;
            if is_news {
                told = self.tell_news(&now, told, question.locale, tell).await?;
            }
            let nothing_yet = told == question.before && !has_answer && !is_over;
            if !now.runs.values().any(is_under_way) && !is_news && !nothing_yet {
                let nothing = told == question.before && !heard;
                if nothing {
                    return Err(TerminalFault::Unanswered);
                }
                let not_well = self.not_well(question, command, &now).await?;
                return not_well.map_or(Ok(()), |run| Err(TerminalFault::NotWell(run)));
            }
            self.clock.wait_until(None, GLANCE).await;
        }
    }

    /// A run that this command has asked for or set going, and that came to no plan or to no good end.
    async fn not_well(
        &self,
        question: &Question<'_>,
        command: &Command,
        incident: &Incident,
    ) -> Result<Option<RunId>, StoreFault> {
        let timeline = self.store.timeline(incident.id).await?;
        let own = Actor::Person(question.user.clone());
        let since = timeline.iter().filter(|entry| entry.seq > question.before && entry.by == own);
        let asked = since.filter_map(|entry| match entry.fact {
            Fact::PlanAsked { run, .. } => Some(run),
            _ => None,
        });
        let ended = |run: &RunId| match &incident.runs.get(run)?.phase {
            Phase::PlanFailed { .. } => Some(()),
            Phase::Finished { outcome } => (*outcome != Outcome::Done).then_some(()),
            _ => None,
        };
        Ok(asked.chain(command.sets_going()).find(|run| ended(run).is_some()))
    }

    /// Nothing more will be done here: nobody else is at work, and nothing waits that a terminal can do.
    async fn is_idle(&self, looks: u32) -> Result<bool, StoreFault> {
        Ok(!self.has_others.load(Ordering::SeqCst)
            && looks > OTHERS
            && self.store.next_due(Lane::Action).await?.is_none())
    }

    /// Tells what has happened since; a plan with all that an approver has to read.
    async fn tell_news(
        &self,
        incident: &Incident,
        told: u64,
        locale: Locale,
        tell: &mut dyn FnMut(&str),
    ) -> Result<u64, TerminalFault> {
        let timeline = self.store.timeline(incident.id).await?;
        let open = OpenIncidents::default();
        let scene = self.scene(Some(incident), &timeline, &open);
        let news = timeline.iter().filter(|entry| entry.seq > told && !matches!(entry.fact, Fact::CardPosted { .. }));
        for entry in news {
            if let Fact::PlanShown { plan, .. } = &entry.fact {
                tell(&plan_text(&scene, locale, plan)?);
            }
            tell(&facts::line(&scene, locale, entry, Medium::Plain)?);
        }
        Ok(timeline.last().map_or(told, |entry| entry.seq))
    }

    /// The incident that the line was about.
    async fn meant(&self, question: &Question<'_>, command: &Command) -> Result<Option<IncidentId>, StoreFault> {
        if question.named.is_some() {
            return Ok(question.named);
        }
        let newest = self.store.recent_incidents(1).await?.pop();
        if command.may_declare() {
            let own = newest.filter(|newest| newest.declared.by == Actor::Person(question.user.clone()));
            return Ok(own.map(|own| own.id));
        }
        let open = self.store.every_open_incident().await?;
        Ok(open.first().copied().filter(|_| open.len() == 1 && command.needs_incident()))
    }

    /// How far the timeline is already.
    async fn seen(&self, named: Option<IncidentId>) -> Result<u64, StoreFault> {
        let known = match named {
            Some(id) => Some(id),
            None => self.store.every_open_incident().await?.first().copied(),
        };
        let incident = match known {
            Some(id) => self.store.incident(id).await?,
            None => None,
        };
        Ok(incident.map_or(0, |incident| incident.seq))
    }

    fn locale(&self, user: &UserId) -> Locale {
        let own = self.rules.contact_of(user).and_then(|contact| contact.locale.as_deref());
        own.unwrap_or(&self.rules.locale).parse().unwrap_or_default()
    }

    fn plain(&self, incident: Option<&Incident>, locale: Locale, said: &Words) -> Result<String, RenderFault> {
        let open = OpenIncidents::default();
        words::plain(&self.scene(incident, &[], &open), locale, said)
    }

    fn scene<'a>(
        &'a self,
        incident: Option<&'a Incident>,
        timeline: &'a [Entry],
        open: &'a OpenIncidents,
    ) -> Scene<'a> {
        Scene { incident, timeline, ..Scene::bare(&self.rules, &self.render, self.clock.now(), open) }
    }

    /// The runs of an incident.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs(&self, incident: IncidentId) -> Result<BTreeSet<RunId>, StoreFault> {
        let incident = self.store.incident(incident).await?;
        Ok(incident.map(|incident| incident.runs.keys().copied().collect()).unwrap_or_default())
    }

    /// Lets others have the database.
    pub async fn close(self) {
        self.store.close().await;
    }
}

/// What was asked.
struct Question<'a> {
    ask: &'a str,
    source: &'a str,
    user: &'a UserId,
    locale: Locale,
    named: Option<IncidentId>,
    before: u64,
}

fn is_under_way(run: &Run) -> bool {
    matches!(
        run.phase,
        Phase::Planning | Phase::Announcing { .. } | Phase::Released | Phase::Running | Phase::Verifying
    )
}

/// Slack that is not there. Its lanes are not served from a terminal, so nobody should ever ask.
#[derive(Debug)]
struct Offline;

fn nobody() -> SlackFault {
    let why = "A terminal does not speak to Slack.".to_owned();
    SlackFault::Retry { after: None, code: "terminal".to_owned(), why }
}

#[async_trait]
impl Chat for Offline {
    async fn carry_out(&self, _: &Scene<'_>, _: &Effect, _: u32) -> Result<Vec<Report>, SlackFault> {
        Err(nobody())
    }

    async fn page(&self, _: &Scene<'_>, _: PageId, _: &Contact, _: u32) -> Result<MessageRef, SlackFault> {
        Err(nobody())
    }

    async fn post_text(&self, _: &ChannelId, _: &str, _: &str, _: u32) -> Result<MessageRef, SlackFault> {
        Err(nobody())
    }

    fn workspace(&self) -> Option<&str> {
        None
    }

    async fn sing(&self, _: &ChannelId, _: &str, _: Instant) -> Result<(), SlackFault> {
        Err(nobody())
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
