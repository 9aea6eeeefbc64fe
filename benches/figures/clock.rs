//! Letting time pass, where what is measured is what happens meanwhile.

use std::time::Duration;

#[expect(clippy::disallowed_methods, reason = "what is measured is what happens while time passes")]
pub async fn pass(length: Duration) {
    tokio::time::sleep(length).await;
}
