//! A rollup as a table.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use super::Rollup;
use super::make::schema_of;
use crate::layout::Day;
use crate::root::Root;
use crate::scan::{Files, external, file};

/// A rollup of the archive, as it is whenever it is read.
#[derive(Debug)]
pub(crate) struct RollupTable {
    rollup: Rollup,
    files: Files,
}

impl RollupTable {
    /// `url` is what the archive's objects are registered under.
    pub(crate) fn new(root: Root, url: ObjectStoreUrl, rollup: Rollup) -> Self {
        Self { rollup, files: Files::new(root, url, &schema_of(rollup)) }
    }
}

#[async_trait]
impl TableProvider for RollupTable {
    fn schema(&self) -> SchemaRef {
        self.files.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.rollup.files(self.files.root()).await.map_err(external)?;
        // No time lies outside the day of its file.
        let within = |day: &Day| (*day, Some((day.begins(), day.next().begins().plus(-1))));
        let known: Vec<_> = files.keys().map(within).collect();
        let may_hold = self.files.may_hold(state, filters, "at", &known)?;
        let needed = files.values().zip(may_hold).filter_map(|(found, may_hold)| may_hold.then_some(found));
        let needed = needed.map(|found| file(&found.name, found.bytes, found.name.day)).collect();
        self.files.scan(state, projection, needed, limit)
    }
}
