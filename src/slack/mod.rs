//! Slack: what people see there, and how Vigie hears and speaks.

pub mod cards;
pub mod scene;
pub mod views;
