//! Vigie

pub mod practice;
