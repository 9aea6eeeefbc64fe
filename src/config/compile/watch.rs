//! How Vigie looks after itself.

use super::{Contacts, Sources};
use crate::config::WatchConfig;
use crate::config::fault::Findings;
use crate::incident::id::ChannelId;
use crate::incident::people::Way;
use crate::paging::checked_url;

impl Sources<'_> {
    /// Everybody who is told must be reachable by something that is not Slack: Slack is what may be down.
    pub fn watch(&self, contacts: &Contacts, findings: &mut Findings<'_>) -> WatchConfig {
        let written = &self.file.watch;
        let tell = self.people(&written.tell, contacts, findings);
        for contact in &tell {
            let mut ways = contact.page_with.iter().chain(&contact.fall_over);
            if !ways.any(|way| *way != Way::Slack) {
                let place = written.tell.iter().find(|key| key.0 == contact.key).map(|key| key.place);
                let what = format!("“{}” could not be told that Slack is down: Slack is their only way", contact.key);
                findings.fault(place, what, "give them another under page_with or fall_over, such as email");
            }
        }
        let heartbeat = written.heartbeat.as_ref().and_then(|link| match checked_url(&link.value.0, false) {
            Ok(url) => Some(url),
            Err(why) => {
                findings.fault(
                    Some(link.place),
                    format!("heartbeat: {why}"),
                    "give the address that your service shows",
                );
                None
            }
        });
        let canary = written.canary.as_ref().map(|channel| ChannelId(channel.0.clone()));
        WatchConfig { tell, heartbeat, canary }
    }
}
