//! A port that takes connections: databases, brokers, mail servers.

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::{Check, Seen};
use crate::actions::World;
use crate::actions::config::{ConfigFault, fault};
use crate::actions::stopwatch::{self, Stopwatch};
use crate::incident::approval::Verdict;
use crate::incident::words::Words;
use crate::reason;

/// Where to connect to.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpCheck {
    /// Host and port: `db.example.com:5432`, `[::1]:6379`.
    pub address: String,
}

#[async_trait]
impl Check for TcpCheck {
    fn default_title(&self) -> String {
        format!("Port {}", self.address)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        Vec::new()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let port = self.address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        if port.and_then(|port| port.parse::<u16>().ok()).is_none() {
            let sentence = "write host and port, for example db.example.com:5432";
            faults.push(fault(format!("{path}.address"), sentence));
        }
    }

    async fn look(&self, _world: &World, within: std::time::Duration) -> Seen {
        let watch = Stopwatch::start();
        match stopwatch::within(within, TcpStream::connect(self.address.as_str())).await {
            Err(_) => Seen::hung(Words::new("look.no_connection").with("within_ms", watch.took().0)),
            Ok(Ok(_)) => Seen::new(Verdict::Pass, Words::new("look.connected").with("took_ms", watch.took().0)),
            Ok(Err(error)) => Seen::fail(reason::of_io(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::toy::{refused_address, world};

    #[tokio::test]
    async fn an_open_port_passes_and_a_closed_one_says_that_it_refuses() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = TcpCheck { address: listener.local_addr().unwrap().to_string() };
        let within = std::time::Duration::from_secs(5);
        assert_eq!(open.look(&world(), within).await.verdict, Verdict::Pass);
        let url = refused_address().await;
        let closed = TcpCheck { address: url.trim_start_matches("http://").trim_end_matches('/').to_owned() };
        let seen = closed.look(&world(), within).await;
        assert_eq!(seen.verdict, Verdict::Fail);
        assert_eq!(seen.value, Words::new("reason.refused"));
    }
}
