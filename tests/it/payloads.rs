//! Keeps the Slack payloads that the bot sent in a test, for the checkers in `tests/eyes` to look at with other eyes.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vigie::practice::Workspace;

/// Writes everything drawn that this workspace took into the folder that `VIGIE_DUMP_PAYLOADS` names, if it does.
/// The same payload twice is one file: its name is made from what it holds.
pub fn keep(workspace: &Workspace) {
    let Some(folder) = std::env::var_os("VIGIE_DUMP_PAYLOADS") else { return };
    let drawn = |args: &Value| ["text", "blocks", "view"].iter().any(|part| args.get(part).is_some());
    for call in workspace.calls().iter().filter(|call| call.error().is_none() && drawn(&call.args)) {
        let text = json!({"from": call.method, "payload": call.args}).to_string();
        let name = hex::encode(Sha256::digest(&text));
        let (name, _) = name.split_at(16);
        std::fs::write(Path::new(&folder).join(name).with_extension("json"), text)
            .expect("the folder can be written to");
    }
}
