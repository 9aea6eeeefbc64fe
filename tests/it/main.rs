//! Integration tests, in one binary.

mod practice;
