//! What comes from the environment: Slack's credentials, the database, the address to listen on.
//!
//! `NAME_FILE` beside each credential names a file that holds it (Kubernetes and Docker secrets, systemd credentials).

use std::net::SocketAddr;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::fault::{Fault, Faults};

/// What Vigie needs from its environment to serve.
#[derive(Debug, Clone)]
pub struct Env {
    /// `SLACK_BOT_TOKEN`: what Vigie calls Slack with.
    pub bot_token: SecretString,
    /// How Slack reaches Vigie.
    pub door: SlackDoor,
    /// `SLACK_API_URL`, without a slash at its end.
    pub slack_api_url: String,
    /// `DATABASE_URL`; it may hold a password.
    pub database_url: SecretString,
    /// `VIGIE_LISTEN`: where health, metrics and, without Socket Mode, Slack's requests are taken.
    pub listen: SocketAddr,
}

/// How Slack's events reach Vigie.
#[derive(Debug, Clone)]
pub enum SlackDoor {
    /// Vigie calls out (`SLACK_APP_TOKEN`); nothing of it need be reachable from outside.
    Socket {
        /// `xapp-…`
        app_token: SecretString,
    },
    /// Slack calls in over HTTPS (`SLACK_SIGNING_SECRET`).
    Http {
        /// What Slack signs its requests with.
        signing_secret: SecretString,
    },
}

impl Env {
    /// Reads the environment through `lookup`, and files named by `…_FILE` through `files`.
    ///
    /// # Errors
    /// Every fault at once, each with its cure.
    pub fn read(
        lookup: &dyn Fn(&str) -> Option<String>,
        files: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, Faults> {
        let mut reading = Reading { lookup, files, faults: Vec::new() };
        let bot_token = reading.token(
            "SLACK_BOT_TOKEN",
            "xoxb-",
            "copy “Bot User OAuth Token” from the app's page “OAuth & Permissions”",
        );
        let door = reading.door();
        let slack_api_url = reading.slack_api_url();
        let database_url = reading.secret("DATABASE_URL").unwrap_or_else(|| "sqlite://vigie.db".into());
        let listen = reading.listen();
        match (bot_token, door, slack_api_url, listen) {
            (Some(bot_token), Some(door), Some(slack_api_url), Some(listen)) if reading.faults.is_empty() => {
                Ok(Self { bot_token, door, slack_api_url, database_url, listen })
            }
            _ => Err(Faults(reading.faults)),
        }
    }

    /// Only the database, for what works without Slack: lists and post-mortems.
    ///
    /// # Errors
    /// The fault of `DATABASE_URL_FILE`.
    pub fn database(
        lookup: &dyn Fn(&str) -> Option<String>,
        files: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<SecretString, Faults> {
        let mut reading = Reading { lookup, files, faults: Vec::new() };
        let url = reading.secret("DATABASE_URL").unwrap_or_else(|| "sqlite://vigie.db".into());
        if reading.faults.is_empty() { Ok(url) } else { Err(Faults(reading.faults)) }
    }
}

struct Reading<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    files: &'a dyn Fn(&str) -> std::io::Result<String>,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    fn fault(&mut self, what: impl Into<String>, cure: impl Into<String>) {
        let (what, cure) = (what.into(), cure.into());
        self.faults.push(Fault { file: "environment".into(), place: None, what, cure, snippet: None });
    }

    fn plain(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The variable, or the content of the file that `…_FILE` names.
    fn secret(&mut self, name: &str) -> Option<SecretString> {
        if let Some(value) = self.plain(name) {
            return Some(value.into());
        }
        let path = self.plain(&format!("{name}_FILE"))?;
        match (self.files)(&path) {
            Ok(content) => Some(content.trim().to_owned().into()),
            Err(error) => {
                self.fault(
                    format!("{name}_FILE: “{path}” cannot be read: {error}"),
                    "check the path and who may read it",
                );
                None
            }
        }
    }

    fn token(&mut self, name: &str, prefix: &str, cure: &str) -> Option<SecretString> {
        let before = self.faults.len();
        let Some(token) = self.secret(name) else {
            if self.faults.len() == before {
                self.fault(format!("{name} is not set"), cure);
            }
            return None;
        };
        if token.expose_secret().starts_with(prefix) {
            return Some(token);
        }
        self.fault(format!("{name} does not begin with {prefix}"), cure);
        None
    }

    fn door(&mut self) -> Option<SlackDoor> {
        const APP: &str = "make an app-level token with connections:write on the app's page “Basic Information”";
        const SECRET: &str = "copy “Signing Secret” from the app's page “Basic Information”";
        let set = |reading: &Self, name: &str| {
            reading.plain(name).is_some() || reading.plain(&format!("{name}_FILE")).is_some()
        };
        if set(self, "SLACK_APP_TOKEN") {
            return self.token("SLACK_APP_TOKEN", "xapp-", APP).map(|app_token| SlackDoor::Socket { app_token });
        }
        if !set(self, "SLACK_SIGNING_SECRET") {
            let what = "neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET is set, so Slack cannot reach Vigie";
            self.fault(what, format!("for Socket Mode {APP}; for requests over HTTPS {SECRET}"));
            return None;
        }
        let signing_secret = self.secret("SLACK_SIGNING_SECRET")?;
        let hex = signing_secret.expose_secret();
        if hex.len() < 16 || !hex.chars().all(|c| c.is_ascii_hexdigit()) {
            self.fault("SLACK_SIGNING_SECRET is not a signing secret", SECRET);
            return None;
        }
        Some(SlackDoor::Http { signing_secret })
    }

    fn slack_api_url(&mut self) -> Option<String> {
        let written = self.plain("SLACK_API_URL").unwrap_or_else(|| "https://slack.com/api".into());
        match Url::parse(&written) {
            Ok(url) if url.has_host() && (url.scheme() == "https" || is_here(&url)) => {
                Some(written.trim_end_matches('/').to_owned())
            }
            Ok(url) if url.scheme() == "http" => {
                self.fault("SLACK_API_URL would send the token in the clear", "begin it with https://");
                None
            }
            _ => {
                self.fault(
                    "SLACK_API_URL is not a web address",
                    "leave it unset for Slack, or write https://slack-gov.com/api",
                );
                None
            }
        }
    }

    fn listen(&mut self) -> Option<SocketAddr> {
        let written = self.plain("VIGIE_LISTEN").unwrap_or_else(|| "127.0.0.1:8080".into());
        let address = written.parse().ok();
        if address.is_none() {
            self.fault(
                format!("VIGIE_LISTEN: “{written}” is not an address with a port"),
                "write for example 127.0.0.1:8080",
            );
        }
        address
    }
}

/// Plain http on this very machine, as the practice workspace speaks it.
fn is_here(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    loopback && url.scheme() == "http"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Env, String> {
        let lookup = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let files = |path: &str| match path {
            "/run/secrets/bot" => Ok("xoxb-from-a-file\n".to_owned()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        };
        Env::read(&lookup, &files).map_err(|faults| faults.to_string())
    }

    #[test]
    fn two_tokens_are_enough_and_everything_else_has_a_default() {
        let env = read(&[("SLACK_BOT_TOKEN", "xoxb-1"), ("SLACK_APP_TOKEN", "xapp-1")]).unwrap();
        assert!(matches!(env.door, SlackDoor::Socket { .. }));
        assert_eq!(env.slack_api_url, "https://slack.com/api");
        assert_eq!(env.database_url.expose_secret(), "sqlite://vigie.db");
        assert_eq!(env.listen.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn a_secret_may_stand_in_a_file_and_slack_may_call_in() {
        let env = read(&[
            ("SLACK_BOT_TOKEN_FILE", "/run/secrets/bot"),
            ("SLACK_SIGNING_SECRET", "0123456789abcdef0123456789abcdef"),
            ("SLACK_API_URL", "http://127.0.0.1:4000/api/"),
        ])
        .unwrap();
        assert_eq!(env.bot_token.expose_secret(), "xoxb-from-a-file");
        assert!(matches!(env.door, SlackDoor::Http { .. }));
        assert_eq!(env.slack_api_url, "http://127.0.0.1:4000/api");
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_cure_and_without_the_value() {
        let faults = read(&[
            ("SLACK_APP_TOKEN", "xoxb-hunter2"),
            ("SLACK_API_URL", "http://slack.com/api"),
            ("DATABASE_URL_FILE", "/nowhere"),
            ("VIGIE_LISTEN", "8080"),
        ])
        .unwrap_err();
        for sentence in [
            "environment: SLACK_BOT_TOKEN is not set · copy “Bot User OAuth Token”",
            "SLACK_APP_TOKEN does not begin with xapp-",
            "SLACK_API_URL would send the token in the clear",
            "DATABASE_URL_FILE: “/nowhere” cannot be read",
            "VIGIE_LISTEN: “8080” is not an address with a port",
        ] {
            assert!(faults.contains(sentence), "{sentence} is not in\n{faults}");
        }
        assert!(!faults.contains("hunter2"), "{faults}");
        assert!(read(&[("SLACK_BOT_TOKEN", "xoxb-1")]).unwrap_err().contains("neither SLACK_APP_TOKEN nor"));
    }
}
