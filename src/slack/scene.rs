//! What a card is drawn from: everything it may look at, gathered before, so that drawing is a plain function.

use slack_morphism::prelude::SlackBlock;

use crate::incident::rules::Rules;
use crate::incident::state::{Incident, Progress};
use crate::incident::time::Instant;
use crate::incident::timeline::Entry;
use crate::incident::waiting::OpenIncidents;
use crate::render::Renderer;

/// What drawing may look at.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The team's rules.
    pub rules: &'a Rules,
    /// Texts.
    pub render: &'a Renderer,
    /// Now.
    pub now: Instant,
    /// The incident, for everything that belongs to one.
    pub incident: Option<&'a Incident>,
    /// Its timeline, oldest first.
    pub timeline: &'a [Entry],
    /// The open incidents; for lists and Home.
    pub open: &'a OpenIncidents,
    /// How the running step of the run that is drawn goes, as it was last told.
    pub progress: Option<&'a Progress>,
    /// The content of the kept file that is shared.
    pub kept: Option<&'a str>,
    /// The workspace's address, once Slack has told it; for links to the incident's channel.
    pub workspace: Option<&'a str>,
}

impl<'a> Scene<'a> {
    /// Nothing but the plan: no incident, and no word from Slack.
    pub const fn bare(rules: &'a Rules, render: &'a Renderer, now: Instant, open: &'a OpenIncidents) -> Self {
        Self { rules, render, now, incident: None, timeline: &[], open, progress: None, kept: None, workspace: None }
    }
}

/// A message ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// What notifications and screen readers say: the first line, never empty.
    pub text: String,
    /// The blocks; at most 50.
    pub blocks: Vec<SlackBlock>,
}
