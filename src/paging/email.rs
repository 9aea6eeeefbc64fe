//! E-mail over SMTP. The `Message-ID` is made from the page's id, so that mail programs show a repeat once.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use lettre::message::header::{self, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::TlsParameters;
use lettre::{Address, message::header::MessageId};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fault::said;
use super::settings::push;
use super::smtp::Server;
use super::{Page, PagingChannel, PagingFault, PagingKind, Receipt, SettingFault, TOTAL_TIMEOUT, required};
use crate::incident::words::Words;

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Begins in the clear and must be upgraded before anything is sent (port 587).
    #[default]
    Starttls,
    /// Encrypted from the first byte (port 465).
    Tls,
    /// Not at all; only to a mail server on this very machine.
    Plain,
}

/// `paging.email` in the settings.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// The mail server's name.
    pub host: String,
    /// Its port; 587, 465 or 25 by `security` where it is not given.
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub security: Security,
    /// The login, where the server wants one.
    pub user: Option<String>,
    /// Its password.
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretString>,
    /// The sender, `Vigie <vigie@example.com>`.
    pub from: String,
    /// Where answers go, if not to the sender.
    pub reply_to: Option<String>,
}

impl EmailConfig {
    /// Every fault, with its cure.
    #[must_use]
    pub fn validate(&self) -> Vec<SettingFault> {
        let mut faults = Vec::new();
        if self.host.trim().is_empty() || self.host.contains(['/', ':', ' ']) {
            push(
                &mut faults,
                "paging.email.host",
                "this must be the mail server's name alone, such as smtp.example.com",
            );
        }
        if self.security == Security::Plain && !is_this_machine(&self.host) {
            push(
                &mut faults,
                "paging.email.security",
                "plain is allowed only to a mail server on this machine; use starttls or tls",
            );
        }
        self.validate_login(&mut faults);
        address_setting(&mut faults, "paging.email.from", &self.from);
        if let Some(reply_to) = &self.reply_to {
            address_setting(&mut faults, "paging.email.reply_to", reply_to);
        }
        faults
    }

    fn validate_login(&self, faults: &mut Vec<SettingFault>) {
        match (&self.user, &self.password) {
            (Some(_), Some(password)) => required(faults, "paging.email.password", password),
            (Some(_), None) => push(faults, "paging.email.password", "a user needs a password; give both or neither"),
            (None, Some(_)) => push(faults, "paging.email.user", "a password needs a user; give both or neither"),
            (None, None) => {}
        }
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            Security::Starttls => 587,
            Security::Tls => 465,
            Security::Plain => 25,
        })
    }
}

fn address_setting(faults: &mut Vec<SettingFault>, setting: &str, text: &str) {
    if !is_email_address(text) {
        push(faults, setting, "this must be an address such as Vigie <vigie@example.com>");
    }
}

/// `name@host`, with or without a display name.
pub(crate) fn is_email_address(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// One e-mail to one or several people, who do not see each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Letter<'a> {
    pub id: &'a str,
    /// Milliseconds UTC; the `Date` header.
    pub at: i64,
    pub to: &'a [String],
    /// In place of the usual sender.
    pub from: Option<&'a str>,
    pub subject: &'a str,
    pub text: &'a str,
    pub urgent: bool,
}

/// A letter the server took, at least for somebody.
#[derive(Debug)]
pub(crate) struct Posted {
    pub receipt: Receipt,
    /// Who will not get it, and why.
    pub refused: Vec<(String, PagingFault)>,
}

/// Sends e-mail.
pub struct EmailChannel {
    server: Server,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    timeout: Duration,
}

impl std::fmt::Debug for EmailChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmailChannel")
            .field("host", &self.server.host)
            .field("port", &self.server.port)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl EmailChannel {
    /// Makes the channel; connects to nothing yet.
    ///
    /// # Errors
    /// Every fault in the settings.
    pub fn new(config: &EmailConfig) -> Result<Self, Vec<SettingFault>> {
        Self::with_timeout(config, TOTAL_TIMEOUT)
    }

    pub(crate) fn with_timeout(config: &EmailConfig, timeout: Duration) -> Result<Self, Vec<SettingFault>> {
        let mut faults = config.validate();
        let tls = match config.security {
            Security::Plain => None,
            Security::Starttls | Security::Tls => match TlsParameters::new(config.host.clone()) {
                Ok(tls) => Some(tls),
                Err(fault) => {
                    let text = format!("TLS cannot be used: {}", said(&fault.to_string()));
                    push(&mut faults, "paging.email.security", text);
                    None
                }
            },
        };
        let reply_to = config.reply_to.as_deref().map(str::parse).transpose();
        let (Ok(from), Ok(reply_to), true) = (config.from.parse(), reply_to, faults.is_empty()) else {
            return Err(faults);
        };
        let credentials = config.user.as_ref().zip(config.password.as_ref());
        Ok(Self {
            server: Server {
                host: config.host.clone(),
                port: config.port(),
                security: config.security,
                tls,
                credentials: credentials
                    .map(|(user, password)| Credentials::new(user.clone(), password.expose_secret().to_owned())),
            },
            from,
            reply_to,
            timeout,
        })
    }

    /// Sends one letter in one session.
    pub(crate) async fn post(&self, letter: Letter<'_>) -> Result<Posted, PagingFault> {
        let (recipients, mut refused) = addresses(letter.to);
        let from = match letter.from {
            None => self.from.clone(),
            Some(from) => from
                .parse()
                .map_err(|_| PagingFault::permanent(Words::new("paging_fault.no_address").with("to", from)))?,
        };
        if recipients.is_empty() {
            return Err(nobody(&refused));
        }
        let (message, message_id) = self.message(&letter, &from, &recipients)?;
        let handed = self.server.hand_over(&from.email, &recipients, &message, self.timeout).await?;
        let late = handed.refused.into_iter();
        refused.extend(late.map(|(address, fault)| (address.to_string(), fault)));
        Ok(Posted {
            receipt: Receipt {
                provider_id: Some(message_id),
                note: Words::new("receipt.mail").with("said", handed.answer),
            },
            refused,
        })
    }

    fn message(
        &self,
        letter: &Letter<'_>,
        from: &Mailbox,
        recipients: &[Address],
    ) -> Result<(Vec<u8>, String), PagingFault> {
        let message_id = message_id(letter.id, from.email.domain());
        let at = Duration::from_millis(u64::try_from(letter.at).unwrap_or(0));
        let mut builder = Message::builder()
            .message_id(Some(message_id.clone()))
            .date(SystemTime::UNIX_EPOCH + at)
            .from(from.clone())
            .subject(one_line(letter.subject))
            .header(header::MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            // Keeps out-of-office programs from answering (RFC 3834).
            .raw_header(raw("Auto-Submitted", "auto-generated"));
        builder = match recipients {
            [only] => builder.to(Mailbox::new(None, only.clone())),
            several => {
                // People on a list do not see each other: the envelope alone carries them.
                let hidden: Mailboxes = several.iter().map(|address| Mailbox::new(None, address.clone())).collect();
                builder.mailbox(header::Bcc::from(hidden)).raw_header(raw("To", "undisclosed-recipients:;"))
            }
        };
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        if letter.urgent {
            builder = builder.raw_header(raw("Importance", "high")).raw_header(raw("X-Priority", "1"));
        }
        let message = builder.body(letter.text.to_owned()).map_err(|fault| {
            PagingFault::permanent(Words::new("paging_fault.mail_unwritten").with("why", fault.to_string()))
        })?;
        Ok((message.formatted(), message_id))
    }
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The recipients that are addresses, and those that are none.
fn addresses(to: &[String]) -> (Vec<Address>, Vec<(String, PagingFault)>) {
    let mut good = Vec::new();
    let mut refused = Vec::new();
    for text in to {
        match text.parse::<Mailbox>() {
            Ok(mailbox) => good.push(mailbox.email),
            Err(_) => refused.push((
                text.clone(),
                PagingFault::permanent(Words::new("paging_fault.no_address").with("to", text.as_str())),
            )),
        }
    }
    (good, refused)
}

fn nobody(refused: &[(String, PagingFault)]) -> PagingFault {
    let faults: Vec<Value> = refused.iter().map(|(_, fault)| fault.why().clone().into()).collect();
    PagingFault::permanent(match faults.is_empty() {
        true => Words::new("paging_fault.no_recipient"),
        false => Words::new("paging_fault.several").with("faults", faults),
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `<id.digest@domain>`: the same for every attempt, different for different ids even where characters
/// had to be replaced.
fn message_id(id: &str, domain: &str) -> String {
    let readable: String = id
        .chars()
        .take(80)
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => letter,
            _ => '-',
        })
        .collect();
    let digest = hex::encode(Sha256::digest(id.as_bytes()));
    let short = digest.get(..16).unwrap_or(&digest);
    MessageId::from(format!("<{readable}.{short}@{domain}>")).as_ref().to_owned()
}

#[async_trait]
impl PagingChannel for EmailChannel {
    fn kind(&self) -> PagingKind {
        PagingKind::Email
    }

    async fn page(&self, page: &Page) -> Result<Receipt, PagingFault> {
        let text = page.text_and_link();
        let letter = Letter {
            id: &page.id,
            at: page.at,
            to: std::slice::from_ref(&page.to),
            from: None,
            subject: &page.subject,
            text: &text,
            urgent: true,
        };
        self.post(letter).await.map(|posted| posted.receipt)
    }
}
