//! Many rows at once, as one text: JSON that the database writes, an array for each row.
//!
//! Row by row, each value of `SQLite` is copied twice and freed by another thread, and each row is handed over by
//! itself: of a million taxis that took far longer than to find their rows.

use std::fmt::Debug;

use serde::Deserialize;
use sqlx::AssertSqlSafe;

use super::{Pool, Result, Store, StoreError, read};

/// Rows as the database writes them.
#[derive(Debug)]
pub struct Text {
    table: &'static str,
    json: String,
}

impl Text {
    /// The rows, in no order. An error: a value is not of its column's type.
    pub fn rows<'a, T: Deserialize<'a>>(&'a self) -> Result<Vec<T>> {
        serde_json::from_str(&self.json).map_err(|error| StoreError::Damaged {
            table: self.table,
            key: format!("{} of {} bytes", error.column(), self.json.len()),
            reason: error.to_string(),
        })
    }
}

impl Store {
    /// What `columns` are of the rows of `from`, which asks for `numbers`; one snapshot. A boolean is a number in one
    /// database and not in the other: columns are numbers and texts.
    pub(super) async fn text_of(
        &self,
        table: &'static str,
        (columns, from): (&str, &str),
        numbers: &[i32],
    ) -> Result<Text> {
        let one = match self.pool {
            Pool::Sqlite { .. } => "json_array",
            Pool::Postgres(_) => "json_build_array",
        };
        self.list(table, &format!("{one}({columns})"), from, numbers).await
    }

    /// A column of numbers of the rows of `from`, in no order.
    pub(super) async fn numbers_of(&self, table: &'static str, column: &str, from: &str) -> Result<Vec<i64>> {
        self.list(table, column, from, &[]).await?.rows()
    }

    async fn list(&self, table: &'static str, each: &str, from: &str, numbers: &[i32]) -> Result<Text> {
        let all = match self.pool {
            Pool::Sqlite { .. } => "json_group_array",
            Pool::Postgres(_) => "json_agg",
        };
        let sql = format!("SELECT CAST({all}({each}) AS TEXT) FROM {from}");
        let (json,): (Option<String>,) = read!(self, db => {
            // What asks for numbers is asked again with others.
            let query = sqlx::query_as(AssertSqlSafe(sql)).persistent(!numbers.is_empty());
            numbers.iter().fold(query, |query, number| query.bind(*number)).fetch_one(db)
        })?;
        // Of no rows one database makes no text.
        Ok(Text { table, json: json.unwrap_or_else(|| "[]".to_owned()) })
    }
}
