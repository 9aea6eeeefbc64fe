//! `vigie init`: a first configuration to put one's own people into, and its schema beside it for the editor.
//!
//! As written it has three faults, and only those: the three IDs that only the team knows. So `vigie check` is the list
//! of what is left to do, and nobody is on call who does not exist.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::anyhow;

use super::{Init, Lang, print};
use crate::config;

const ENGLISH: &str = include_str!("../../examples/starter.yml");
const FRENCH: &str = include_str!("../../examples/starter.fr.yml");
/// The name by which the starter speaks of itself.
const ITS_NAME: &str = "vigie.yml";
/// The schema's name, as the starter's first line says it to the editor.
const SCHEMA: &str = "vigie.schema.json";

/// Writes the file and says what comes next.
pub(super) fn init(args: &Init) -> anyhow::Result<()> {
    let name = args.file.display().to_string();
    let starter = match args.lang {
        Lang::En => ENGLISH,
        Lang::Fr => FRENCH,
    };
    write(&args.file, &starter.replace(ITS_NAME, &name), args.force).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow!("{name} exists already and was left as it is; give another name, or write over it with --force")
        }
        _ => anyhow!("{name} cannot be written: {error}; check the path and who may write there"),
    })?;
    let schema = args.file.with_file_name(SCHEMA);
    match write(&schema, &format!("{:#}\n", config::schema()), args.force) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            let shown = schema.display();
            return Err(anyhow!(
                "{name} is written, but {shown} is not: {error}; vigie check --schema prints what belongs there"
            ));
        }
        _ => {}
    }
    print(&format!(
        "{name} is written. Put three IDs from Slack in; vigie check{} says where, and where to find them.\n",
        if args.file == Path::new(ITS_NAME) { String::new() } else { format!(" --config {name}") }
    ))
}

fn write(path: &Path, text: &str, force: bool) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    if force {
        options.write(true).create(true).truncate(true)
    } else {
        options.write(true).create_new(true)
    };
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fault, parse};

    const STARTERS: [(&str, &str); 2] = [("en", ENGLISH), ("fr", FRENCH)];

    fn faults(text: &str) -> Vec<String> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let secret = |name: &str| (name == "SMTP_PASSWORD").then(|| "x".to_owned());
        match parse(ITS_NAME, text, &secret) {
            Ok(config) => config.warnings.iter().map(Fault::headline).collect(),
            Err(faults) => faults.0.iter().map(Fault::headline).collect(),
        }
    }

    /// What a person does: three IDs.
    fn filled_in(text: &str) -> String {
        text.replace("ID-OF-THE-CHANNEL", "C012AB3CD")
            .replace("ID-OF-ON-CALL", "U012AB3CD")
            .replace("ID-OF-LEAD", "U045EF6GH")
    }

    #[test]
    fn only_the_ids_that_nobody_else_knows_are_missing() {
        for (language, starter) in STARTERS {
            let left = faults(starter);
            assert_eq!(left.len(), 3, "{language}: {left:#?}");
            for id in [
                "“ID-OF-THE-CHANNEL” is not a Slack channel ID",
                "“ID-OF-ON-CALL” is not a Slack member ID",
                "“ID-OF-LEAD” is not",
            ] {
                assert!(left.iter().any(|fault| fault.contains(id)), "{language}: {left:#?}");
            }
            assert_eq!(faults(&filled_in(starter)), Vec::<String>::new(), "{language}");
        }
    }

    #[test]
    fn what_is_switched_off_is_right_when_it_is_switched_on() {
        let off = regex::Regex::new(r"(?m)^#(\S|  )").unwrap();
        for (language, starter) in STARTERS {
            let modeline = starter.lines().next().unwrap_or_default();
            assert_eq!(modeline, format!("# yaml-language-server: $schema={SCHEMA}"), "{language}");
            let on = off.replace_all(&filled_in(starter), "$1").into_owned();
            assert!(on.contains("\nservices:\n") && on.contains("\nactions:\n") && on.contains("\npaging:\n"), "{on}");
            assert_eq!(faults(&on), Vec::<String>::new(), "{language}:\n{on}");
        }
    }
}
