//! Modals and Home.
