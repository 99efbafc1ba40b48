//! Queries that other processes run: what they need to know of us.
//!
//! A query is planned here, files and all, so that views, what analysts may use, and which files are read are decided
//! in one place. Its plan is what travels: files by name under [`ARCHIVE`], the registry's rows within it, and
//! functions as [`encode`] writes them, which of pseudonyms is their key. So whoever runs plans must be trusted with
//! everything: a cluster is the registry's own. A plan that reads no file of the archive runs where it was made.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::Result;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use datafusion::prelude::SessionConfig;

use crate::crowd::Crowd;
use crate::functions;
use crate::pseudonym::Pseudonyms;
use crate::root::Root;

/// What the archive's objects are registered under, wherever a plan runs.
pub const ARCHIVE: &str = "archive://archive";

/// Processes that run plans. Limits on time and rows are kept here, that on memory is theirs.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// A session whose plans can be sent there.
    fn prepare(&self, session: SessionState) -> SessionState;

    /// Runs a plan of such a session. Errors are [`datafusion::error::DataFusionError::External`] where it is the
    /// cluster that failed.
    async fn run(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        session: &SessionConfig,
    ) -> Result<SendableRecordBatchStream>;
}

/// Puts the archive where plans look for it.
pub fn register(root: &Root, runtime: &RuntimeEnv) -> Result<ObjectStoreUrl> {
    let url = ObjectStoreUrl::parse(ARCHIVE)?;
    runtime.register_object_store(url.as_ref(), root.store().clone());
    Ok(url)
}

/// A function of ours as bytes, beside its name; None: it is none of ours.
pub fn encode(function: &ScalarUDF) -> Option<Vec<u8>> {
    if let Some(pseudonyms) = Pseudonyms::of(function) {
        return Some(pseudonyms.secret().to_vec());
    }
    if let Some(crowd) = Crowd::within(function) {
        return Some(crowd.encode());
    }
    functions::is_ours(function).then(|| function.name().as_bytes().to_vec())
}

/// The function that [`encode`] wrote under a name; None: it wrote none such.
pub fn decode(name: &str, bytes: &[u8]) -> Option<ScalarUDF> {
    match name {
        "pseudonym" => Some(Pseudonyms::new(bytes.try_into().ok()?).function()),
        "of_many" => Some(Crowd::decode(bytes)?.into()),
        _ => functions::all().find(|function| function.name() == name && name.as_bytes() == bytes),
    }
}

/// Whether a plan reads files of the archive.
pub(crate) fn reads_files(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let source = plan.downcast_ref::<DataSourceExec>();
    source.is_some_and(|source| source.downcast_to_file_source::<ParquetSource>().is_some())
        || plan.children().into_iter().any(reads_files)
}

#[cfg(test)]
mod tests {
    use ingest::clock::Millis;

    use super::*;
    use crate::dimensions::{Ads, Dimensions};

    #[test]
    fn functions_travel_with_what_they_know() {
        let ads = (0..12).map(|numero| Ads {
            insee: if numero < 6 { "69123" } else { "38185" }.to_owned(),
            numero: numero.to_string(),
            operator: 2,
            added_at: Millis(0),
        });
        let crowd = Crowd::of(&Dimensions { ads: ads.collect(), ..Dimensions::default() });
        assert!(crowd.holds(2, "69123") && crowd.holds(2, "38185"));
        let ours = functions::all().chain([Pseudonyms::new([7; 32]).function(), crowd.into()]);
        for function in ours {
            let bytes = encode(&function).unwrap();
            assert_eq!(decode(function.name(), &bytes), Some(function.clone()));
            assert_eq!(decode(function.name(), b"?"), None, "{}", function.name());
        }
        let other = datafusion::functions::math::abs();
        assert!(encode(&other).is_none() && decode("abs", b"abs").is_none());
    }
}
