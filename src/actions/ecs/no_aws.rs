//! In a build without the feature `ecs` nothing can be signed; the configuration says so before anybody gets here.

use std::time::Duration;

use secrecy::SecretString;

use super::Ecs;
use crate::incident::words::Words;

/// Nothing is known.
#[derive(Debug, Default)]
pub struct Sessions;

impl Sessions {
    pub(super) async fn signed(
        &self,
        _config: &Ecs,
        _http: &reqwest::Client,
        _url: &str,
        _headers: &[(&str, &str)],
        _body: &[u8],
        _within: Duration,
    ) -> Result<Vec<(String, SecretString)>, Words> {
        Err(Words::new("ecs.not_built_in"))
    }
}
