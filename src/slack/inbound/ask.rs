//! A command line that somebody gave, by typing, clicking or filling in a dialog.

use super::super::views::{self, Reason};
use super::Inbound;
use crate::incident::command::{Command, Line, Modal};
use crate::incident::decision::{Context, Input, ReplyTo, decide};
use crate::incident::id::{ChannelId, IncidentId, RunId, UserId};
use crate::incident::people::Actor;
use crate::incident::state::Incident;
use crate::incident::words::Words;
use crate::store::{StoreFault, Target};

/// A line with everything around it.
pub(super) struct Ask {
    pub line: Line,
    pub user: UserId,
    pub channel: Option<ChannelId>,
    pub response_url: Option<String>,
    /// Slack's permission to open a dialog.
    pub trigger: String,
    /// It was a button, not typed.
    pub clicked: bool,
    /// The delivery's name in the inbox.
    pub source: String,
}

/// The dialog that a line opens instead of acting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialog<'c> {
    /// The command came without what it needs.
    Of(Modal<'c>),
    /// A button has no reason yet; who typed `reject run_7_1` did not want to give one.
    Reason(Reason, RunId),
    /// A button does not say yet to whom.
    HandOver(RunId),
}

/// What became of it.
pub(super) enum Asked {
    /// It is in the inbox; the answer comes from there.
    Stored,
    /// A dialog is open.
    Opened,
    /// It was answered at once.
    Answer(Words),
}

impl Ask {
    fn dialog(&self) -> Option<Dialog<'_>> {
        match &self.line.command {
            Command::Reject(reject) if self.clicked && reject.reason.optional().is_none() => {
                Some(Dialog::Reason(Reason::Reject, reject.run))
            }
            Command::Approve(approve)
                if self.clicked && approve.override_reason.as_ref().is_some_and(|reason| reason.trim().is_empty()) =>
            {
                Some(Dialog::Reason(Reason::Override, approve.run))
            }
            Command::Skip(skip) if self.clicked && skip.reason.optional().is_none() => {
                Some(Dialog::Reason(Reason::Skip, skip.run))
            }
            Command::Handover(handover) if self.clicked && handover.whom.is_none() => {
                Some(Dialog::HandOver(handover.run))
            }
            command => command.modal().map(Dialog::Of),
        }
    }

    fn input(&self) -> Input {
        Input::Command {
            by: Actor::Person(self.user.clone()),
            command: Box::new(self.line.command.clone()),
            channel: self.channel.clone(),
            reply: self.reply(),
        }
    }

    /// Which incident is meant, as far as the line and its place say.
    fn target(&self) -> Target {
        Target { incident: self.line.incident.or_else(|| self.line.command.incident()), channel: self.channel.clone() }
    }

    pub fn reply(&self) -> ReplyTo {
        ReplyTo::Person {
            user: self.user.clone(),
            channel: self.channel.clone(),
            response_url: self.response_url.clone(),
        }
    }
}

impl Inbound {
    /// Opens the dialog that the line asks for, or puts the line into the inbox.
    pub(super) async fn ask(&self, ask: Ask) -> Asked {
        match ask.dialog() {
            Some(dialog) if !ask.trigger.is_empty() => self.open_dialog(&ask, dialog).await,
            _ => self.store_line(ask).await,
        }
    }

    /// What the rules say to the line as things stand. It is asked before a dialog closes, so that what was written in
    /// it is not lost; the line is decided upon all the same when its turn comes.
    pub(super) async fn would_be_refused(&self, ask: &Ask) -> Result<Option<Words>, StoreFault> {
        let incident = if ask.line.command.needs_incident() {
            match self.store.meant(&ask.target()).await? {
                Ok(incident) => Some(incident),
                Err(absent) => return Ok(Some(absent.refusal().0)),
            }
        } else {
            None
        };
        let (by, reply) = (Actor::Person(ask.user.clone()), ask.reply());
        let context = Context {
            rules: &self.rules,
            now: self.clock.now(),
            by: &by,
            channel: ask.channel.as_ref(),
            reply: &reply,
            // Nothing is declared here.
            fresh: IncidentId(0),
            member_of: None,
        };
        Ok(decide(context, incident.as_ref(), &ask.input()).err().map(|refusal| refusal.0))
    }

    /// Puts the line into the inbox.
    pub(super) async fn store_line(&self, ask: Ask) -> Asked {
        let (target, input) = (ask.target(), ask.input());
        let is_kept = match self.receive(&ask.source, target, &input).await {
            Ok(false) => self.store.received_this(&ask.source, &input).await,
            new => new,
        };
        match is_kept {
            Ok(true) => Asked::Stored,
            // A dialog that was changed and sent off again, for the answer to its first text was lost.
            Ok(false) => Asked::Answer(Words::new("refusal.already_taken")),
            Err(fault) => Asked::Answer(self.sorry("a command", &fault)),
        }
    }

    /// At once: Slack's permission lives 3 s. What takes longer is left to its own and answered by nobody.
    async fn open_dialog(&self, ask: &Ask, dialog: Dialog<'_>) -> Asked {
        let incident = match dialog {
            Dialog::Of(Modal::Start(_)) => None,
            _ => match self.store.meant(&ask.target()).await {
                Ok(Ok(incident)) => match refusal(dialog, &incident) {
                    Some(refusal) => return Asked::Answer(refusal),
                    None => Some(incident),
                },
                Ok(Err(absent)) => return Asked::Answer(absent.refusal().0),
                Err(fault) => return Asked::Answer(self.sorry("a dialog", &fault)),
            },
        };
        let shown = match self.shown(incident, false).await {
            Ok(shown) => shown,
            Err(fault) => return Asked::Answer(self.sorry("a dialog", &fault)),
        };
        let (scene, channel) = (self.scene(&shown), ask.channel.as_ref());
        let drawn = match dialog {
            Dialog::Of(modal) => views::modal(&scene, modal, &ask.user, channel),
            Dialog::Reason(reason, run) => views::reason(&scene, reason, run, &ask.user, channel),
            Dialog::HandOver(run) => views::hand_over(&scene, run, &ask.user, channel),
        };
        let view = match drawn {
            Ok(view) => view,
            Err(fault) => return Asked::Answer(self.sorry("a dialog", &fault)),
        };
        let opening = self.slack.open_view(&ask.trigger, &view);
        match tokio::time::timeout(super::ACK_BEFORE, opening).await {
            Ok(Ok(())) => Asked::Opened,
            // A copy of a delivery that was answered before.
            Ok(Err(fault)) if fault.is_one_of(&["exchanged_trigger_id", "trigger_exchanged"]) => Asked::Opened,
            Ok(Err(fault)) => Asked::Answer(self.sorry("a dialog", &fault)),
            Err(late) => Asked::Answer(self.sorry("a dialog", &late)),
        }
    }
}

/// Why a dialog is not opened: said before somebody has written a text for nothing. An update may be written after the
/// end: people want to know that it is over.
fn refusal(dialog: Dialog<'_>, incident: &Incident) -> Option<Words> {
    let not_open = || {
        Words::new("refusal.not_open").with("incident", incident.id.to_string()).with("status", incident.status.word())
    };
    (!matches!(dialog, Dialog::Of(Modal::Update(_))) && !incident.status.is_open()).then(not_open)
}
