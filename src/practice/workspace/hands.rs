//! What a person does with the app: commands, clicks, choices, shortcuts, modals. Each waits for the app's acknowledgement.

use std::time::Duration;

use serde_json::Value;

use super::super::envelope::{Answer, Kind};
use super::choices::{self, Found};
use super::payloads::Surface;
use super::person::{Acted, CommandAck, NotPossible, Person, SubmitOutcome, not};

impl Person {
    /// Types a slash command into a channel (`/incident`, `start sev2 …`) and waits for the acknowledgement, which
    /// Slack shows.
    pub async fn command(&self, channel: &str, command: &str, text: &str) -> CommandAck {
        let prepared = self.ws.with(|state| {
            if state.manifest.command(command).is_none() || !state.manifest.has_scope("commands") {
                return not(format!("{command} is not a valid command"));
            }
            let id = state.writable(&self.id, channel)?;
            Ok((state.slash_command(&self.id, &id, command, text), id))
        });
        let (payload, channel) = match prepared {
            Ok(prepared) => prepared,
            Err(NotPossible(why)) => {
                return CommandAck { payload: None, elapsed: Duration::ZERO, failure: Some(why) };
            }
        };
        match self.ws.courier().deliver(Kind::Command, payload, true).await {
            Answer::Acked { payload, elapsed } => {
                if let Some(payload) = &payload {
                    self.ws.with(|state| state.show_command_answer(&channel, &self.id, payload));
                }
                CommandAck { payload, elapsed, failure: None }
            }
            Answer::TimedOut { elapsed } => {
                let failure = format!("{command} failed with the error \"operation_timeout\"");
                CommandAck { payload: None, elapsed, failure: Some(failure) }
            }
            Answer::Undelivered { why } => {
                let failure = format!("{command} failed with the error \"dispatch_failed\" ({why})");
                CommandAck { payload: None, elapsed: Duration::ZERO, failure: Some(failure) }
            }
        }
    }

    /// Clicks a button of a message (one only this person sees included), named by action id, `block id/action id`,
    /// its text or its value. A confirm dialog is confirmed.
    ///
    /// # Errors
    /// [`NotPossible`] when there is no such button for this person.
    pub async fn click(&self, channel: &str, ts: &str, wanted: &str) -> Result<Acted, NotPossible> {
        let surface = self.ws.read(|state| state.surface(&self.id, channel, ts))?;
        self.act(&surface, wanted, None).await
    }

    /// Clicks the button with this action id in the block with this id.
    ///
    /// # Errors
    /// As [`Person::click`].
    pub async fn click_block(&self, channel: &str, ts: &str, block: &str, action: &str) -> Result<Acted, NotPossible> {
        self.click(channel, ts, &format!("{block}/{action}")).await
    }

    /// Chooses something in a menu of a message: an option by its value or text, a user id, a date …
    ///
    /// # Errors
    /// [`NotPossible`] when there is no such menu or option.
    pub async fn select(
        &self,
        channel: &str,
        ts: &str,
        wanted: &str,
        choice: impl Into<Value>,
    ) -> Result<Acted, NotPossible> {
        let surface = self.ws.read(|state| state.surface(&self.id, channel, ts))?;
        self.act(&surface, wanted, Some(choice.into())).await
    }

    /// Clicks a button of an open modal.
    ///
    /// # Errors
    /// As [`Person::click`].
    pub async fn click_in_view(&self, view_id: &str, wanted: &str) -> Result<Acted, NotPossible> {
        let surface = self.open_surface(view_id)?;
        self.act(&surface, wanted, None).await
    }

    /// Chooses something in a menu of an open modal; the app hears of it as Slack would tell it.
    ///
    /// # Errors
    /// As [`Person::select`].
    pub async fn select_in_view(
        &self,
        view_id: &str,
        wanted: &str,
        choice: impl Into<Value>,
    ) -> Result<Acted, NotPossible> {
        let surface = self.open_surface(view_id)?;
        self.act(&surface, wanted, Some(choice.into())).await
    }

    /// Clicks a button of this person's Home.
    ///
    /// # Errors
    /// As [`Person::click`].
    pub async fn click_home(&self, wanted: &str) -> Result<Acted, NotPossible> {
        let surface = self.home_surface()?;
        self.act(&surface, wanted, None).await
    }

    /// Chooses something in a menu of this person's Home.
    ///
    /// # Errors
    /// As [`Person::select`].
    pub async fn select_home(&self, wanted: &str, choice: impl Into<Value>) -> Result<Acted, NotPossible> {
        let surface = self.home_surface()?;
        self.act(&surface, wanted, Some(choice.into())).await
    }

    pub(super) fn open_surface(&self, view_id: &str) -> Result<Surface, NotPossible> {
        let is_mine = self.ws.read(|state| state.views.get(view_id).is_some_and(|v| v.user == self.id && v.is_open));
        if !is_mine {
            return not(format!("{} has no open modal {view_id}", self.id));
        }
        Ok(Surface::View { id: view_id.to_owned() })
    }

    pub(super) fn home_surface(&self) -> Result<Surface, NotPossible> {
        match self.ws.read(|state| state.homes.get(&self.id).cloned()) {
            Some(id) => Ok(Surface::View { id }),
            None => not("the app has published no Home for this person"),
        }
    }

    /// Uses an element: a click, or a choice.
    async fn act(&self, surface: &Surface, wanted: &str, choice: Option<Value>) -> Result<Acted, NotPossible> {
        let found = self.ws.read(|state| state.element(&self.id, surface, wanted))?;
        let offered = match (&choice, found.kind().ends_with("external_select")) {
            (Some(choice), true) => self.offered(surface, &found, choice).await?,
            _ => Vec::new(),
        };
        let chosen = match choice {
            Some(choice) => {
                let choice = self.ws.read(|state| state.person_choice(&found, choice));
                Some(choices::value(&found, &choice, &offered).map_err(NotPossible)?)
            }
            None if found.kind() == "button" => None,
            None => return not(format!("a {} takes a choice, not a click", found.kind())),
        };
        let payload = self.ws.with(|state| {
            if let Some(chosen) = &chosen {
                state.remember(&self.id, surface, &found, chosen.clone());
            }
            // Inputs tell the app of a choice only when they were made to.
            state
                .dispatches(&self.id, surface, &found)
                .then(|| state.block_actions(&self.id, surface, &found, chosen.as_ref()))
        });
        match payload {
            Some(payload) => self.interact(payload, "The app did not respond.").await,
            None => Ok(Acted { elapsed: Duration::ZERO, failure: None }),
        }
    }

    /// Sends an interaction and waits for its acknowledgement.
    pub(super) async fn interact(&self, payload: Value, sentence: &str) -> Result<Acted, NotPossible> {
        let failed = |elapsed, why: &str| Acted { elapsed, failure: Some(format!("{sentence} ({why})")) };
        Ok(match self.deliver_interaction(payload, false).await? {
            Answer::Acked { elapsed, .. } => Acted { elapsed, failure: None },
            Answer::TimedOut { elapsed } => failed(elapsed, "operation_timeout"),
            Answer::Undelivered { why } => failed(Duration::ZERO, &why),
        })
    }

    async fn deliver_interaction(&self, payload: Value, accepts: bool) -> Result<Answer, NotPossible> {
        if !self.ws.manifest().settings.interactivity.is_enabled {
            return not("the app's manifest has interactivity switched off (settings.interactivity.is_enabled)");
        }
        Ok(self.ws.courier().deliver(Kind::Interaction, payload, accepts).await)
    }

    /// The options the app offers for what this person types into an external select.
    ///
    /// # Errors
    /// [`NotPossible`] when there is no such select, or the app does not answer.
    pub async fn suggestions_in_view(
        &self,
        view_id: &str,
        wanted: &str,
        typed: &str,
    ) -> Result<Vec<Value>, NotPossible> {
        let surface = self.open_surface(view_id)?;
        let found = self.ws.read(|state| state.element(&self.id, &surface, wanted))?;
        self.suggest(&surface, &found, typed).await
    }

    /// As [`Person::suggestions_in_view`], in a message.
    ///
    /// # Errors
    /// As [`Person::suggestions_in_view`].
    pub async fn suggestions(
        &self,
        channel: &str,
        ts: &str,
        wanted: &str,
        typed: &str,
    ) -> Result<Vec<Value>, NotPossible> {
        let surface = self.ws.read(|state| state.surface(&self.id, channel, ts))?;
        let found = self.ws.read(|state| state.element(&self.id, &surface, wanted))?;
        self.suggest(&surface, &found, typed).await
    }

    async fn offered(&self, surface: &Surface, found: &Found, choice: &Value) -> Result<Vec<Value>, NotPossible> {
        let mut offered = Vec::new();
        let wanted = match choice {
            Value::Array(many) => many.clone(),
            one => vec![one.clone()],
        };
        for one in wanted {
            let typed = one.as_str().or_else(|| one.pointer("/text/text").and_then(Value::as_str)).unwrap_or_default();
            offered.extend(self.suggest(surface, found, typed).await?);
        }
        Ok(offered)
    }

    async fn suggest(&self, surface: &Surface, found: &Found, typed: &str) -> Result<Vec<Value>, NotPossible> {
        let payload = self.ws.with(|state| state.block_suggestion(&self.id, surface, found, typed));
        match self.deliver_interaction(payload, true).await? {
            Answer::Acked { payload, .. } => Ok(choices::options(&payload.unwrap_or_default())),
            Answer::TimedOut { .. } => not("the app did not offer any options in time"),
            Answer::Undelivered { why } => not(format!("the app could not be asked for options: {why}")),
        }
    }

    /// Uses a global shortcut.
    ///
    /// # Errors
    /// [`NotPossible`] when the manifest has none with this callback id.
    pub async fn shortcut(&self, callback_id: &str) -> Result<Acted, NotPossible> {
        let payload = self.ws.with(|state| {
            if state.manifest.shortcut("global", callback_id).is_none() {
                return not(format!("the app has no global shortcut {callback_id}"));
            }
            Ok(state.shortcut(&self.id, callback_id))
        })?;
        self.interact(payload, "The shortcut did not work.").await
    }

    /// Uses a shortcut on a message.
    ///
    /// # Errors
    /// [`NotPossible`] when the manifest has none with this callback id, or there is no such message.
    pub async fn message_shortcut(&self, callback_id: &str, channel: &str, ts: &str) -> Result<Acted, NotPossible> {
        let payload = self.ws.with(|state| {
            if state.manifest.shortcut("message", callback_id).is_none() {
                return not(format!("the app has no message shortcut {callback_id}"));
            }
            let found = state.channel_for(&self.id, channel)?;
            let Some(message) = found.message(ts).cloned() else {
                return not(format!("there is no message {ts}"));
            };
            let channel = found.id.clone();
            Ok(state.message_action(&self.id, callback_id, &channel, &message))
        })?;
        self.interact(payload, "The shortcut did not work.").await
    }

    /// Fills in an open modal and submits it. `values` is an object: action id, block id or label → what is typed or
    /// chosen.
    ///
    /// # Errors
    /// [`NotPossible`] when the modal is not the topmost of this person, or has no such input or option.
    pub async fn submit(&self, view_id: &str, values: Value) -> Result<SubmitOutcome, NotPossible> {
        self.fill_in(view_id, values).await?;
        self.send_form(view_id).await
    }

    /// Submits the topmost modal as it is filled in.
    pub(super) async fn send_form(&self, view_id: &str) -> Result<SubmitOutcome, NotPossible> {
        let payload = self.ws.with(|state| {
            if state.top_view(&self.id).is_none_or(|view| view.id != view_id) {
                return not(format!("{view_id} is not the topmost modal"));
            }
            let Some(view) = state.views.get(view_id) else {
                return not("the modal is gone");
            };
            if view.body.get("submit").is_none_or(Value::is_null) {
                return not("this modal has no submit button");
            }
            let blocks = view.body.get("blocks").cloned().unwrap_or_default();
            let faults = choices::form_faults(&blocks, &view.values);
            if faults.is_empty() { Ok(Ok(state.view_submission(&self.id, view_id))) } else { Ok(Err(faults)) }
        })?;
        let payload = match payload {
            Ok(payload) => payload,
            Err(faults) => return Ok(SubmitOutcome::Errors(faults)),
        };
        let failed =
            |why: &str| Ok(SubmitOutcome::Failed(format!("We had some trouble connecting. Try again? ({why})")));
        match self.deliver_interaction(payload, true).await? {
            Answer::Acked { payload, .. } => {
                let outcome = self.ws.with(|state| state.after_submit(&self.id, view_id, payload.as_ref()));
                for view in outcome.closed {
                    self.tell_closed(view, true).await?;
                }
                Ok(outcome.seen)
            }
            Answer::TimedOut { .. } => failed("operation_timeout"),
            Answer::Undelivered { why } => failed(&why),
        }
    }

    /// Types and chooses in an open modal without submitting it; `values` as in [`Person::submit`].
    ///
    /// # Errors
    /// As [`Person::submit`].
    pub async fn fill_in(&self, view_id: &str, values: Value) -> Result<(), NotPossible> {
        self.open_surface(view_id)?;
        for (wanted, choice) in values.as_object().into_iter().flatten() {
            self.fill(view_id, wanted, choice.clone()).await?;
        }
        Ok(())
    }

    async fn fill(&self, view_id: &str, wanted: &str, choice: Value) -> Result<(), NotPossible> {
        let surface = Surface::View { id: view_id.to_owned() };
        let found = self.ws.read(|state| state.input(view_id, wanted))?;
        let offered = if found.kind().ends_with("external_select") {
            self.offered(&surface, &found, &choice).await?
        } else {
            Vec::new()
        };
        let choice = self.ws.read(|state| state.person_choice(&found, choice));
        let value = choices::value(&found, &choice, &offered).map_err(NotPossible)?;
        self.ws.with(|state| state.remember(&self.id, &surface, &found, value));
        Ok(())
    }

    /// Closes the topmost modal, which must be this one; the app is told when it asked for that.
    ///
    /// # Errors
    /// [`NotPossible`] when it is not the topmost.
    pub async fn close(&self, view_id: &str) -> Result<(), NotPossible> {
        let closed = self.ws.with(|state| {
            if state.top_view(&self.id).is_none_or(|view| view.id != view_id) {
                return not(format!("{view_id} is not the topmost modal of {}", self.id));
            }
            let clears = state.views.get(view_id).is_some_and(|view| view.body["clear_on_close"] == true);
            Ok(if clears {
                (state.close_all(&self.id), true)
            } else {
                (state.close_top(&self.id).into_iter().collect(), false)
            })
        })?;
        for view in closed.0 {
            self.tell_closed(view, closed.1).await?;
        }
        Ok(())
    }

    async fn tell_closed(&self, view: super::View, is_cleared: bool) -> Result<(), NotPossible> {
        if view.body.get("notify_on_close") == Some(&Value::Bool(true)) {
            let payload = self.ws.with(|state| state.view_closed(&self.id, view.json(), is_cleared));
            self.interact(payload, "The app did not hear that the modal was closed.").await?;
        }
        Ok(())
    }
}
