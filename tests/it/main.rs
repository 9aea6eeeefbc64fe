//! Integration tests, in one binary.

mod eyes;
mod practice;
