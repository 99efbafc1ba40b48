//! What the archive's numbers stand for, read whole.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Result, Store};
use crate::limits::TAXIS_A_READING;

/// A taxi as an operator registered it.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the columns, named and ordered as they are read")]
pub struct RegisteredTaxi {
    pub id: i32,
    pub public_id: String,
    pub operator_id: i32,
    pub insee: String,
    pub licence_plate: String,
    pub created_at: i64,
}

/// An ADS as an operator registered it.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the columns, named and ordered as they are read")]
pub struct RegisteredAds {
    pub id: i32,
    pub insee: String,
    pub numero: String,
    pub operator_id: i32,
    pub created_at: i64,
}

impl Store {
    /// Every taxi, by number.
    pub async fn registered_taxis(&self) -> Result<Vec<RegisteredTaxi>> {
        let columns = "id, public_id, operator_id, insee, licence_plate, created_at";
        let from = "SELECT t.id, t.public_id, t.operator_id, a.insee, v.licence_plate, t.created_at
             FROM taxis t JOIN ads a ON a.id = t.ads_id JOIN vehicles v ON v.id = t.vehicle_id
             WHERE t.id > $1 ORDER BY t.id";
        let number = |taxi: &RegisteredTaxi| taxi.id;
        self.part_by_part("taxis", (columns, from), number, TAXIS_A_READING).await
    }

    /// Every ADS, by its row.
    pub async fn registered_ads(&self) -> Result<Vec<RegisteredAds>> {
        let columns = "id, insee, numero, operator_id, created_at";
        let from = format!("SELECT {columns} FROM ads WHERE id > $1 ORDER BY id");
        self.part_by_part("ads", (columns, &from), |ads: &RegisteredAds| ads.id, TAXIS_A_READING).await
    }

    /// All rows of `from`, which gives them by their number, after one, `most` at a time: others read and write between
    /// two parts.
    async fn part_by_part<T: DeserializeOwned>(
        &self,
        table: &'static str,
        (columns, from): (&str, &str),
        number: fn(&T) -> i32,
        most: i32,
    ) -> Result<Vec<T>> {
        let from = format!("({from} LIMIT $2) part");
        let mut all: Vec<T> = Vec::new();
        loop {
            let after = all.last().map_or(0, number);
            let mut part: Vec<T> = self.text_of(table, (columns, &from), &[after, most]).await?.rows()?;
            if part.is_empty() {
                return Ok(all);
            }
            part.sort_unstable_by_key(number);
            all.append(&mut part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_make_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("maraude.db").display()).parse().unwrap();
        let store = Store::open(&url, ingest::clock::Clock::System).await.unwrap();
        let from =
            "SELECT column1 AS id FROM (VALUES (7), (2), (9), (3), (4)) WHERE column1 > $1 ORDER BY column1";
        for most in 1..=6 {
            let number = |row: &(i32,)| row.0;
            let all = store.part_by_part("numbers", ("id", from), number, most).await.unwrap();
            assert_eq!(all, [(2,), (3,), (4,), (7,), (9,)], "{most} at a time");
        }
        store.close().await;
    }
}
