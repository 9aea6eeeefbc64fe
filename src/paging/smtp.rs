//! One SMTP session: connect, secure, authenticate, hand over one message, and tell exactly how far it got.
//!
//! lettre's own transport stops at the first refused recipient and hides the stage at which a connection
//! broke. Both matter here: one wrong address must not keep a page from the others, and only a break after
//! the message went out leaves the outcome unknown.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use serde_json::Value;
use tokio::net::TcpStream;

use super::PagingFault;
use super::email::Security;
use super::fault::said;
use crate::incident::words::Words;

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
                Err(PagingFault::unknown(says("paging_fault.no_answer")))
            }
            Err(_) => Err(PagingFault::retry(says("paging_fault.late"))),
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
        let unreached = |fault: Error| meaning(Stage::Connect, &fault);
        if self.security == Security::Tls {
            let address = (self.host.as_str(), self.port);
            let connecting =
                AsyncSmtpConnection::connect_tokio1(address, Some(timeout / 2), &hello, self.tls.clone(), None);
            return connecting.await.map_err(unreached);
        }
        let stream = Box::new(self.reach(timeout / 2).await?);
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(unreached)?;
        if self.security == Security::Starttls {
            if !connection.can_starttls() {
                return Err(PagingFault::permanent(says("paging_fault.no_starttls")));
            }
            let tls = self.tls.clone().ok_or_else(|| PagingFault::permanent(says("paging_fault.no_starttls")))?;
            connection.starttls(tls, &hello).await.map_err(unreached)?;
        }
        Ok(connection)
    }

    /// A connection on which every write leaves at once. lettre ends a message with a small write of its own, which
    /// Nagle's algorithm would hold back until the server has acknowledged the text before it: some 40 ms.
    async fn reach(&self, within: Duration) -> Result<TcpStream, PagingFault> {
        let reaching = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let reached = tokio::time::timeout(within, reaching).await;
        reached.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|fault: io::Error| {
            PagingFault::retry(says("paging_fault.unreached").with("why", crate::reason::of_request(&fault)))
        })
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
    let faults = refused.iter().map(|(address, fault)| {
        let words = Words::new("paging_fault.of").with("to", address.to_string());
        Value::from(words.with("why", fault.why().clone()))
    });
    let why = Words::new("paging_fault.several").with("faults", faults.collect::<Vec<_>>());
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
        return PagingFault::permanent(Words::new("paging_fault.mail_unwritten").with("why", reason));
    }
    let why = crate::reason::of_request(fault);
    match stage {
        Stage::Message => PagingFault::unknown(says("paging_fault.broke_after").with("why", why)),
        Stage::Connect => PagingFault::retry(says("paging_fault.unreached").with("why", why)),
        Stage::Authenticate | Stage::Envelope => PagingFault::retry(says("paging_fault.broke_before").with("why", why)),
    }
}

fn reply(stage: Stage, fault: &Error, reason: &str) -> PagingFault {
    if fault.is_transient() {
        return PagingFault::retry(says("paging_fault.refused_for_now").with("said", reason));
    }
    PagingFault::permanent(match stage {
        Stage::Authenticate => {
            let words = says("paging_fault.credentials").with("said", reason);
            words.with("settings", "paging.email.user, paging.email.password")
        }
        _ => says("paging_fault.refused").with("said", reason),
    })
}

/// A sentence about the mail server.
fn says(key: &'static str) -> Words {
    Words::new(key).with("provider", Words::new("provider.mail"))
}
