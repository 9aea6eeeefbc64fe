//! The program: reads what was typed and has it done.

use tokio_util::sync::CancellationToken;
use vigie::app::practice::{Options, practice};
use vigie::clock::Clock;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let options = Options {
        listen: ([127, 0, 0, 1], 4000).into(),
        locale: "en".into(),
        clock: Clock::system(),
        rate_limits: true,
        database: None,
    };
    practice(options, |setup| println!("{}", setup.page()), CancellationToken::new()).await?;
    Ok(())
}
