//! The practice room: a local workspace, its phones and inboxes, and a toy shop to break.
//! It depends on nothing else of the crate.

pub mod page;
pub mod phones;
pub mod shop;
