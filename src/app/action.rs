//! What the command line says about runbook actions.

use crate::actions::kubernetes::Subject;
use crate::config::Config;

/// The manifests of the least that Vigie must be allowed in a cluster: in the named one, or in the only one there is.
///
/// # Errors
/// A sentence with its cure.
pub fn rbac(config: &Config, cluster: Option<&str>, subject: &str) -> Result<String, String> {
    let subject: Subject = subject.parse()?;
    let known: Vec<&str> = config.actions.clusters.keys().map(String::as_str).collect();
    let cluster = match (cluster, known.as_slice()) {
        (Some(named), _) => named,
        (None, [only]) => only,
        (None, []) => return Err("the configuration has no clusters".to_owned()),
        (None, several) => return Err(format!("name one with --cluster; there are {}", several.join(", "))),
    };
    let needs = config.actions.needs_in(cluster);
    let needs = needs.ok_or_else(|| format!("there is no cluster “{cluster}”; there are {}", known.join(", ")))?;
    if needs.is_empty() {
        return Err(format!("no action and no check uses the cluster “{cluster}”, so nothing is needed there"));
    }
    Ok(format!(
        "# What Vigie needs in the cluster {cluster}, and no more: kubectl apply -f -\n{}",
        needs.manifest(&subject)
    ))
}
