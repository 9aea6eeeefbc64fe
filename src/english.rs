//! For tests alone: a sentence as an English team reads it, so that promises can be about words and not about keys.

use std::sync::LazyLock;

use crate::incident::words::Words;
use crate::render::{Locale, Renderer};

static RENDERER: LazyLock<Renderer> = LazyLock::new(|| match Renderer::load(None) {
    Ok(renderer) => renderer,
    Err(fault) => panic!("{fault}"),
});

/// The sentence in English.
pub fn english(words: &Words) -> String {
    match RENDERER.label_plain(Locale::En, &words.key, &words.vars) {
        Ok(text) => text,
        Err(fault) => panic!("{fault}"),
    }
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Words::verbatim(text)
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Words::verbatim(text)
    }
}

impl PartialEq<&str> for Words {
    fn eq(&self, text: &&str) -> bool {
        english(self) == *text
    }
}

impl PartialEq<String> for Words {
    fn eq(&self, text: &String) -> bool {
        english(self) == *text
    }
}

impl Words {
    /// Whether the English sentence begins so.
    pub fn starts_with(&self, text: &str) -> bool {
        english(self).starts_with(text)
    }

    /// Whether the English sentence ends so.
    pub fn ends_with(&self, text: &str) -> bool {
        english(self).ends_with(text)
    }

    /// Whether the English sentence says so.
    pub fn contains(&self, text: &str) -> bool {
        english(self).contains(text)
    }

    /// The sentence as it reads in English, whatever it was made of.
    pub fn plain(&self) -> Self {
        Words::verbatim(english(self))
    }
}
