//! From when and until when the rows of a file are, by its footer, remembered: no file is ever another.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::statistics::Statistics;
use ingest::clock::Millis;

use crate::footer::{self, BadFile};
use crate::layout::Stream;
use crate::limits::TIMES_REMEMBERED;
use crate::root::Root;
use crate::schema;

/// The first and the last time of a file's rows; None: its footer does not say them.
pub(crate) type Span = Option<(Millis, Millis)>;

/// What is known of files.
#[derive(Debug, Default)]
pub(crate) struct Times(Mutex<HashMap<String, Span>>);

impl Times {
    /// Of a file of this name and size.
    pub(crate) async fn of(
        &self,
        root: &Root,
        stream: Stream,
        name: &str,
        bytes: u64,
    ) -> Result<Span, BadFile> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let span = span(&footer::metadata(root, name, bytes).await?, schema::time_of(stream));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TIMES_REMEMBERED {
            known.clear();
        }
        known.insert(name.to_owned(), span);
        Ok(span)
    }
}

fn span(metadata: &ParquetMetaData, time: &str) -> Span {
    let columns = metadata.file_metadata().schema_descr().columns();
    let column = columns.iter().position(|column| column.name() == time)?;
    let of_group = |group: &RowGroupMetaData| match group.column(column).statistics()? {
        Statistics::Int64(values) => Some((Millis(*values.min_opt()?), Millis(*values.max_opt()?))),
        _ => None,
    };
    let spans: Vec<_> = metadata.row_groups().iter().map(of_group).collect::<Option<_>>()?;
    Some((spans.iter().map(|span| span.0).min()?, spans.iter().map(|span| span.1).max()?))
}
