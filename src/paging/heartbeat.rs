//! A dead-man's switch: an address that is called while all is well, and whose owner raises the alarm when it is not.

use std::time::Duration;

use url::Url;

use super::PagingFault;
use super::http::HttpClient;

/// How long a beat may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Where the beats go. The address is a secret: whoever knows it can keep the alarm quiet.
#[derive(Clone)]
pub struct Heartbeat {
    client: HttpClient,
    url: Url,
}

impl std::fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heartbeat")
    }
}

impl Heartbeat {
    /// A heartbeat to this address.
    ///
    /// # Errors
    /// A sentence when no client can be made.
    pub fn new(url: &Url) -> Result<Self, String> {
        Ok(Self { client: HttpClient::new("the heartbeat", url, WITHIN)?, url: url.clone() })
    }

    /// One beat.
    ///
    /// # Errors
    /// When it was not taken.
    pub async fn beat(&self) -> Result<(), PagingFault> {
        let answer = self.client.send(self.client.get(self.url.clone())).await?;
        if answer.status.is_success() { Ok(()) } else { Err(self.client.refused(&answer, "")) }
    }
}
