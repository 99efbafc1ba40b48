//! A session of `DataFusion` for work beside what serves: on one core, in bounded memory. What does not fit goes to
//! disk.

use std::path::Path as FilePath;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::limits::SORT_BYTES;
use crate::root::Root;

/// One that reads the objects of an archive, under the URL beside it. `aside` is the directory for what does not fit.
pub(crate) fn session(root: &Root, aside: &FilePath) -> Result<(SessionContext, ObjectStoreUrl)> {
    std::fs::create_dir_all(aside).map_err(DataFusionError::IoError)?;
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(SORT_BYTES)))
        .with_temp_file_path(aside)
        .build_arc()?;
    // Of one the order among equals is the files', and memory is not divided.
    let config = SessionConfig::new().with_target_partitions(1).with_collect_statistics(false);
    let context = SessionContext::new_with_config_rt(config, runtime);
    let url = ObjectStoreUrl::parse("archive://archive")?;
    context.register_object_store(url.as_ref(), Arc::clone(root.store()));
    Ok((context, url))
}
