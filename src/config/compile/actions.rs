//! Services, runbook actions and who must agree to them (P2, P4–P6, H7).

use std::collections::BTreeMap;

use super::{Contacts, Sources};
use crate::actions::provider::{StepConfig, choosing};
use crate::config::fault::Findings;
use crate::config::file;
use crate::config::words::{At, Name};
use crate::incident::approval::{ApprovalRule, Approver, CheckItem, KeepState, Risk, Verification};
use crate::incident::rules::{RunbookAction, Service};
use crate::incident::time::Millis;
use crate::incident::window::{Freeze, Window};

/// How long a plan can be approved when nothing else is said.
const EXPIRES_AFTER: Millis = Millis::minutes(30);

impl Sources<'_> {
    /// The services, with words that mean two of them noted.
    pub fn services(&self, findings: &mut Findings<'_>) -> BTreeMap<String, Service> {
        let words = self.file.services.0.iter().flat_map(|(key, service)| {
            let owner = key.0.as_str();
            let aliases = service.aliases.iter().map(|alias| (alias.value.as_str(), alias.place));
            let own = [(owner, key.place), (service.title.value.as_str(), service.title.place)];
            own.into_iter().chain(aliases).map(move |(word, place)| (owner, word, place))
        });
        self.distinct("services", words, findings);
        self.file.services.0.iter().map(|(key, written)| (key.0.clone(), service(key, written))).collect()
    }

    /// The runbook actions as the core knows them.
    pub fn actions(&self, contacts: &Contacts, findings: &mut Findings<'_>) -> BTreeMap<String, RunbookAction> {
        let mut actions = BTreeMap::new();
        for (key, written) in &self.file.actions.0 {
            if let Some(service) = &written.service {
                self.refers("services", "service", &self.file.services, &service.0, service.place, findings);
            }
            self.check_rollback(key, written, findings);
            let action = RunbookAction {
                key: key.0.clone(),
                title: written.title.clone(),
                service: written.service.as_ref().map(|service| service.0.clone()),
                is_rollback: written.rollback,
                class: written.class,
                risk: written.risk.value,
                approval: self.approval(key, written, contacts, findings),
                checklist: checklist(written, findings),
                drill: self.drill(key, written, contacts, findings),
                break_glass: self.break_glass(written, contacts, findings),
                window: self.window(written, findings),
                keep_state: keep_state(written),
                choosing: choosing(&written.steps),
            };
            actions.insert(key.0.clone(), action);
        }
        actions
    }

    fn approval(
        &self,
        key: &At<Name>,
        written: &file::Action,
        contacts: &Contacts,
        findings: &mut Findings<'_>,
    ) -> ApprovalRule {
        let said = &written.approval;
        self.rule(key, written, said, contacts, findings)
    }

    /// The rules of a drill, which are checked like the others.
    fn drill(
        &self,
        key: &At<Name>,
        written: &file::Action,
        contacts: &Contacts,
        findings: &mut Findings<'_>,
    ) -> Option<ApprovalRule> {
        let drill = written.approval.drill.as_ref()?;
        let said = file::Approval {
            by: drill.by.clone(),
            needed: drill.needed.clone(),
            requester_may: drill.requester_may,
            expires: drill.expires.clone(),
            ..file::Approval::default()
        };
        Some(self.rule(key, written, &said, contacts, findings))
    }

    fn break_glass(
        &self,
        written: &file::Action,
        contacts: &Contacts,
        findings: &mut Findings<'_>,
    ) -> Option<Vec<Approver>> {
        let glass = written.approval.break_glass.as_ref()?;
        if glass.by.is_empty() {
            findings.fault(
                Some(glass.by.place),
                "nobody may break the glass".to_owned(),
                "name somebody, or leave break_glass away",
            );
        }
        Some(self.approvers(&glass.by, contacts, findings))
    }

    fn window(&self, written: &file::Action, findings: &mut Findings<'_>) -> Option<Window> {
        let name = written.window.as_ref()?;
        if !self.refers("windows", "window", &self.file.windows, &name.0, name.place, findings) {
            return None;
        }
        let window = self.file.windows.get(&name.0)?;
        let zone = window.zone.as_ref().unwrap_or(&self.file.workspace.zone);
        let freezes = window.freezes.iter().map(|freeze| Freeze {
            from: freeze.from.0,
            to: freeze.to.value.0,
            why: freeze.why.clone(),
        });
        Some(Window {
            name: name.0.clone(),
            zone: zone.0.clone(),
            days: window.days.iter().map(|day| day.0).collect(),
            from: window.from.0,
            to: window.to.value.0,
            freezes: freezes.collect(),
        })
    }

    /// Windows that never open and freezes that end before they begin are noted.
    pub fn check_windows(&self, findings: &mut Findings<'_>) {
        for (key, window) in &self.file.windows.0 {
            if window.days.is_empty() {
                findings.fault(Some(window.days.place), format!("the window “{}” never opens", key.0), "name its days");
            }
            if window.to.value.0 <= window.from.0 {
                findings.fault(
                    Some(window.to.place),
                    format!("the window “{}” closes before it opens", key.0),
                    "write a later time",
                );
            }
            for freeze in &window.freezes {
                if freeze.to.value.0 < freeze.from.0 {
                    findings.fault(
                        Some(freeze.to.place),
                        "the freeze ends before it begins".to_owned(),
                        "write a later day",
                    );
                }
            }
        }
    }

    fn rule(
        &self,
        key: &At<Name>,
        written: &file::Action,
        said: &file::Approval,
        contacts: &Contacts,
        findings: &mut Findings<'_>,
    ) -> ApprovalRule {
        let by = self.approvers(&said.by, contacts, findings);
        let needed = said.needed.as_ref().map_or_else(|| usual(written), |needed| needed.value);
        let place = said.needed.as_ref().map(|needed| needed.place).or(Some(key.place));
        if let (0, Some(why)) = (needed, least(written)) {
            let what = format!("“{}” {why}, so somebody must approve it", key.0);
            findings.fault(place, what, "write “needed: 1”, or more");
        }
        let everybody_is_known = by.len() == said.by.len();
        let has_groups = by.iter().any(|approver| matches!(approver, Approver::Group(_)));
        // Only Slack knows how many are in a group.
        if !said.by.is_empty() && everybody_is_known && !has_groups {
            check_enough(key, &by, needed, said.requester_may, place, findings);
        }
        let expires_after = said.expires.as_ref().map_or(EXPIRES_AFTER, |length| length.0);
        ApprovalRule { by, needed, requester_may: said.requester_may, expires_after }
    }

    fn check_rollback(&self, key: &At<Name>, written: &file::Action, findings: &mut Findings<'_>) {
        if !written.rollback {
            return;
        }
        if written.service.is_none() && !self.is_broken(&format!("actions.{}.service", key.0)) {
            let what = format!("the rollback “{}” belongs to no service", key.0);
            findings.fault(Some(key.place), what, "add “service: …”, so that /incident rollback can find it");
        }
        if written.risk.value == Risk::ReadOnly {
            let what = format!("the rollback “{}” cannot only look", key.0);
            findings.fault(Some(written.risk.place), what, "write “risk: reversible” or “risk: destructive”");
        }
    }
}

/// Off where no step knows how to keep any.
fn keep_state(written: &file::Action) -> KeepState {
    if written.steps.iter().any(StepConfig::can_keep_state) { written.keep_state } else { KeepState::Off }
}

/// Why somebody must approve it at least.
fn least(written: &file::Action) -> Option<&'static str> {
    if written.risk.value > Risk::ReadOnly {
        Some("changes something")
    } else if written.steps.iter().any(StepConfig::copies_data) {
        Some("writes a copy of data or secrets")
    } else {
        None
    }
}

/// How many must approve when nothing is said.
fn usual(written: &file::Action) -> u8 {
    match written.risk.value {
        Risk::ReadOnly => u8::from(least(written).is_some()),
        Risk::Reversible => 1,
        Risk::Destructive => 2,
    }
}

fn check_enough(
    key: &At<Name>,
    by: &[Approver],
    needed: u8,
    requester_may: bool,
    place: Option<crate::config::fault::Place>,
    findings: &mut Findings<'_>,
) {
    let (needed, possible) = (usize::from(needed), by.len());
    if needed > possible {
        let what = format!("“{}” needs {needed} approvals, but only {possible} may approve", key.0);
        findings.fault(place, what, format!("name more people in “by”, or write “needed: {possible}”"));
    } else if needed > 0 && !requester_may && needed == possible {
        let what = format!("“{}” can never be approved when one of its approvers asks for it", key.0);
        findings.warning(place, what, "name one more in “by”, or write “requester_may: true”");
    }
}

fn checklist(written: &file::Action, findings: &mut Findings<'_>) -> Vec<CheckItem> {
    let mut items: Vec<CheckItem> = Vec::new();
    for item in &written.checklist {
        if items.iter().any(|earlier| earlier.key == item.key.0) {
            let what = format!("there are two items “{}” in this check list", item.key.0);
            findings.fault(Some(item.key.place), what, "give one of them another key");
        }
        items.push(CheckItem {
            key: item.key.0.clone(),
            text: item.text.clone(),
            required: item.required,
            when: item.when,
        });
    }
    items
}

fn service(key: &At<Name>, written: &file::Service) -> Service {
    let checks = written.checks.iter().map(|check| Verification::new(&check.key, check.shown_title()));
    Service {
        key: key.0.clone(),
        title: written.title.value.clone(),
        checks: checks.collect(),
        aliases: written.aliases.iter().map(|alias| alias.value.clone()).collect(),
    }
}
