//! The languages Vigie speaks. Nothing here knows a sentence: sentences live in `templates/`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A language that has a complete folder in `templates/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Locale {
    /// English, `templates/en`.
    #[default]
    En,
    /// French, `templates/fr`.
    Fr,
}

/// The language asked for has no folder in `templates/`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{asked}” is not a language Vigie speaks; use en or fr")]
pub struct UnknownLocale {
    asked: String,
}

impl Locale {
    /// Every locale, in the order in which they are listed to people.
    pub const ALL: [Self; 2] = [Self::En, Self::Fr];

    /// The folder name and the configuration value: `en` or `fr`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Locale {
    type Err = UnknownLocale;

    /// Accepts the bare language and any region of it (`fr`, `fr-FR`, `fr_CA`), as Slack's
    /// `users.info` gives a region.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let language = text.split(['-', '_']).next().unwrap_or(text);
        Self::ALL
            .into_iter()
            .find(|locale| locale.as_str().eq_ignore_ascii_case(language))
            .ok_or_else(|| UnknownLocale { asked: text.to_owned() })
    }
}

impl Serialize for Locale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Locale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_is_read_with_or_without_its_region() {
        assert_eq!("fr".parse(), Ok(Locale::Fr));
        assert_eq!("fr-CA".parse(), Ok(Locale::Fr));
        assert_eq!("EN_us".parse(), Ok(Locale::En));
    }

    #[test]
    fn an_unknown_language_is_refused_with_the_ones_that_exist() {
        let refusal = "pt-BR".parse::<Locale>().unwrap_err().to_string();
        assert_eq!(refusal, "“pt-BR” is not a language Vigie speaks; use en or fr");
    }

    #[test]
    fn a_locale_reads_back_what_it_prints() {
        for locale in Locale::ALL {
            assert_eq!(locale.to_string().parse(), Ok(locale));
        }
    }
}
