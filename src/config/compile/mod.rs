//! From the file to what the rooms need: references are looked up, what cannot work together is found.

mod actions;
mod people;
mod rooms;
mod severities;
mod updates;
mod watch;

use std::collections::BTreeSet;
use std::path::Path;

use super::Config;
use super::fault::{Findings, Place};
use super::file::File;
use super::near;
use super::node::Node;
use super::words::{ApproverWord, Approving, At, Entries, Name};
use crate::incident::approval::Approver;
use crate::incident::id::{ChannelId, UserId};
use crate::incident::rules::Rules;

/// What compiling looks at.
struct Sources<'a> {
    file: &'a File,
    root: &'a Node,
    broken: &'a BTreeSet<String>,
}

/// Compiles the file. Faults and warnings are noted; the result is only of use when no fault was.
pub(super) fn compile(
    file: &File,
    root: &Node,
    broken: &BTreeSet<String>,
    folder: Option<&Path>,
    findings: &mut Findings<'_>,
) -> Config {
    let sources = Sources { file, root, broken };
    let contacts = sources.contacts(findings);
    let severities = sources.severities(&contacts, findings);
    let (services, actions) = (sources.services(findings), sources.actions(&contacts, findings));
    let workspace = &file.workspace;
    let rules = Rules {
        default_severity: sources.default_severity(findings),
        severities,
        accounts: sources.accounts(findings),
        services,
        actions,
        announce_in: workspace.announce_in.as_ref().map(|channel| ChannelId(channel.0.clone())),
        locale: workspace.locale.0.clone(),
        zone: workspace.zone.0.clone(),
        channel_prefix: workspace.channel_prefix.0.clone(),
        private_channels: workspace.private_channels,
        customer_approval: sources.customer_approval(&contacts, findings),
        audiences: sources.audiences(),
        invite_always: sources.invited(&contacts, findings),
        snooze: workspace.snooze.0,
        status_page: workspace.status_page.as_ref().map(|link| link.0.clone()),
        customer_contact: workspace.customer_contact.clone(),
        company: workspace.company.clone(),
        contacts,
    };
    sources.rooms(findings);
    sources.check_windows(findings);
    sources.check_secrets(findings);
    let watch = sources.watch(&rules.contacts, findings);
    Config {
        rules,
        paging: file.paging.clone(),
        comms: sources.comms_room(),
        actions: sources.actions_room(),
        templates: sources.templates(folder, findings),
        watch,
        warnings: Vec::new(),
    }
}

/// The contacts as the core knows them.
type Contacts = std::collections::BTreeMap<String, crate::incident::people::Contact>;

impl Sources<'_> {
    /// The entry or list of this path had a fault of its own, so nothing is known about what it holds.
    fn is_broken(&self, path: &str) -> bool {
        let within = |broken: &String| {
            broken == path || path.strip_prefix(broken.as_str()).is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        self.broken.iter().any(within)
    }

    /// Something in this section had a fault of its own.
    fn has_faults(&self, section: &str) -> bool {
        self.broken.iter().any(|broken| broken.split(['.', '[']).next() == Some(section))
    }

    /// Notes a name that nothing in `section` bears; says whether it is good.
    fn refers<T>(
        &self,
        section: &str,
        what: &str,
        entries: &Entries<T>,
        name: &str,
        place: Place,
        findings: &mut Findings<'_>,
    ) -> bool {
        if entries.get(name).is_some() {
            return true;
        }
        if !self.is_broken(&format!("{section}.{name}")) {
            let cure = near::cure(name, entries.names());
            findings.fault(Some(place), format!("there is no {what} “{name}” under {section}"), cure);
        }
        false
    }

    /// The contacts of a list of keys, without those whose fault is noted.
    fn people(
        &self,
        keys: &[At<Name>],
        contacts: &Contacts,
        findings: &mut Findings<'_>,
    ) -> Vec<crate::incident::people::Contact> {
        let mut found: Vec<crate::incident::people::Contact> = Vec::new();
        for key in keys {
            if !self.refers("contacts", "contact", &self.file.contacts, &key.0, key.place, findings) {
                continue;
            }
            if found.iter().any(|contact| contact.key == key.0) {
                findings.warning(Some(key.place), format!("“{}” stands in this list twice", key.0), "keep one");
            } else if let Some(contact) = contacts.get(&key.0) {
                found.push(contact.clone());
            }
        }
        found
    }

    /// Those who may approve. A contact needs a Slack ID for that.
    fn approvers(&self, words: &[At<ApproverWord>], contacts: &Contacts, findings: &mut Findings<'_>) -> Vec<Approver> {
        let mut approvers: Vec<Approver> = Vec::new();
        for word in words {
            let approver = match &word.value.0 {
                Approving::Role(role) => Some(Approver::Role(*role)),
                Approving::Group(group) => Some(Approver::Group(group.clone())),
                Approving::Contact(key) => {
                    self.refers("contacts", "contact", &self.file.contacts, key, word.place, findings);
                    contacts.get(key).and_then(|contact| match &contact.slack {
                        Some(user) => Some(Approver::Contact { user: user.clone(), name: contact.name.clone() }),
                        None if self.is_broken(&format!("contacts.{key}.slack")) => None,
                        None => {
                            let what = format!("“{key}” cannot approve anything without a Slack ID");
                            findings.fault(
                                Some(word.place),
                                what,
                                format!("add “slack: U…” to “{key}” under contacts"),
                            );
                            None
                        }
                    })
                }
            };
            match approver {
                Some(approver) if approvers.contains(&approver) => {
                    findings.warning(Some(word.place), "the same approver stands in this list twice", "keep one");
                }
                Some(approver) => approvers.push(approver),
                None => {}
            }
        }
        approvers
    }

    fn invited(&self, contacts: &Contacts, findings: &mut Findings<'_>) -> Vec<UserId> {
        let keys = &self.file.workspace.invite;
        let mut users = Vec::new();
        for contact in self.people(keys, contacts, findings) {
            match contact.slack {
                Some(user) => users.push(user),
                None if self.is_broken(&format!("contacts.{}.slack", contact.key)) => {}
                None => {
                    let place = keys.iter().find(|key| key.0 == contact.key).map(|key| key.place);
                    let what = format!("“{}” cannot be invited without a Slack ID", contact.key);
                    findings.fault(place, what, format!("add “slack: U…” to “{}” under contacts", contact.key));
                }
            }
        }
        users
    }

    /// Notes words that mean two things in one section, whatever their case.
    fn distinct<'w>(
        &self,
        what: &str,
        words: impl Iterator<Item = (&'w str, &'w str, Place)>,
        findings: &mut Findings<'_>,
    ) {
        let mut seen: Vec<(String, &str)> = Vec::new();
        for (owner, word, place) in words {
            let word = word.to_lowercase();
            match seen.iter().find(|(known, _)| *known == word) {
                Some((_, other)) if *other != owner => {
                    let sentence = format!("“{word}” means two {what}: “{other}” and “{owner}”");
                    findings.fault(Some(place), sentence, "take it away from one of them");
                }
                Some(_) => {}
                None => seen.push((word, owner)),
            }
        }
    }
}
