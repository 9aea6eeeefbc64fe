//! Audiences of updates and who approves what customers read (section 8 of the field procedures).

use super::{Contacts, Sources};
use crate::config::fault::Findings;
use crate::config::near;
use crate::config::words::{At, Name};
use crate::incident::rules::{Audiences, CustomerApproval};

impl Sources<'_> {
    /// Where internal and customer texts go.
    pub fn updates(&self, findings: &mut Findings<'_>) -> Audiences {
        let updates = &self.file.updates;
        let internal = self.audiences(&updates.internal, findings);
        let customer = self.audiences(&updates.customer, findings);
        Audiences { internal, customer }
    }

    /// Who may approve customer texts.
    pub fn customer_approval(&self, contacts: &Contacts, findings: &mut Findings<'_>) -> CustomerApproval {
        CustomerApproval { by: self.approvers(&self.file.updates.approved_by, contacts, findings) }
    }

    fn audiences(&self, names: &[At<Name>], findings: &mut Findings<'_>) -> Vec<String> {
        let known = || self.audience_names();
        for name in names {
            let broken = self.is_broken(&format!("audiences.{}", name.0));
            if !broken && !known().any(|audience| audience == name.0) {
                let cure = near::cure(&name.0, known().collect::<Vec<_>>());
                findings.fault(Some(name.place), format!("there is no audience “{}” under audiences", name.0), cure);
            }
        }
        names.iter().map(|name| name.0.clone()).collect()
    }
}
