//! Why the machine or the network said no, in words of every language; what has none keeps its own.
//!
//! It only names: what follows from a reason is for its caller.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::CertificateError;

use crate::incident::words::Words;

/// What the operating system said.
pub fn of_io(error: &io::Error) -> Words {
    match error.kind() {
        ErrorKind::ConnectionRefused => Words::new("reason.refused"),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Words::new("reason.broken_off")
        }
        ErrorKind::NotFound => Words::new("reason.not_found"),
        ErrorKind::PermissionDenied => Words::new("reason.not_allowed"),
        ErrorKind::TimedOut => Words::new("reason.no_answer"),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Words::new("reason.no_way"),
        ErrorKind::IsADirectory => Words::new("reason.no_file"),
        ErrorKind::FileTooLarge => Words::new("reason.too_large"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Words::new("reason.disk_full"),
        ErrorKind::ReadOnlyFilesystem => Words::new("reason.read_only"),
        _ => Words::verbatim(error.to_string()),
    }
}

/// What a failed request said: the outer sentences say only “error sending request”, the reason is at the end.
pub fn of_request(error: &(dyn Error + 'static)) -> Words {
    let mut last = error;
    let mut is_name = false;
    loop {
        if let Some(words) = of_certificate(last) {
            return words;
        }
        is_name |= last.to_string() == "dns error";
        match last.source() {
            Some(inner) => last = inner,
            None => break,
        }
    }
    match last.downcast_ref::<io::Error>() {
        _ if is_name => Words::new("reason.no_such_host"),
        Some(error) => of_io(error),
        None if last.to_string().contains("connection closed") => Words::new("reason.broken_off"),
        None => Words::verbatim(last.to_string()),
    }
}

/// What is wrong with the certificate that a server showed. I/O errors hide what they wrap from their own sources, and
/// may wrap each other.
fn of_certificate(error: &(dyn Error + 'static)) -> Option<Words> {
    let mut inmost = error;
    while let Some(inner) = inmost.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        inmost = inner;
    }
    let fault = inmost.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(fault) = fault else { return None };
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some(Words::new("reason.certificate_ended"))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(Words::new("reason.certificate_name"))
        }
        CertificateError::UnknownIssuer => Some(Words::new("reason.certificate_issuer")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_its_words_and_the_rest_is_quoted() {
        assert_eq!(of_io(&ErrorKind::ConnectionRefused.into()).key, "reason.refused");
        let strange = io::Error::other("the moon is full");
        assert_eq!(of_io(&strange), Words::verbatim("the moon is full"));
    }
}
