//! Sorting a day in bounded memory: what does not fit goes to disk and is merged from there.

use std::path::Path as FilePath;

use datafusion::datasource::file_format::options::ParquetReadOptions;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::col;

use crate::bounded;
use crate::root::Root;
use crate::rows::Rows;

/// The rows of some files by some columns, the first first.
pub(crate) async fn sorted<R: Rows>(
    root: &Root,
    files: &[String],
    order: &[&str],
    aside: &FilePath,
) -> Result<SendableRecordBatchStream> {
    let (context, url) = bounded::session(root, aside)?;
    let paths: Vec<_> = files.iter().map(|name| format!("{}{name}", url.as_str())).collect();
    let schema = R::schema();
    let options = ParquetReadOptions::default().schema(&schema);
    let rows = context.read_parquet(paths, options).await?;
    let order = order.iter().map(|column| col(*column).sort(true, true)).collect();
    rows.sort(order)?.execute_stream().await
}
