//! `vigie action`: runbook actions from a terminal.

use anyhow::anyhow;

use super::{Rbac, print};
use crate::app::action;
use crate::config::{environment, load};

/// Prints the roles that the configuration makes necessary.
pub(super) fn rbac(args: &Rbac) -> anyhow::Result<()> {
    let config = load(&args.config, &environment)?;
    let manifest = action::rbac(&config, args.cluster.as_deref(), &args.subject);
    print(&manifest.map_err(|why| anyhow!(why))?)
}
