//! Objects under a prefix of a bucket's names, called without it.
//!
//! `object_store` has the same, but what it says of an object that is read has the prefix still: `DataFusion` takes
//! that for another object than it asked for, and finds the file that it was to read empty.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// The objects under a prefix.
#[derive(Debug)]
pub(crate) struct Prefixed<T>(PrefixStore<T>);

impl<T: ObjectStore> Prefixed<T> {
    /// Of a store, those under a prefix, which may be empty.
    pub(crate) fn new(store: T, prefix: &str) -> Self {
        Self(PrefixStore::new(store, prefix))
    }
}

impl<T> fmt::Display for Prefixed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl<T: ObjectStore> ObjectStore for Prefixed<T> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut got = self.0.get_opts(location, options).await?;
        got.meta.location = location.clone();
        Ok(got)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::datasource::file_format::options::ParquetReadOptions;
    use datafusion::execution::object_store::ObjectStoreUrl;
    use datafusion::prelude::SessionContext;
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    use super::*;
    use crate::file::FileWriter;
    use crate::footer::Footer;
    use crate::positions::Positions;
    use crate::positions::tests::batch;

    #[tokio::test]
    async fn what_is_under_a_prefix_is_read_and_listed_by_its_name() {
        let mut file = FileWriter::new::<Positions>().unwrap();
        file.write(&batch(100)).unwrap();
        let (content, _) = file.finish(Footer::default()).unwrap();
        let all = Arc::new(InMemory::new());
        let store = Arc::new(Prefixed::new(all.clone(), "a/b"));
        let name = Path::from("positions/date=2025-11-26/x.parquet");
        store.put(&name, content.into()).await.unwrap();
        assert!(all.head(&Path::from(format!("a/b/{name}"))).await.is_ok());
        assert_eq!(store.head(&name).await.unwrap().location, name);
        assert_eq!(store.get(&name).await.unwrap().meta.location, name);
        let listed = store.list_with_delimiter(Some(&Path::from("positions/date=2025-11-26"))).await.unwrap();
        assert_eq!(listed.objects[0].location, name);

        let context = SessionContext::new();
        let url = ObjectStoreUrl::parse("archive://archive").unwrap();
        context.register_object_store(url.as_ref(), store);
        let path = format!("{}{name}", url.as_str());
        let rows = context.read_parquet(vec![path], ParquetReadOptions::default()).await.unwrap();
        assert_eq!(rows.count().await.unwrap(), 100);
    }
}
