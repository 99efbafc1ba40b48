//! Files of places, read: text in; out come rows, and a remark for each thing that was wrong with them.
//!
//! Nothing here touches a database. A wrong row costs no other; only a file that is not of its kind at all is an
//! error.

use serde_json::Value;
use thiserror::Error;

use crate::store::places::Imported;

pub mod departements;
pub mod features;
pub mod history;
mod phone;
pub mod populations;
pub mod stations;
pub mod zones;

/// What can be imported, by the names that the command line has for it.
pub const KINDS: &[&str] = &["towns", "zupc", "exclusions", "stations", "departements", "populations"];

/// What was understood of a file.
#[derive(Debug)]
pub struct Reading<T> {
    /// What is to be imported.
    pub rows: Vec<T>,
    /// What is left out, and why.
    pub refused: Vec<Remark>,
    /// What is imported otherwise than it was written, or looks wrong.
    pub noted: Vec<Remark>,
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), refused: Vec::new(), noted: Vec::new() }
    }
}

/// A remark on one field of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// In JSON the number of the element, from 1; in CSV the number of the line, where the heading is line 1.
    pub row: usize,
    /// The field's name in the file, with dots between levels.
    pub field: String,
    /// What is wrong with it, and what became of it.
    pub reason: String,
}

/// What became of a file.
#[derive(Debug, Default)]
pub struct Report {
    /// What its rows did.
    pub imported: Imported,
    /// What was left out, and why.
    pub refused: Vec<Remark>,
    /// What was imported otherwise than it was written, or looks wrong.
    pub noted: Vec<Remark>,
}

/// A file is not of the kind that was expected.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// It is no GeoJSON with features.
    #[error("this is no GeoJSON Feature or FeatureCollection: {0}")]
    NotGeoJson(serde_json::Error),
    /// It is no JSON.
    #[error("this is no JSON: {0}")]
    NotJson(serde_json::Error),
    /// A list is expected there.
    #[error("{0} is not a list")]
    NoList(&'static str),
    /// It is no table.
    #[error("this is no CSV: {0}")]
    NotCsv(#[from] csv::Error),
    /// A column without which no row can be read.
    #[error("the column {0} is missing")]
    NoColumn(&'static str),
}

/// The field that is wrong, and why.
type Wrong = (&'static str, String);

fn remark(row: usize, (field, reason): Wrong) -> Remark {
    Remark { row, field: field.to_owned(), reason }
}

fn came_before(key: &str) -> String {
    format!("{key} came before")
}

/// A text that says something.
fn text_of(value: &Value, field: &'static str) -> Result<String, Wrong> {
    match value {
        Value::String(text) if !text.trim().is_empty() && !text.contains('\0') => Ok(text.clone()),
        Value::Null => Err((field, "is missing".to_owned())),
        other => Err((field, format!("{other} is no text"))),
    }
}
