//! What Vigie promises about the team's PostgreSQL databases (D1–D5, H3), on a real server: the one that
//! `VIGIE_TEST_POSTGRES` names. Each test has a database and a role of its own there, which need a password.

mod backup;
mod beside;
mod checks;
mod hard;
mod migration;
mod restore;
pub mod shop;
mod tls;
mod writers;
