//! The program: command line, HTTP, registry.
//!
//! This crate alone knows HTTP, JSON and SQL. Positions are `ingest`'s, the live map is `engine`'s.

pub mod activity;
pub mod app;
pub mod auth;
pub mod certify;
pub mod cli;
pub mod config;
mod connections;
mod console;
mod daily;
pub mod error;
pub mod fleet;
pub mod form;
pub mod geocoder;
pub mod guide;
pub mod hail;
pub mod import;
mod keep;
pub mod limits;
pub mod metrics;
mod observe;
pub mod openapi;
pub mod outbound;
pub mod passwords;
pub mod pseudonym;
pub mod publication;
pub mod rates;
pub mod refused;
pub mod registry;
pub mod replay;
pub mod retention;
pub mod role;
pub mod router;
pub mod routes;
pub mod searches;
pub mod secrets;
pub mod serve;
mod shares;
pub mod simulation;
pub mod statistics;
pub mod store;
pub mod visibility;
pub mod warehouse;
