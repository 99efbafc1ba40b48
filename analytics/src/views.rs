//! What a query sees of the archive and the registry: everything, or what analysts may.
//!
//! | table       | everything                     | analysts                                                         |
//! |-------------|--------------------------------|------------------------------------------------------------------|
//! | `positions` | the archive's columns, `date`  | taxis by pseudonym, places by town and H3 cell, statuses as words |
//! | `searches`  | the archive's columns, `date`  | the minute and the town, distances to 100 m                      |
//! | `hails`     | the archive's columns, `date`  | the minute and the town, seconds between steps, distances to     |
//! |             |                                | 100 m, taxis by pseudonyms of their own                          |
//! | `taxis`     | id, plate, ADS town, operator  | pseudonym a year, ADS town, operator                             |
//! | `ads`       | number, town, operator         | town, operator                                                   |
//! | `accounts`  | email, name, roles, manager    | name, roles                                                      |
//! | `towns`, `zupc` | the same                   | the same                                                         |
//! | of [`crate::rollups`] | the same             | the same: counts of what they see one by one                     |
//!
//! A position tells where a taxi was to within a cell, 530 m, and not at which door; a search and a
//! hail tell of their customer the town alone. What analysts may not see is not in their session by any name.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use datafusion::execution::FunctionRegistry as _;
use datafusion::functions::expr_fn::{date_trunc, round};
use datafusion::prelude::{Expr, SessionContext, cast, col, lit};
use ingest::clock::Millis;

use crate::dimensions::Dimensions;
use crate::functions;
use crate::layout::Stream;
use crate::pseudonym::{Pseudonyms, Use};
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

/// Functions whose answer may be as large as their argument says: no memory would be enough for one row.
const UNBOUNDED: [&str; 10] = [
    "repeat",
    "lpad",
    "rpad",
    "range",
    "generate_series",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "replace",
];

impl View {
    /// Puts the tables into a session.
    pub(crate) fn register(
        &self,
        context: &SessionContext,
        archive: impl Fn(Stream) -> ArchiveTable,
        rollup: impl Fn(Rollup) -> RollupTable,
        dimensions: &Dimensions,
    ) -> Result<()> {
        functions::all().for_each(|function| context.register_udf(function));
        let tables = match self {
            Self::Everything => dimensions.tables()?,
            Self::Pseudonymous { by, now } => dimensions.tables_by(by, *now)?,
        };
        for (name, batch) in tables {
            register_batch(context, name, batch)?;
        }
        for stream in Stream::ALL {
            let table = Arc::new(archive(stream));
            match self {
                Self::Everything => context.register_table(stream.as_str(), table)?,
                Self::Pseudonymous { by, .. } => {
                    let shown = context.read_table(table)?.select(shown(context, stream, *by))?;
                    context.register_table(stream.as_str(), shown.into_view())?
                }
            };
        }
        for table in Rollup::ALL.into_iter().filter(|rollup| rollup.is_table()) {
            context.register_table(table.as_str(), Arc::new(rollup(table)))?;
        }
        if matches!(self, Self::Pseudonymous { .. }) {
            for name in UNBOUNDED {
                context.deregister_udf(name);
            }
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
fn shown(context: &SessionContext, stream: Stream, by: Pseudonyms) -> Vec<Expr> {
    let minute = |time: &str| date_trunc(lit("minute"), col(time)).alias(time);
    let rough = |metres: &str| (round(vec![col(metres) / lit(100.0)]) * lit(100.0)).alias(metres);
    let ms = |time: &str| cast(col(time), DataType::Int64);
    match stream {
        Stream::Positions => {
            let word = context.udf("status_name").map(|function| function.call(vec![col("status")]));
            let taxi = by.function(Use::Positions).call(vec![col("taxi"), col("received_at")]);
            let mut columns = vec![col(DAY), col("received_at"), taxi.alias("taxi"), col("operator")];
            columns.extend(word.ok().map(|word| word.alias("status")));
            columns.extend(["speed_cm_s", "town", "ads", "cell"].map(col));
            columns
        }
        Stream::Searches => {
            let mut columns = vec![col(DAY), minute("at")];
            columns.extend(["caller", "town", "found", "seen"].map(col));
            columns.push(rough("closest_m"));
            columns
        }
        Stream::Hails => {
            let taxi = by.function(Use::Hails).call(vec![col("taxi"), col("added_at")]);
            let mut columns = vec![col(DAY), minute("added_at"), taxi.alias("taxi")];
            columns.extend(["status", "operator", "app", "town"].map(col));
            columns.push(rough("distance_m"));
            columns.extend(STEPS.map(|step| {
                let after = (ms(&format!("{step}_at")) - ms("added_at")) / lit(1000.0);
                after.alias(format!("{step}_after_s"))
            }));
            columns
        }
    }
}
