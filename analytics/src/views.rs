//! What a query sees of the archive and the registry: everything, or what analysts may.
//!
//! | table       | everything                     | analysts                                                         |
//! |-------------|--------------------------------|------------------------------------------------------------------|
//! | `positions` | the archive's columns, `date`  | taxis by pseudonym, places by town and H3 cell, statuses as words |
//! |             |                                | and `ads` where the operator has five ADS of that town or more,  |
//! |             |                                | and five elsewhere or none; `operator` where it has five ADS or  |
//! |             |                                | more, as in `hails`, `taxis` and `ads`                           |
//! | `searches`  | the archive's columns, `date`  | the minute and the town, distances to 100 m                      |
//! | `hails`     | the archive's columns, `date`  | the hour and the town, minutes between steps, distances to       |
//! |             |                                | 100 m, no taxi                                                   |
//! | `taxis`     | id, plate, ADS town, operator  | pseudonym a year, operator, ADS town as in `positions`           |
//! | `ads`       | number, town, operator, moment | town as in `positions`, operator, month                          |
//! | `accounts`  | email, name, roles, manager    | name, roles                                                      |
//! | `towns`, `zupc` | the same                   | the same                                                         |
//! | of [`crate::rollups`] | the same             | rows that count five taxis or searches or more                   |
//!
//! A position tells where a taxi was to within a cell, 530 m, and not at which door; a search and a
//! hail tell of their customer the town alone. Positions alone tell when they were to the millisecond: a hail that told
//! its minute and steps could be found in how a taxi's status changed, and under a name all other hails of that taxi.
//! What analysts may not see is not in their session by any name.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use datafusion::execution::FunctionRegistry as _;
use datafusion::functions::expr_fn::{date_trunc, round};
use datafusion::prelude::{Expr, SessionContext, cast, col, lit};
use ingest::clock::Millis;

use crate::crowd::Crowd;
use crate::dimensions::Dimensions;
use crate::functions;
use crate::layout::Stream;
use crate::limits::FEWEST_SHOWN;
use crate::pseudonym::Pseudonyms;
use crate::rollups::Rollup;
use crate::rollups::table::RollupTable;
use crate::scan::DAY;
use crate::schema::STEPS;
use crate::tables::ArchiveTable;

/// Who looks.
#[derive(Clone, Copy, Debug)]
pub enum View {
    /// An administrator on this machine.
    Everything,
    /// An analyst.
    Pseudonymous {
        /// What taxis are called.
        by: Pseudonyms,
        /// The time: names are made until its year.
        now: Millis,
    },
}

impl View {
    /// Puts the tables into a session.
    pub(crate) async fn register(
        &self,
        context: &SessionContext,
        archive: impl Fn(Stream) -> ArchiveTable,
        rollup: impl Fn(Rollup) -> RollupTable,
        dimensions: &Dimensions,
    ) -> Result<()> {
        functions::all().for_each(|function| context.register_udf(function));
        let for_analysts = match self {
            Self::Everything => None,
            Self::Pseudonymous { by, now } => Some((*by, dimensions.for_analysts(*by, *now).await?)),
        };
        let tables = match &for_analysts {
            None => dimensions.tables()?,
            Some((_, made)) => made.tables.clone(),
        };
        for (name, batch) in tables {
            register_batch(context, name, batch)?;
        }
        for stream in Stream::ALL {
            let table = Arc::new(archive(stream));
            match &for_analysts {
                None => context.register_table(stream.as_str(), table)?,
                Some((by, made)) => {
                    let columns = shown(context, stream, *by, &made.crowd)?;
                    let shown = context.read_table(table)?.select(columns)?;
                    context.register_table(stream.as_str(), shown.into_view())?
                }
            };
        }
        for (name, table) in
            Rollup::ALL.into_iter().filter(|one| one.is_table()).map(|one| (one, rollup(one)))
        {
            let table = Arc::new(table);
            match self {
                Self::Everything => context.register_table(name.as_str(), table)?,
                Self::Pseudonymous { .. } => {
                    let of_many = col(name.figure()).gt_eq(lit(FEWEST_SHOWN));
                    let shown = context.read_table(table)?.filter(of_many)?;
                    context.register_table(name.as_str(), shown.into_view())?
                }
            };
        }
        Ok(())
    }
}

/// A table of one batch.
pub(crate) fn register_batch(context: &SessionContext, name: &str, batch: RecordBatch) -> Result<()> {
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    context.register_table(name, Arc::new(table))?;
    Ok(())
}

/// What analysts see of a stream.
fn shown(context: &SessionContext, stream: Stream, by: Pseudonyms, crowd: &Crowd) -> Result<Vec<Expr>> {
    let to = |span: &str, time: &str| date_trunc(lit(span), col(time)).alias(time);
    let rough = |metres: &str| (round(vec![col(metres) / lit(100.0)]) * lit(100.0)).alias(metres);
    let ms = |time: &str| cast(col(time), DataType::Int64);
    Ok(match stream {
        Stream::Positions => {
            let word = context.udf("status_name").map(|function| function.call(vec![col("status")]));
            let taxi = by.function().call(vec![col("taxi"), col("received_at")]);
            let mut columns =
                vec![col(DAY), col("received_at"), taxi.alias("taxi"), crowd.operators("operator")?];
            columns.extend(word.ok().map(|word| word.alias("status")));
            columns.extend([col("speed_cm_s"), col("town"), crowd.towns("operator", "ads"), col("cell")]);
            columns
        }
        Stream::Searches => {
            let mut columns = vec![col(DAY), to("minute", "at")];
            columns.extend(["caller", "town", "found", "seen"].map(col));
            columns.push(rough("closest_m"));
            columns
        }
        Stream::Hails => {
            let mut columns = vec![col(DAY), to("hour", "added_at")];
            columns.extend([col("status"), crowd.operators("operator")?, col("app"), col("town")]);
            columns.push(rough("distance_m"));
            columns.extend(STEPS.map(|step| {
                let after = (ms(&format!("{step}_at")) - ms("added_at")) / lit(60_000.0);
                round(vec![after]).alias(format!("{step}_after_min"))
            }));
            columns
        }
    })
}
