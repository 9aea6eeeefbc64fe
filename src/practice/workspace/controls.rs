//! What a client that draws Block Kit itself (the practice page) does with it: it knows the control, what was chosen and
//! every input on the surface already, in the shapes of Slack's own payloads.

use std::time::Duration;

use serde_json::{Map, Value};

use super::choices;
use super::payloads::Surface;
use super::person::{Acted, NotPossible, Person, SubmitOutcome, not};
use super::state::State;

/// Where a control is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A message, one that only this person sees included.
    Message { channel: String, ts: String },
    /// An open modal, by the id of its view.
    View(String),
    /// The app's Home.
    Home,
}

/// A control as it was used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Use {
    pub block_id: String,
    pub action_id: String,
    /// What was chosen, in the field names of an entry of `actions`: `value`, `selected_option`, `selected_user` …
    pub chosen: Map<String, Value>,
    /// Every input on the surface, as `state.values`; none leaves them as they were.
    pub values: Option<Map<String, Value>>,
}

impl State {
    /// Takes the values of a surface's inputs as its client knows them; only of inputs that are there.
    pub fn take_values(&mut self, user: &str, surface: &Surface, values: &Map<String, Value>) {
        let blocks = self.blocks_of(user, surface).unwrap_or_default();
        for found in choices::elements(&blocks) {
            let Some(key) = choices::value_key(found.kind()) else {
                continue;
            };
            let entry = values.get(&found.block_id).and_then(|block| block.get(&found.action_id));
            if let Some(entry) = entry {
                let value = entry.get(key).cloned().unwrap_or(Value::Null);
                self.remember(user, surface, &found, value);
            }
        }
    }
}

impl Person {
    /// Uses a control; the app is told as Slack would tell it.
    ///
    /// # Errors
    /// [`NotPossible`] when there is no such control for this person.
    pub async fn use_control(&self, place: &Place, used: Use) -> Result<Acted, NotPossible> {
        let surface = match place {
            Place::Message { channel, ts } => self.ws.read(|state| state.surface(&self.id, channel, ts))?,
            Place::View(id) => self.open_surface(id)?,
            Place::Home => self.home_surface()?,
        };
        let wanted = format!("{}/{}", used.block_id, used.action_id);
        let payload = self.ws.with(|state| {
            let found = state.element(&self.id, &surface, &wanted)?;
            if let Some(values) = &used.values {
                state.take_values(&self.id, &surface, values);
            }
            let key = choices::chosen_key(found.kind());
            let chosen = key.and_then(|key| used.chosen.get(key)).cloned();
            if let Some(chosen) = &chosen {
                state.remember(&self.id, &surface, &found, chosen.clone());
            }
            let sends = state.dispatches(&self.id, &surface, &found);
            Ok(sends.then(|| state.block_actions(&self.id, &surface, &found, chosen.as_ref())))
        })?;
        match payload {
            Some(payload) => self.interact(payload, "The app did not respond.").await,
            None => Ok(Acted { elapsed: Duration::ZERO, failure: None }),
        }
    }

    /// Submits the topmost modal with the values of its inputs as its client knows them (`state.values`).
    ///
    /// # Errors
    /// [`NotPossible`] when the modal is not the topmost of this person.
    pub async fn submit_values(&self, view_id: &str, values: &Value) -> Result<SubmitOutcome, NotPossible> {
        let surface = self.open_surface(view_id)?;
        let Some(values) = values.as_object() else {
            return not("the values of a modal are an object");
        };
        self.ws.with(|state| state.take_values(&self.id, &surface, values));
        self.send_form(view_id).await
    }
}
