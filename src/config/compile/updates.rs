//! Audiences and who approves what customers read (section 8 of the field procedures).

use super::{Contacts, Sources};
use crate::comms::{AudienceKind, CommsConfig};
use crate::config::fault::Findings;
use crate::incident::rules::{Audiences, CustomerApproval};

impl Sources<'_> {
    /// The names of the audiences for internal and for customer texts, in the order of the file.
    pub fn audiences(&self) -> Audiences {
        let of = |kind: AudienceKind| {
            let entries = self.file.audiences.0.iter().filter(|(_, audience)| audience.kind == kind);
            entries.map(|(name, _)| name.0.clone()).collect()
        };
        Audiences { internal: of(AudienceKind::Internal), customer: of(AudienceKind::Customer) }
    }

    /// Who may approve customer texts.
    pub fn customer_approval(&self, contacts: &Contacts, findings: &mut Findings<'_>) -> CustomerApproval {
        let approved_by = &self.file.updates.approved_by;
        if let (Some(first), false) = (approved_by.first(), self.has_customers()) {
            let what = "nobody outside is told anything: there is no audience with “kind: customer”";
            findings.warning(Some(first.place), what, "add one under “audiences:”, or delete approved_by");
        }
        if let ([only], true) = (approved_by.as_slice(), self.has_customers()) {
            let what = "a text for customers can be approved by nobody when this one approver writes it";
            findings.warning(Some(only.place), what, "name one more in approved_by");
        }
        CustomerApproval { by: self.approvers(approved_by, contacts, findings) }
    }

    /// The comms room's part of the file. An audience that names no language speaks the team's.
    pub fn comms_room(&self) -> CommsConfig {
        let own = &self.file.workspace.locale.0;
        let audiences = self.file.audiences.0.iter().map(|(name, audience)| {
            let mut audience = audience.clone();
            audience.locale.get_or_insert_with(|| own.clone());
            (name.0.clone(), audience)
        });
        CommsConfig { audiences: audiences.collect() }
    }

    fn has_customers(&self) -> bool {
        self.has_faults("audiences")
            || self.file.audiences.0.iter().any(|(_, audience)| audience.kind == AudienceKind::Customer)
    }
}
