//! What speed is measured with: made-up worlds, rivals to compare with, and an open-loop client.
//!
//! The benches are `gate` and `index`, the load generators are `load`, `registry` and `streams`; `benches/README.md`
//! has their figures and how to get them again. Nothing here is part of the program.

pub mod cpu;
pub mod datagrams;
pub mod demand;
pub mod france;
pub mod hail_rows;
pub mod open_loop;
pub mod program;
pub mod rivals;
pub mod rows;
pub mod town_server;
pub mod world;
