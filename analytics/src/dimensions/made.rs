//! Tables of dimensions, made once for all queries that are asked of the same ones: of 60 thousand taxis the names
//! alone take longer than many a query.

use std::sync::{Arc, OnceLock};

use datafusion::arrow::error::ArrowError;
use ingest::clock::Millis;
use tokio::sync::OnceCell;

use super::{Dimensions, Named};
use crate::crowd::Crowd;
use crate::pseudonym::{Pseudonyms, year};

/// What was made of dimensions so far. A copy begins without: the dimensions that it belongs to may be changed.
#[derive(Default)]
pub struct Made {
    tables: OnceLock<Vec<Named>>,
    for_analysts: OnceCell<Arc<ForAnalysts>>,
}

impl Clone for Made {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What analysts see.
pub(crate) struct ForAnalysts {
    by: Pseudonyms,
    /// Names are made until this one.
    year: i32,
    /// Whom it tells apart.
    pub(crate) crowd: Crowd,
    pub(crate) tables: Vec<Named>,
}

impl Dimensions {
    /// Everything, for administrators.
    pub(crate) fn tables(&self) -> Result<Vec<Named>, ArrowError> {
        if let Some(tables) = self.made.tables.get() {
            return Ok(tables.clone());
        }
        let tables = self.make_tables()?;
        Ok(self.made.tables.get_or_init(|| tables).clone())
    }

    /// What analysts see, with names until now.
    pub(crate) async fn for_analysts(
        &self,
        by: Pseudonyms,
        now: Millis,
    ) -> Result<Arc<ForAnalysts>, ArrowError> {
        let make = async || {
            let crowd = Crowd::of(self);
            let tables = self.make_tables_by(&by, now, &crowd).await?;
            Ok(Arc::new(ForAnalysts { by, year: year(now.0), crowd, tables }))
        };
        let made = self.made.for_analysts.get_or_try_init(&make).await?;
        // Under another key taxis have other names, and in another year one more.
        if made.by == by && made.year == year(now.0) { Ok(made.clone()) } else { make().await }
    }
}
