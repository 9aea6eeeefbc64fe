//! Colour, on a terminal only; never the only carrier of meaning.

use std::io::IsTerminal as _;

use crate::config::environment;

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Colours when standard output is a terminal and nobody asked for none (`NO_COLOR`, no-color.org).
    pub fn of_stdout() -> Self {
        Self { on: std::io::stdout().is_terminal() && environment("NO_COLOR").is_none() }
    }

    /// No colours.
    #[cfg(test)]
    pub const fn off() -> Self {
        Self { on: false }
    }

    /// What must be looked at first.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What is wrong.
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What is odd.
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// What is well.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
