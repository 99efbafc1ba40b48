//! Sorting a day in bounded memory: what does not fit goes to disk and is merged from there.

use std::path::Path as FilePath;
use std::sync::Arc;

use datafusion::datasource::file_format::options::ParquetReadOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext, col};

use crate::limits::SORT_BYTES;
use crate::root::Root;
use crate::rows::Rows;

/// The rows of some files by some columns, the first first.
pub(crate) async fn sorted<R: Rows>(
    root: &Root,
    files: &[String],
    order: &[&str],
    aside: &FilePath,
) -> Result<SendableRecordBatchStream> {
    std::fs::create_dir_all(aside).map_err(DataFusionError::IoError)?;
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(SORT_BYTES)))
        .with_temp_file_path(aside)
        .build_arc()?;
    // One sorts, so that the order among equals is the files' and memory is not divided.
    let config = SessionConfig::new().with_target_partitions(1).with_collect_statistics(false);
    let context = SessionContext::new_with_config_rt(config, runtime);
    let url = ObjectStoreUrl::parse("archive://archive")?;
    context.register_object_store(url.as_ref(), Arc::clone(root.store()));
    let paths: Vec<_> = files.iter().map(|name| format!("{}{name}", url.as_str())).collect();
    let schema = R::schema();
    let options = ParquetReadOptions::default().schema(&schema);
    let rows = context.read_parquet(paths, options).await?;
    let order = order.iter().map(|column| col(*column).sort(true, true)).collect();
    rows.sort(order)?.execute_stream().await
}
