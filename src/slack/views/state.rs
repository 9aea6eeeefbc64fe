//! What somebody filled in, read from the raw `view.state.values`: typed models drop some of it.

use serde_json::Value;

use crate::incident::id::{ChannelId, IncidentId, RunId};

/// The view of a payload, with its state.
pub(super) struct Filled<'p> {
    view: Option<&'p Value>,
    memory: Value,
}

impl<'p> Filled<'p> {
    /// Of a `view_submission` or `block_actions` payload. A payload without a view is one in which nothing is filled in.
    pub(super) fn of(payload: &'p Value) -> Self {
        let view = payload.get("view");
        let memory = view.and_then(|view| view.get("private_metadata")).and_then(Value::as_str);
        let memory = memory.and_then(|memory| serde_json::from_str(memory).ok());
        Self { view, memory: memory.unwrap_or_default() }
    }

    pub(super) fn callback(&self) -> &'p str {
        self.view.and_then(|view| view.get("callback_id")).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn incident(&self) -> Option<IncidentId> {
        self.memory.get("incident")?.as_str()?.parse().ok()
    }

    pub(super) fn run(&self) -> Option<RunId> {
        self.memory.get("run")?.as_str()?.parse().ok()
    }

    pub(super) fn channel(&self) -> Option<ChannelId> {
        self.memory.get("channel")?.as_str().map(ChannelId::from)
    }

    /// The text of the input whose `block_id` is `block`, or begins with `block` and a colon.
    pub(super) fn text(&self, block: &str) -> Option<String> {
        let text = self.value(block)?.get("value")?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The value chosen in a select.
    pub(super) fn choice(&self, block: &str) -> Option<&'p str> {
        self.value(block)?.get("selected_option")?.get("value")?.as_str()
    }

    /// The box is ticked.
    pub(super) fn is_ticked(&self, block: &str) -> bool {
        let options = self.value(block).and_then(|value| value.get("selected_options")).and_then(Value::as_array);
        options.is_some_and(|options| !options.is_empty())
    }

    /// The full `block_id` of an input, for messages that are shown under it.
    pub(super) fn block(&self, block: &str) -> Option<&'p str> {
        self.blocks()?.keys().find(|known| is_named(known, block)).map(String::as_str)
    }

    fn blocks(&self) -> Option<&'p serde_json::Map<String, Value>> {
        self.view?.get("state")?.get("values")?.as_object()
    }

    /// The one element of an input block.
    fn value(&self, block: &str) -> Option<&'p Value> {
        let (_, elements) = self.blocks()?.iter().find(|(known, _)| is_named(known, block))?;
        elements.as_object()?.values().next()
    }
}

fn is_named(known: &str, block: &str) -> bool {
    known.strip_prefix(block).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}
