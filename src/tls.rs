//! Whom Vigie trusts on the network: the operating system's root certificates, read once for every client there is.
//!
//! This room opens no connection and knows nobody. Peers with roots of their own (a cluster, a database, a mail server)
//! are told so where they are configured.

use std::sync::{Arc, LazyLock};

use hyper_rustls::ConfigBuilderExt as _;
use rustls::{ClientConfig, crypto::ring};

static CONFIG: LazyLock<Result<ClientConfig, TlsFault>> = LazyLock::new(read);

/// Nobody can be trusted.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no CA certificates could be read ({why}); install the system's ca-certificates or set SSL_CERT_FILE")]
pub struct TlsFault {
    why: String,
}

/// What a client starts from. Which protocol it speaks inside (ALPN) is its own business.
///
/// # Errors
/// [`TlsFault`], every time alike.
pub fn config() -> Result<ClientConfig, TlsFault> {
    CONFIG.clone()
}

/// [`config`] for a client that speaks HTTP/2 and HTTP/1.1 and does not say so itself.
///
/// # Errors
/// As [`config`].
pub fn for_http() -> Result<ClientConfig, TlsFault> {
    let mut config = config()?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn read() -> Result<ClientConfig, TlsFault> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|fault| TlsFault { why: fault.to_string() })?;
    let builder = builder.with_native_roots().map_err(|fault| TlsFault { why: fault.to_string() })?;
    Ok(builder.with_no_client_auth())
}
