//! Vigie
