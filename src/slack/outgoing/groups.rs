//! User groups: asked when somebody decides, and never remembered, for people come and go.

use serde_json::Value;

use super::super::budget::Urgency;
use super::super::client::Slack;
use super::super::fault::SlackFault;
use crate::incident::decision::{Effect, Report};

impl Slack {
    /// Asks which of the groups somebody is a member of at this moment.
    pub(super) async fn ask_groups(&self, effect: &Effect) -> Result<Vec<Report>, SlackFault> {
        const METHOD: &str = "usergroups.users.list";
        let Effect::AskGroups { by, groups, command, channel, reply } = effect else { return Ok(Vec::new()) };
        let mut member_of = Vec::new();
        for group in groups {
            let answer = match self.get(METHOD, Urgency::Person, &[("usergroup", group.clone())]).await {
                // Nobody is in a group that is gone.
                Err(fault) if fault.is_one_of(&["no_such_subteam", "subteam_not_found"]) => continue,
                answer => answer?,
            };
            let members = answer.get("users").and_then(Value::as_array);
            if members.into_iter().flatten().any(|member| member.as_str() == Some(by.0.as_str())) {
                member_of.push(group.clone());
            }
        }
        Ok(vec![Report::GroupsSeen {
            by: by.clone(),
            member_of: Ok(member_of),
            command: command.clone(),
            channel: channel.clone(),
            reply: reply.clone(),
        }])
    }
}
