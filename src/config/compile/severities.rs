//! Severities and escalation policies (E1, E2).

use super::{Contacts, Sources};
use crate::config::fault::Findings;
use crate::config::file;
use crate::config::near;
use crate::config::words::{At, Name};
use crate::incident::severity::{EscalationLevel, EscalationPolicy, Severity};

impl Sources<'_> {
    /// The severities, worst first, each with its policy.
    pub fn severities(&self, contacts: &Contacts, findings: &mut Findings<'_>) -> Vec<Severity> {
        let written = &self.file.severities;
        if written.is_empty() && !self.has_faults("severities") {
            let place = self.place_of("severities");
            findings.fault(place, "there is no severity", "write at least one; examples/minimal.yml has one");
        }
        let policies: Vec<EscalationPolicy> =
            self.file.policies.0.iter().map(|(key, policy)| self.policy(key, policy, contacts, findings)).collect();
        for (key, _) in &self.file.policies.0 {
            let used = written.iter().any(|severity| severity.policy.0 == key.0);
            if !used && !self.has_faults("severities") {
                let what = format!("no severity uses the policy “{}”", key.0);
                findings.warning(Some(key.place), what, "name it in a severity, or delete it");
            }
        }
        let words = written.iter().flat_map(|severity| {
            let key = severity.key.0.as_str();
            let label = severity.label.iter().map(|label| (label.value.as_str(), label.place));
            let aliases = severity.aliases.iter().map(|alias| (alias.value.as_str(), alias.place));
            std::iter::once((key, severity.key.place))
                .chain(label)
                .chain(aliases)
                .map(move |(word, at)| (key, word, at))
        });
        self.distinct("severities", words, findings);
        self.check_twice(findings);
        let ranked = written.iter().zip(1_u8..=u8::MAX);
        ranked.filter_map(|(severity, rank)| self.severity(severity, rank, &policies, findings)).collect()
    }

    /// The key of the severity for incidents declared without one.
    pub fn default_severity(&self, findings: &mut Findings<'_>) -> String {
        let severities = &self.file.severities;
        let last = || severities.last().map(|severity| severity.key.0.clone()).unwrap_or_default();
        let Some(wanted) = &self.file.workspace.default_severity else { return last() };
        if !severities.iter().any(|severity| severity.key.0 == wanted.0) && !self.has_faults("severities") {
            let cure = near::cure(&wanted.0, severities.iter().map(|severity| severity.key.0.as_str()));
            findings.fault(Some(wanted.place), format!("there is no severity “{}”", wanted.0), cure);
        }
        wanted.0.clone()
    }

    fn check_twice(&self, findings: &mut Findings<'_>) {
        let severities = &self.file.severities;
        for (n, severity) in severities.iter().enumerate() {
            let earlier = severities.iter().take(n).find(|earlier| earlier.key.0 == severity.key.0);
            if let Some(earlier) = earlier {
                let what = format!("there are two severities “{}”", severity.key.0);
                let (first, second) = (Some(earlier.key.place), Some(severity.key.place));
                findings.twice(what, first, second, "give one of them another key");
            }
        }
    }

    fn severity(
        &self,
        written: &file::Severity,
        rank: u8,
        policies: &[EscalationPolicy],
        findings: &mut Findings<'_>,
    ) -> Option<Severity> {
        let name = &written.policy;
        self.refers("policies", "policy", &self.file.policies, &name.0, name.place, findings);
        let policy = policies.iter().find(|policy| policy.name == name.0)?;
        if let Some(first) = policy.levels.first()
            && first.wait > written.respond_within.value.0
            && policy.levels.len() > 1
        {
            let what = format!("somebody must answer sooner than the second level of “{}” is paged", policy.name);
            let cure = "shorten the first level's wait, or allow more time in respond_within";
            findings.warning(Some(written.respond_within.place), what, cure);
        }
        Some(Severity {
            key: written.key.0.clone(),
            label: written.label.as_ref().map_or_else(|| written.key.0.to_uppercase(), |label| label.value.clone()),
            rank,
            aliases: written.aliases.iter().map(|alias| alias.value.clone()).collect(),
            criteria: written.criteria.clone(),
            respond_within: written.respond_within.value.0,
            update_every: written.update_every.as_ref().map(|length| length.0),
            update_grace: written.update_grace.0,
            postmortem_required: written.postmortem,
            call_link: written.call_link.as_ref().map(|link| link.0.clone()),
            policy: policy.clone(),
            propose: self.proposed(written, findings),
        })
    }

    fn proposed(&self, written: &file::Severity, findings: &mut Findings<'_>) -> Vec<String> {
        let mut proposed: Vec<String> = Vec::new();
        for key in &written.propose {
            if !self.refers("actions", "action", &self.file.actions, &key.0, key.place, findings) {
                continue;
            }
            if proposed.contains(&key.0) {
                findings.warning(Some(key.place), format!("“{}” stands in this list twice", key.0), "keep one");
            } else {
                proposed.push(key.0.clone());
            }
        }
        proposed
    }

    fn policy(
        &self,
        key: &At<Name>,
        written: &file::Policy,
        contacts: &Contacts,
        findings: &mut Findings<'_>,
    ) -> EscalationPolicy {
        if written.levels.is_empty() {
            let what = format!("the policy “{}” has no level", key.0);
            findings.fault(Some(written.levels.place), what, "write at least “- contacts: [who]” with “wait: 15m”");
        }
        let mut levels = Vec::new();
        for level in &written.levels.value {
            if level.contacts.is_empty() {
                findings.fault(Some(level.contacts.place), "this level pages nobody", "name at least one contact");
            }
            let people = self.people(&level.contacts.value, contacts, findings);
            self.check_reachable(&level.contacts.value, contacts, findings);
            levels.push(EscalationLevel { contacts: people, wait: level.wait.value.0 });
        }
        let fallback = self.people(&written.fallback, contacts, findings);
        self.check_reachable(&written.fallback, contacts, findings);
        EscalationPolicy { name: key.0.clone(), levels, repeat: written.repeat, fallback }
    }

    /// Somebody who is to be paged has at least one way.
    fn check_reachable(&self, keys: &[At<Name>], contacts: &Contacts, findings: &mut Findings<'_>) {
        for key in keys {
            let path = format!("contacts.{}", key.0);
            let is_noted = ["slack", "page_with"].iter().any(|field| self.is_broken(&format!("{path}.{field}")));
            if contacts.get(&key.0).is_some_and(|contact| contact.page_with.is_empty()) && !is_noted {
                let what = format!("nothing says how “{}” is paged", key.0);
                findings.fault(
                    Some(key.place),
                    what,
                    format!("add “page_with: [slack]” to “{}” under contacts", key.0),
                );
            }
        }
    }
}
