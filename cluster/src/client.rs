//! Sending plans to a scheduler, and reading what came of them from the executors.

use std::sync::Arc;

use analytics::cluster::Cluster;
use async_trait::async_trait;
use ballista_core::extension::SessionConfigExt as _;
use ballista_core::optimizer::with_ballista_optimizer_rules;
use ballista_core::utils::GrpcClientConfig;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::AsExecutionPlan as _;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use crate::MESSAGE_MAX_BYTES;
use crate::codec::Codec;
use crate::job::{Job, read};

/// Where a scheduler listens unless told otherwise.
pub const SCHEDULER_PORT: u16 = 50_050;

/// Into how many parts a stage is cut: executors take them as they have room.
const PARTS: usize = 16;

/// A cluster, by its scheduler.
#[derive(Debug)]
pub struct Ballista {
    scheduler: String,
    session: Uuid,
}

impl Ballista {
    /// That of a scheduler. It is not asked yet.
    pub fn new(host: &str, port: u16) -> Self {
        Self { scheduler: format!("http://{host}:{port}"), session: Uuid::new_v4() }
    }
}

#[async_trait]
impl Cluster for Ballista {
    fn prepare(&self, session: SessionState) -> SessionState {
        let config = session.config().clone().upgrade_for_ballista();
        let config = config
            .with_target_partitions(PARTS)
            .with_ballista_grpc_client_max_message_size(MESSAGE_MAX_BYTES as usize);
        let rules = with_ballista_optimizer_rules(session.optimizers());
        SessionStateBuilder::new_from_existing(session)
            .with_config(config)
            .with_optimizer_rules(rules)
            .build()
    }

    async fn run(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        session: &SessionConfig,
    ) -> Result<SendableRecordBatchStream> {
        let schema = plan.schema();
        let mut bytes = Vec::new();
        PhysicalPlanNode::try_from_physical_plan(plan, &Codec::default())?.try_encode(&mut bytes)?;
        // What executors remember of files is by session, and so are settings, which differ by who asks.
        let id = format!("{}-{}", self.session, session.batch_size());
        let config = GrpcClientConfig::from(&session.ballista_config());
        let parts = Job::begin(&self.scheduler, bytes, id, session, &config).await?.end().await?;
        let rows = stream::iter(parts).then(|part| async { read(part).await.map_err(DataFusionError::from) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows.try_flatten())))
    }
}
