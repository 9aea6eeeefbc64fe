//! An e-mail's bytes turned into what a person reads: sender, subject and text.

use mail_parser::MessageParser;

/// The readable parts of an e-mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub from: Option<String>,
    pub subject: String,
    pub text: String,
}

/// Reads headers and the first text part, decoded. What cannot be parsed is shown as it came.
pub(super) fn read(bytes: &[u8]) -> Letter {
    let Some(message) = MessageParser::default().parse(bytes) else {
        return Letter { from: None, subject: String::new(), text: String::from_utf8_lossy(bytes).into_owned() };
    };
    let from = message.from().and_then(|list| list.first()).and_then(|one| one.address.as_deref()).map(str::to_owned);
    let text = message.body_text(0).map(|text| text.replace("\r\n", "\n").trim_end().to_owned()).unwrap_or_default();
    Letter { from, subject: message.subject().unwrap_or_default().to_owned(), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coded_subject_and_a_quoted_printable_text_are_readable() {
        let letter = read(
            b"From: Status <status@example.com>\r\nTo: a@example.com\r\n\
              Subject: =?utf-8?B?UGFpZW1lbnQgcsOpdGFibGk=?=\r\n\
              Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
              Le paiement fonctionne =C3=A0 nouveau.=\r\n Merci.\r\n",
        );
        assert_eq!(
            letter,
            Letter {
                from: Some("status@example.com".into()),
                subject: "Paiement rétabli".into(),
                text: "Le paiement fonctionne à nouveau. Merci.".into(),
            }
        );
    }

    #[test]
    fn of_a_letter_in_two_forms_the_plain_one_is_shown() {
        let letter = read(
            b"Subject: Two forms\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
              --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nUGxhaW4=\r\n\
              --b\r\nContent-Type: text/html\r\n\r\n<b>Html</b>\r\n--b--\r\n",
        );
        assert_eq!(letter.text, "Plain");
    }
}
