//! How fast Vigie is, and how little it takes, beside bots on Slack's own frameworks. `benches/run` prepares everything
//! and starts this; nothing here judges, it only measures and prints one table.
//!
//! The strict practice workspace runs in this process; every bot is a process of its own, as people would run it.
//! What is measured stands in one file for each group of figures: `ack`, `idle` …

mod ack;
mod bot;
mod by_hand;
mod clock;
mod database;
mod declare;
mod floor;
mod hear;
mod idle;
mod many;
mod place;
mod start;
mod storm;
mod table;
mod team;
mod undo;

use std::process::ExitCode;

use table::Table;

/// The groups in the order of the table.
const GROUPS: [&str; 9] = ["ack", "idle", "start", "hear", "declare", "many", "storm", "first-write", "undo"];

#[tokio::main]
async fn main() -> ExitCode {
    vigie::app::install_crypto();
    // cargo adds words of its own, which begin with a dash.
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let strange = named.iter().find(|name| !GROUPS.contains(&name.as_str()));
    if named.is_empty() || strange.is_some() {
        let strange = strange.map_or("without a name".to_owned(), |name| format!("called “{name}”"));
        eprintln!("there are no figures {strange}; there are: {}", GROUPS.join(", "));
        return ExitCode::from(2);
    }
    let mut table = Table::default();
    for group in GROUPS {
        if named.iter().any(|name| name == group) {
            measure(group, &mut table).await;
        }
    }
    println!("{table}");
    ExitCode::SUCCESS
}

async fn measure(group: &str, table: &mut Table) {
    match group {
        "ack" => ack::measure(table).await,
        "idle" => idle::measure(table).await,
        "start" => start::measure(table).await,
        "hear" => hear::measure(table).await,
        "declare" => declare::measure(table).await,
        "many" => many::measure(table).await,
        "storm" => storm::measure(table).await,
        "first-write" => undo::first_write(table).await,
        "undo" => undo::undo(table).await,
        _ => unreachable!("every group of the list has its line here"),
    }
}
