//! What statistics read of the rows, and the rows that are kept for them.

pub mod archived;
pub mod copies;
pub mod hails;
pub mod heard;
pub mod published;
pub mod registered;
