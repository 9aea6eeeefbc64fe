//! One SMTP session: connect, secure, authenticate, hand over one message, and tell exactly how far it got.
//!
//! lettre's own transport stops at the first refused recipient and hides the stage at which a connection
//! broke. Both matter here: one wrong address must not keep a page from the others, and only a break after
//! the message went out leaves the outcome unknown.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;

use super::PagingFault;
use super::email::Security;
use super::fault::said;

/// How to reach the mail server.
pub(super) struct Server {
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub tls: Option<TlsParameters>,
    pub credentials: Option<Credentials>,
}

/// What the server took and what it refused.
#[derive(Debug)]
pub(super) struct Handed {
    /// The server's last line, which usually holds its queue id.
    pub answer: String,
    /// Recipients the server did not take, with its reason.
    pub refused: Vec<(Address, PagingFault)>,
}

/// Where in the session a fault happened; it decides what the fault means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connect,
    Authenticate,
    Envelope,
    Message,
}

impl Server {
    /// Hands over one message within `timeout`.
    pub(super) async fn hand_over(
        &self,
        sender: &Address,
        recipients: &[Address],
        message: &[u8],
        timeout: Duration,
    ) -> Result<Handed, PagingFault> {
        let goodbye = timeout / 10;
        let message_is_out = AtomicBool::new(false);
        let session = self.session(sender, recipients, message, timeout, &message_is_out);
        match tokio::time::timeout(timeout - goodbye, session).await {
            Ok(Ok((result, mut connection))) => {
                // The server has answered for the message: how the goodbye goes changes nothing.
                tokio::time::timeout(goodbye, connection.abort()).await.ok();
                result
            }
            Ok(Err(fault)) => Err(fault),
            Err(_) if message_is_out.load(Ordering::Relaxed) => {
                Err(PagingFault::unknown("the mail server took the message and did not answer in time"))
            }
            Err(_) => Err(PagingFault::retry("the mail server did not answer in time")),
        }
    }

    /// The session up to the server's last word, and the connection to say goodbye on.
    async fn session(
        &self,
        sender: &Address,
        recipients: &[Address],
        message: &[u8],
        timeout: Duration,
        message_is_out: &AtomicBool,
    ) -> Result<(Result<Handed, PagingFault>, AsyncSmtpConnection), PagingFault> {
        let mut connection = self.connect(timeout).await?;
        self.authenticate(&mut connection).await?;
        let mail = Mail::new(Some(sender.clone()), Vec::new());
        connection.command(mail).await.map_err(|fault| meaning(Stage::Envelope, &fault))?;
        let refused = offer(&mut connection, recipients).await?;
        if refused.len() == recipients.len() {
            return Ok((Err(all_refused(&refused)), connection));
        }
        connection.command(Data).await.map_err(|fault| meaning(Stage::Envelope, &fault))?;
        message_is_out.store(true, Ordering::Relaxed);
        let answer = connection.message(message).await.map_err(|fault| meaning(Stage::Message, &fault))?;
        let handed = Handed { answer: said(answer.first_line().unwrap_or("accepted")), refused };
        Ok((Ok(handed), connection))
    }

    async fn connect(&self, timeout: Duration) -> Result<AsyncSmtpConnection, PagingFault> {
        let hello = ClientId::default();
        let wrapped = match self.security {
            Security::Tls => self.tls.clone(),
            Security::Starttls | Security::Plain => None,
        };
        let address = (self.host.as_str(), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(address, Some(timeout / 2), &hello, wrapped, None)
            .await
            .map_err(|fault| meaning(Stage::Connect, &fault))?;
        if self.security == Security::Starttls {
            if !connection.can_starttls() {
                return Err(PagingFault::permanent(
                    "the mail server does not offer STARTTLS, so nothing was sent; check paging.email.security and paging.email.port",
                ));
            }
            let tls = self
                .tls
                .clone()
                .ok_or_else(|| PagingFault::permanent("paging.email was set up without TLS parameters"))?;
            connection.starttls(tls, &hello).await.map_err(|fault| meaning(Stage::Connect, &fault))?;
        }
        Ok(connection)
    }

    async fn authenticate(&self, connection: &mut AsyncSmtpConnection) -> Result<(), PagingFault> {
        let Some(credentials) = &self.credentials else {
            return Ok(());
        };
        connection
            .auth(&[Mechanism::Plain, Mechanism::Login], credentials)
            .await
            .map_err(|fault| meaning(Stage::Authenticate, &fault))?;
        Ok(())
    }
}

/// Offers each recipient; a refused one does not keep the message from the others.
async fn offer(
    connection: &mut AsyncSmtpConnection,
    recipients: &[Address],
) -> Result<Vec<(Address, PagingFault)>, PagingFault> {
    let mut refused = Vec::new();
    for recipient in recipients {
        let offered = Rcpt::new(recipient.clone(), Vec::new());
        if let Err(fault) = connection.command(offered).await {
            if fault.status().is_none() {
                return Err(meaning(Stage::Envelope, &fault));
            }
            refused.push((recipient.clone(), meaning(Stage::Envelope, &fault)));
        }
    }
    Ok(refused)
}

/// Nobody was accepted: permanent only when it is so for everybody.
fn all_refused(refused: &[(Address, PagingFault)]) -> PagingFault {
    let lines: Vec<String> = refused.iter().map(|(address, fault)| format!("{address}: {fault}")).collect();
    let why = said(&lines.join("; "));
    let permanent = |fault: &PagingFault| matches!(fault, PagingFault::Permanent { .. });
    if refused.iter().all(|(_, fault)| permanent(fault)) {
        PagingFault::permanent(why)
    } else {
        PagingFault::retry(why)
    }
}

/// What a fault means at its stage. A reply of the server is definite: 4xx Retry, 5xx Permanent.
fn meaning(stage: Stage, fault: &Error) -> PagingFault {
    let reason = said(&fault.to_string());
    if fault.status().is_some() {
        return reply(stage, fault, &reason);
    }
    if fault.is_client() {
        return PagingFault::permanent(format!("the e-mail cannot be sent so: {reason}"));
    }
    match stage {
        Stage::Message => PagingFault::unknown(format!(
            "the connection to the mail server broke after the message went out: {reason}"
        )),
        Stage::Connect => PagingFault::retry(format!("the mail server could not be reached: {reason}")),
        Stage::Authenticate | Stage::Envelope => {
            PagingFault::retry(format!("the connection to the mail server broke before the message went out: {reason}"))
        }
    }
}

fn reply(stage: Stage, fault: &Error, reason: &str) -> PagingFault {
    let what = match stage {
        Stage::Authenticate => "the mail server refused the login",
        _ => "the mail server refused",
    };
    if fault.is_transient() {
        return PagingFault::retry(format!("{what} for now: {reason}"));
    }
    let cure = match stage {
        Stage::Authenticate => ". Check paging.email.user and paging.email.password.",
        _ => "",
    };
    PagingFault::permanent(format!("{what}: {reason}{cure}"))
}
