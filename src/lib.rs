//! Vigie
pub mod comms;
pub mod paging;
pub mod render;
