//! `vigie init`: a first configuration to write one's own people into. It never writes over a file.

use std::io::{ErrorKind, Write as _};

use anyhow::{Context as _, anyhow};

use super::{Init, print};

/// The configuration to begin with; it names itself in its comments.
const STARTER: &str = include_str!("../../examples/minimal.yml");
const ITS_NAME: &str = "minimal.yml";

/// Writes the file and says what comes next.
pub(super) fn init(args: &Init) -> anyhow::Result<()> {
    let name = args.config.display().to_string();
    let file = std::fs::File::create_new(&args.config);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow!("{name} exists already and was left as it is; give another name with --config")
        }
        _ => anyhow!("{name} cannot be written: {error}; check the path and who may write there"),
    })?;
    let text = STARTER.replace(ITS_NAME, &name);
    file.write_all(text.as_bytes())
        .with_context(|| format!("{name} could not be written to its end; delete it and try again"))?;
    print(&format!(
        "{name} is written. Put your people's Slack IDs in; it says where to find them and what to type next.\n"
    ))
}
