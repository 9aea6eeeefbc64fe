//! Vigie
pub mod paging;
pub mod render;
