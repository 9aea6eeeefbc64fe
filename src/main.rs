//! The program: reads the command line and does what was typed.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    vigie::cli::run(vigie::cli::Cli::parse()).await
}
