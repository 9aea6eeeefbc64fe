//! Vigie
pub mod render;
