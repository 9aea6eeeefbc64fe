//! The program: reads the command line and does what was typed.

use std::process::ExitCode;

use clap::Parser as _;
use vigie::cli::{Cli, run};

#[tokio::main]
async fn main() -> ExitCode {
    run(Cli::parse()).await
}
