//! Datagrams as bytes: what they say, not whether it is true.

pub mod binary;
pub mod json;
