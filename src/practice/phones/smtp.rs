//! The SMTP door (RFC 5321, the part a sender needs): takes mail, delivers nothing onwards.
//!
//! EHLO, HELO, AUTH PLAIN and LOGIN (any name and password will do), MAIL, RCPT, DATA, RSET, NOOP, QUIT.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::record::{Arrival, DeliveryKind, Door, Fault, Record};
use super::{LARGEST, mail};

/// Longest command or text line in bytes; RFC 5321 allows 1000 and asks for tolerance.
const LONGEST_LINE: u64 = 8192;
const MOST_RECIPIENTS: usize = 100;

/// Takes connections until it is dropped, which also ends the open ones.
pub(super) async fn serve(listener: TcpListener, record: Arc<Record>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let record = record.clone();
                    sessions.spawn(async move {
                        // A caller that hangs up in the middle is everyday life for a mail server.
                        if let Err(error) = Session::new(stream, record).run().await {
                            tracing::debug!(%error, "an SMTP caller went away");
                        }
                    });
                }
                Err(error) => tracing::warn!(%error, "the SMTP door could not take a connection"),
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

struct Session {
    stream: BufStream<TcpStream>,
    record: Arc<Record>,
    greeted: bool,
    envelope: Option<Envelope>,
}

struct Envelope {
    from: String,
    to: Vec<String>,
    fault: Option<Fault>,
}

/// Whether the conversation goes on after a command.
enum Next {
    On,
    End,
}

impl Session {
    fn new(stream: TcpStream, record: Arc<Record>) -> Self {
        Self { stream: BufStream::new(stream), record, greeted: false, envelope: None }
    }

    async fn run(mut self) -> std::io::Result<()> {
        self.say("220 practice.example.com ESMTP").await?;
        while let Some(line) = self.line().await? {
            let line = String::from_utf8_lossy(&line).into_owned();
            if matches!(self.obey(&line).await?, Next::End) {
                break;
            }
        }
        Ok(())
    }

    async fn obey(&mut self, line: &str) -> std::io::Result<Next> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.greeted = true;
                self.envelope = None;
                self.say(&format!("250-practice.example.com\r\n250-SIZE {LARGEST}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN")).await?;
            }
            "HELO" => {
                self.greeted = true;
                self.envelope = None;
                self.say("250 practice.example.com").await?;
            }
            "AUTH" => self.authenticate(rest).await?,
            "MAIL" => return self.mail(rest).await,
            "RCPT" => self.recipient(rest).await?,
            "DATA" => return self.data().await,
            "RSET" => {
                self.envelope = None;
                self.say("250 2.0.0 Flushed").await?;
            }
            "NOOP" => self.say("250 2.0.0 OK").await?,
            "VRFY" => self.say("252 2.1.5 Send some mail and see").await?,
            "QUIT" => {
                self.say("221 2.0.0 Bye").await?;
                return Ok(Next::End);
            }
            _ => self.say("502 5.5.1 This command is not known here").await?,
        }
        Ok(Next::On)
    }

    /// Plays both mechanisms to their end; practice asks for no particular password.
    async fn authenticate(&mut self, rest: &str) -> std::io::Result<()> {
        let mut words = rest.split_whitespace();
        let (mechanism, initial) = (words.next().unwrap_or_default().to_ascii_uppercase(), words.next());
        let challenges: &[&str] = match (mechanism.as_str(), initial) {
            ("PLAIN", None) => &["334 "],
            ("LOGIN", None) => &["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"],
            ("LOGIN", Some(_)) => &["334 UGFzc3dvcmQ6"],
            ("PLAIN", Some(_)) => &[],
            _ => return self.say("504 5.5.4 Use AUTH PLAIN or AUTH LOGIN").await,
        };
        for challenge in challenges {
            self.say(challenge).await?;
            if self.line().await?.is_none_or(|answer| answer == b"*") {
                return self.say("501 5.7.0 Authentication cancelled").await;
            }
        }
        self.say("235 2.7.0 Authenticated").await
    }

    async fn mail(&mut self, rest: &str) -> std::io::Result<Next> {
        if !self.greeted || self.envelope.is_some() {
            self.say("503 5.5.1 EHLO first, then one MAIL at a time").await?;
            return Ok(Next::On);
        }
        let Some(from) = path(rest, "FROM:") else {
            self.say("501 5.5.4 Write MAIL FROM:<address>").await?;
            return Ok(Next::On);
        };
        if announced_size(rest).is_some_and(|size| size > LARGEST) {
            self.say("552 5.3.4 The message is too large").await?;
            return Ok(Next::On);
        }
        let fault = self.record.take_fault(Door::Smtp);
        match fault {
            Some(Fault::Unavailable) => {
                self.say("421 4.3.2 Closing, try again later").await?;
                return Ok(Next::End);
            }
            Some(Fault::TooMany) => {
                self.say("451 4.7.1 Too many messages, try again later").await?;
                return Ok(Next::On);
            }
            Some(Fault::Hang) => self.hang().await?,
            Some(Fault::Refused | Fault::LostAnswer) | None => {}
        }
        self.envelope = Some(Envelope { from, to: Vec::new(), fault });
        self.say("250 2.1.0 OK").await?;
        Ok(Next::On)
    }

    async fn recipient(&mut self, rest: &str) -> std::io::Result<()> {
        let answer = match (&mut self.envelope, path(rest, "TO:")) {
            (None, _) => "503 5.5.1 MAIL comes first",
            (_, None) => "501 5.5.4 Write RCPT TO:<address>",
            (Some(envelope), Some(_)) if envelope.to.len() >= MOST_RECIPIENTS => "452 4.5.3 Too many recipients",
            (Some(envelope), Some(to)) if envelope.fault == Some(Fault::Refused) || self.record.refuses(&to) => {
                "550 5.1.1 Nobody here has that address"
            }
            (Some(envelope), Some(to)) => {
                envelope.to.push(to);
                "250 2.1.5 OK"
            }
        };
        self.say(answer).await
    }

    async fn data(&mut self) -> std::io::Result<Next> {
        let Some(envelope) = self.envelope.take_if(|envelope| !envelope.to.is_empty()) else {
            self.say("503 5.5.1 MAIL and an accepted RCPT come first").await?;
            return Ok(Next::On);
        };
        self.say("354 End with a line that holds a single dot").await?;
        let Some(body) = self.body().await? else {
            self.say("552 5.3.4 The message is too large").await?;
            return Ok(Next::On);
        };
        self.keep(&envelope, &body);
        if envelope.fault == Some(Fault::LostAnswer) {
            return Ok(Next::End);
        }
        self.say("250 2.0.0 Delivered").await?;
        Ok(Next::On)
    }

    /// Each recipient finds a copy in their own inbox.
    fn keep(&self, envelope: &Envelope, body: &[u8]) {
        let letter = mail::read(body);
        for to in &envelope.to {
            self.record.add(Arrival {
                kind: DeliveryKind::Email,
                to: to.clone(),
                from: letter.from.clone().unwrap_or_else(|| envelope.from.clone()),
                subject: letter.subject.clone(),
                body: letter.text.clone(),
                status: "delivered",
                raw: String::from_utf8_lossy(body).into_owned(),
            });
        }
    }

    /// The lines up to the single dot, doubled dots undone (RFC 5321 4.5.2); `None` when it was too large.
    async fn body(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        let mut fits = true;
        loop {
            let line = self.line().await?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
            if line == b"." {
                return Ok(fits.then_some(body));
            }
            let line = line.strip_prefix(b".").unwrap_or(&line);
            fits = fits && body.len() + line.len() + 2 <= LARGEST;
            if fits {
                body.extend_from_slice(line);
                body.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Holds the line without a word until the caller hangs up.
    async fn hang(&mut self) -> std::io::Result<()> {
        while self.line().await?.is_some() {}
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }

    /// The next line without its end, `None` when the caller hung up.
    async fn line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(None);
        }
        while line.last().is_some_and(|c| matches!(c, b'\n' | b'\r')) {
            line.pop();
        }
        Ok(Some(line))
    }

    async fn say(&mut self, answer: &str) -> std::io::Result<()> {
        self.stream.write_all(answer.as_bytes()).await?;
        self.stream.write_all(b"\r\n").await?;
        self.stream.flush().await
    }
}

/// The address in `FROM:<a@example.com> SIZE=…`; empty for a bounce.
fn path(rest: &str, label: &str) -> Option<String> {
    let head = rest.get(..label.len())?;
    let inner = rest.get(label.len()..)?.trim_start().strip_prefix('<')?;
    let (address, _) = inner.split_once('>')?;
    head.eq_ignore_ascii_case(label).then(|| address.to_owned())
}

fn announced_size(rest: &str) -> Option<usize> {
    rest.split_whitespace()
        .find_map(|word| word.to_ascii_uppercase().strip_prefix("SIZE=").and_then(|n| n.parse().ok()))
}

#[cfg(test)]
mod tests {
    use lettre::message::header::ContentType;
    use lettre::transport::smtp::authentication::Credentials;
    use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

    use super::super::{Delivery, DeliveryKind, Door, Fault, Phones, PhonesOptions};

    async fn phones() -> Phones {
        Phones::start(PhonesOptions::new(|| 1_795_160_000_000)).await.expect("free ports")
    }

    fn sender(phones: &Phones) -> AsyncSmtpTransport<Tokio1Executor> {
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(phones.smtp_addr().port()).build()
    }

    fn letter(to: &[&str], text: &str) -> Message {
        let mut builder = Message::builder()
            .from("Status <status@example.com>".parse().expect("an address"))
            .subject("Paiement rétabli")
            .header(ContentType::TEXT_PLAIN);
        for to in to {
            builder = builder.to(to.parse().expect("an address"));
        }
        builder.body(text.to_owned()).expect("a letter")
    }

    #[tokio::test]
    async fn every_recipient_finds_the_letter_decoded_and_its_dots_intact() {
        let phones = phones().await;
        let text = "Tout fonctionne à nouveau.\r\n.\r\n..deux points\r\nMerci.";
        sender(&phones).send(letter(&["a@example.com", "b@example.com"], text)).await.expect("taken");
        let inbox = phones.deliveries();
        let expected = |id, to: &str| Delivery {
            id,
            at_ms: 1_795_160_000_000,
            kind: DeliveryKind::Email,
            to: to.into(),
            from: "status@example.com".into(),
            subject: "Paiement rétabli".into(),
            body: text.replace("\r\n", "\n"),
            status: "delivered".into(),
            raw: inbox[0].raw.clone(),
        };
        assert_eq!(inbox, vec![expected(1, "a@example.com"), expected(2, "b@example.com")]);
        assert_eq!(*phones.changes().borrow(), 2);
    }

    #[tokio::test]
    async fn a_sender_that_authenticates_is_let_in() {
        let phones = phones().await;
        let sender = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
            .port(phones.smtp_addr().port())
            .credentials(Credentials::new("vigie".into(), "secret".into()))
            .build();
        sender.send(letter(&["a@example.com"], "Bonjour")).await.expect("taken");
        assert_eq!(phones.deliveries().len(), 1);
    }

    #[tokio::test]
    async fn a_busy_server_is_a_passing_fault_and_the_next_letter_gets_through() {
        let phones = phones().await;
        phones.fail_next(Door::Smtp, Fault::Unavailable, 1);
        let refused = sender(&phones).send(letter(&["a@example.com"], "Bonjour")).await.expect_err("421");
        assert!(refused.is_transient(), "{refused}");
        phones.fail_next(Door::Smtp, Fault::TooMany, 1);
        let refused = sender(&phones).send(letter(&["a@example.com"], "Bonjour")).await.expect_err("451");
        assert!(refused.is_transient(), "{refused}");
        sender(&phones).send(letter(&["a@example.com"], "Bonjour")).await.expect("taken");
        assert_eq!(phones.deliveries().len(), 1);
    }

    #[tokio::test]
    async fn a_refused_recipient_is_a_lasting_fault() {
        let phones = phones().await;
        phones.refuse("Gone@example.com");
        let refused = sender(&phones).send(letter(&["gone@example.com"], "Bonjour")).await.expect_err("550");
        assert!(refused.is_permanent(), "{refused}");
        assert_eq!(phones.deliveries(), Vec::new());
        phones.accept("gone@example.com");
        sender(&phones).send(letter(&["gone@example.com"], "Bonjour")).await.expect("taken");
    }

    #[tokio::test]
    async fn a_lost_answer_leaves_the_letter_in_the_inbox_and_the_sender_in_doubt() {
        let phones = phones().await;
        phones.fail_next(Door::Smtp, Fault::LostAnswer, 1);
        sender(&phones).send(letter(&["a@example.com"], "Bonjour")).await.expect_err("no answer");
        assert_eq!(phones.deliveries().len(), 1);
    }

    #[tokio::test]
    async fn a_letter_that_is_too_large_is_refused_whole() {
        let phones = phones().await;
        let large = "0123456789abcdef\r\n".repeat(70_000);
        let refused = sender(&phones).send(letter(&["a@example.com"], &large)).await.expect_err("552");
        assert!(refused.is_permanent(), "{refused}");
        assert_eq!(phones.deliveries(), Vec::new());
    }

    #[tokio::test]
    async fn a_hanging_server_says_nothing_until_the_caller_hangs_up() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let phones = phones().await;
        phones.fail_next(Door::Smtp, Fault::Hang, 1);
        let mut call = tokio::net::TcpStream::connect(phones.smtp_addr()).await.expect("connected");
        call.write_all(b"EHLO a\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n").await.expect("sent");
        call.shutdown().await.expect("hung up");
        let mut heard = String::new();
        call.read_to_string(&mut heard).await.expect("the end");
        assert!(heard.ends_with("250 AUTH PLAIN LOGIN\r\n"), "{heard}");
    }
}
