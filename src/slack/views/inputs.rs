//! Builders of inputs and of the dialog around them, within Slack's limits (platform facts, section 2.3).

use serde_json::{Value, json};
use slack_morphism::prelude::*;

use crate::incident::id::{ChannelId, IncidentId, RunId};
use crate::render::RenderFault;
use crate::slack::cards::blocks::{Part, plain, surface};
use crate::slack::cards::markup::fit;
use crate::slack::cards::pen::Pen;

/// Title, submit and close of a dialog.
pub(super) const TITLE: usize = 24;
/// The longest text that an input takes.
pub(super) const TEXT: usize = 3_000;
const LABEL: usize = 2_000;
const HINT: usize = 2_000;
const OPTION: usize = 75;
const OPTIONS: usize = 100;
const PLACEHOLDER: usize = 150;

/// An input in the making.
pub(super) struct Input {
    block: String,
    label: String,
    hint: Option<String>,
    optional: bool,
    dispatch: bool,
}

impl Input {
    /// An input that must be filled in, named by its `block_id`.
    pub(super) fn new(block: impl Into<String>, label: String) -> Self {
        Self { block: block.into(), label, hint: None, optional: false, dispatch: false }
    }

    pub(super) fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub(super) fn hint(mut self, hint: String) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Every choice is told at once, so that the dialog can be drawn anew.
    pub(super) fn at_once(mut self) -> Self {
        self.dispatch = true;
        self
    }

    fn build(self, element: SlackInputBlockElement) -> Part {
        let block = SlackInputBlock::new(plain(&self.label, LABEL), element)
            .with_block_id(SlackBlockId(self.block))
            .with_optional(self.optional)
            .opt_hint(self.hint.map(|hint| plain(&hint, HINT)))
            .opt_dispatch_action(self.dispatch.then_some(true));
        Part::Input(Box::new(block))
    }

    /// Free text.
    pub(super) fn text(self, initial: Option<&str>, lines: bool) -> Part {
        let initial = initial.map(|text| fit(text, TEXT)).filter(|text| !text.is_empty());
        let element = SlackBlockPlainTextInputElement::new()
            .with_action_id("text".into())
            .with_multiline(lines)
            .with_max_length(TEXT as u64)
            .opt_initial_value(initial);
        self.build(element.into())
    }

    /// One of several; nothing can be chosen when there are none, so there is no input then.
    pub(super) fn one_of(
        self,
        options: Vec<Choice>,
        initial: Option<&str>,
        placeholder: Option<String>,
    ) -> Option<Part> {
        let all: Vec<_> = options.into_iter().filter(Choice::fits).take(OPTIONS).map(Choice::build).collect();
        if all.is_empty() {
            return None;
        }
        let initial = all.iter().find(|option| Some(option.value.as_str()) == initial).cloned();
        let element = SlackBlockStaticSelectElement::new()
            .with_action_id("choice".into())
            .with_options(all)
            .opt_initial_option(initial)
            .opt_placeholder(placeholder.map(|text| plain(&text, PLACEHOLDER)));
        Some(self.build(element.into()))
    }

    /// One box to tick, ticked already or not.
    pub(super) fn tick(self, value: &str, text: &str, ticked: bool) -> Part {
        let text = SlackBlockText::Plain(SlackBlockPlainText::new(fit(text, OPTION)));
        let option = SlackBlockChoiceItem::new(text, value.to_owned());
        let element = SlackBlockCheckboxesElement::new(vec![option.clone()])
            .with_action_id("ticked".into())
            .opt_initial_options(ticked.then(|| vec![option]));
        self.build(element.into())
    }
}

/// One line of a select.
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) value: String,
    pub(super) description: Option<String>,
}

impl Choice {
    /// A value that had to be cut would mean something else.
    fn fits(&self) -> bool {
        !self.value.is_empty() && self.value.encode_utf16().count() <= OPTION && !self.text.trim().is_empty()
    }

    fn build(self) -> SlackBlockChoiceItem<SlackBlockPlainTextOnly> {
        let description = self.description.filter(|text| !text.trim().is_empty());
        SlackBlockChoiceItem::new(plain(&self.text, OPTION), self.value)
            .opt_description(description.map(|text| plain(&text, OPTION)))
    }
}

/// What a dialog remembers between being opened and being sent off.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory<'a> {
    pub(super) incident: Option<IncidentId>,
    pub(super) run: Option<RunId>,
    pub(super) channel: Option<&'a ChannelId>,
}

impl Memory<'_> {
    fn text(&self) -> String {
        let mut memory = json!({});
        if let Some(incident) = self.incident {
            memory["incident"] = json!(incident);
        }
        if let Some(run) = self.run {
            memory["run"] = json!(run);
        }
        if let Some(channel) = self.channel {
            memory["channel"] = json!(channel);
        }
        memory.to_string()
    }
}

/// The dialog: its words are the labels `view.<callback>.title` and `view.<callback>.submit`.
pub(super) fn dialog(
    pen: &Pen<'_>,
    callback: &str,
    memory: &Memory<'_>,
    parts: Vec<Part>,
) -> Result<Value, RenderFault> {
    let word = |end: &str| pen.word(&format!("view.{callback}.{end}"));
    let view = SlackModalView::new(plain(&word("title")?, TITLE), surface(parts))
        .with_callback_id(SlackCallbackId(callback.to_owned()))
        .with_private_metadata(memory.text())
        .with_submit(plain(&word("submit")?, TITLE))
        .with_close(plain(&pen.word("view.close")?, TITLE));
    as_json(pen, callback, &SlackView::Modal(view))
}

/// The view as Slack's JSON.
pub(super) fn as_json(pen: &Pen<'_>, name: &str, view: &SlackView) -> Result<Value, RenderFault> {
    serde_json::to_value(view).map_err(|cause| RenderFault::Fill {
        name: name.to_owned(),
        locale: pen.locale,
        why: cause.to_string(),
    })
}
