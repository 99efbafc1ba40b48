//! Where an archive is kept: a directory of this machine, or a bucket of S3's.
//!
//! An object appears whole or not at all, and is created only where there is none of its name: of two processes that
//! create one, one is told that it is there already. On S3 that is a conditional request; in a directory it is a file
//! that is written and synced aside and then linked, so that neither a kill nor a power failure leaves half of one.

use std::fmt;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path as FilePath, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ingest::clock::Millis;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use thiserror::Error;

use crate::limits::REMOVED_AT_ONCE;
use crate::manifest::Known;
use crate::prefix::Prefixed;

/// Where an archive is: `file:<path of a directory>` or `s3://<bucket>[/<prefix>]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveUrl {
    /// A directory, made if need be.
    File(PathBuf),
    /// A bucket, which must be there. Keys, region and endpoint come from the environment: `AWS_ACCESS_KEY_ID`,
    /// `AWS_REGION`, `AWS_ENDPOINT` and so on.
    S3 {
        /// Which one.
        bucket: String,
        /// What the names of its objects begin with; may be empty.
        prefix: String,
    },
}

/// The archive's objects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Root {
    url: ArchiveUrl,
    store: Arc<dyn ObjectStore>,
    known: Arc<Known>,
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<N> {
    /// Its name.
    pub name: N,
    /// Its size.
    pub bytes: u64,
    /// When it was put there, by the clock of where it is kept.
    pub put_at: Millis,
}

/// What became of a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there now, as it was given.
    New,
    /// One of that name was there already, and is as it was.
    Before,
}

/// An archive cannot be read or written.
#[derive(Clone, Debug, Error)]
#[error("the archive at {url}: {object}: {cause}")]
pub struct Unavailable {
    url: ArchiveUrl,
    object: String,
    cause: Arc<str>,
}

impl Root {
    /// Opens an archive. A directory is made if need be; S3 is not asked yet.
    pub fn open(url: &ArchiveUrl) -> Result<Self, Unavailable> {
        let failed =
            |cause: String| Unavailable { url: url.clone(), object: "opening".into(), cause: cause.into() };
        let store: Arc<dyn ObjectStore> = match url {
            ArchiveUrl::File(path) => {
                fs::create_dir_all(path).map_err(|error| failed(error.to_string()))?;
                let store =
                    LocalFileSystem::new_with_prefix(path).map_err(|error| failed(error.to_string()))?;
                Arc::new(store.with_automatic_cleanup(true))
            }
            ArchiveUrl::S3 { bucket, prefix } => {
                let built = AmazonS3Builder::from_env().with_bucket_name(bucket).build();
                let store = built.map_err(|error| failed(error.to_string()))?;
                Arc::new(Prefixed::new(store, prefix))
            }
        };
        Ok(Self { url: url.clone(), store, known: Arc::default() })
    }

    /// Where it is.
    pub fn url(&self) -> &ArchiveUrl {
        &self.url
    }

    /// Its objects by their names, for whoever reads them.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The manifests that were read from it.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Where others find an object: a path of this machine, or a URL.
    pub fn place_of(&self, name: &impl fmt::Display) -> String {
        match &self.url {
            ArchiveUrl::File(root) => root.join(name.to_string()).display().to_string(),
            ArchiveUrl::S3 { bucket, prefix } if prefix.is_empty() => format!("s3://{bucket}/{name}"),
            ArchiveUrl::S3 { bucket, prefix } => format!("s3://{bucket}/{prefix}/{name}"),
        }
    }

    /// Creates an object, unless there is one of that name.
    pub async fn create(&self, name: &impl fmt::Display, content: Bytes) -> Result<Created, Unavailable> {
        let name = name.to_string();
        match &self.url {
            ArchiveUrl::File(root) => {
                let (root, to) = (root.clone(), name.clone());
                let created = tokio::task::spawn_blocking(move || create(&root, &to, &content)).await;
                created.map_err(io::Error::other).flatten().map_err(|error| self.failed(&name, &error))
            }
            ArchiveUrl::S3 { .. } => {
                let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                match self.store.put_opts(&path(&name), content.into(), options).await {
                    Ok(_) => Ok(Created::New),
                    Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Before),
                    Err(error) => Err(self.failed(&name, &error)),
                }
            }
        }
    }

    /// The content of an object; None if there is none of that name.
    pub async fn get(&self, name: &impl fmt::Display) -> Result<Option<Bytes>, Unavailable> {
        let name = name.to_string();
        let got = async { self.store.get(&path(&name)).await?.bytes().await };
        match got.await {
            Ok(content) => Ok(Some(content)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&name, &error)),
        }
    }

    /// The last bytes of an object of `size`, at most `most`; None if there is none of that name.
    pub async fn tail(&self, name: &str, size: u64, most: u64) -> Result<Option<Bytes>, Unavailable> {
        match self.store.get_range(&path(name), size.saturating_sub(most)..size).await {
            Ok(content) => Ok(Some(content)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// The objects in a folder and the folders in it whose names are such, in the order of what the names say.
    pub async fn list<N: FromStr + Ord>(&self, folder: &str) -> Result<Vec<Found<N>>, Unavailable> {
        let mut found = Vec::<Found<N>>::new();
        let mut objects = self.store.list(Some(&path(folder)));
        while let Some(object) = objects.try_next().await.map_err(|error| self.failed(folder, &error))? {
            if let Ok(name) = object.location.as_ref().parse() {
                let put_at = Millis(object.last_modified.timestamp_millis());
                found.push(Found { name, bytes: object.size, put_at });
            }
        }
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Removes objects; one that is not there is no failure.
    pub async fn remove<N: fmt::Display>(
        &self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<(), Unavailable> {
        let paths: Vec<_> = names.into_iter().map(|name| path(&name.to_string())).collect();
        for some in paths.chunks(REMOVED_AT_ONCE) {
            let mut removed = self.store.delete_stream(stream::iter(some.to_vec()).map(Ok).boxed());
            while let Some(removed) = removed.next().await {
                match removed {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(self.failed("removing", &error)),
                }
            }
        }
        Ok(())
    }

    /// Removes what a kill left of objects that were being written before `before`.
    pub async fn sweep(&self, before: Millis) -> Result<(), Unavailable> {
        let ArchiveUrl::File(root) = &self.url else { return Ok(()) };
        let aside = root.join(ASIDE);
        let swept = tokio::task::spawn_blocking(move || sweep(&aside, before)).await;
        swept.map_err(io::Error::other).flatten().map_err(|error| self.failed(ASIDE, &error))
    }

    fn failed(&self, object: &str, error: &dyn std::error::Error) -> Unavailable {
        Unavailable { url: self.url.clone(), object: object.to_owned(), cause: error.to_string().into() }
    }
}

fn path(name: &str) -> Path {
    Path::from(name)
}

/// Where files are written before they get their name; no listing goes there.
const ASIDE: &str = ".aside";

fn create(root: &FilePath, name: &str, content: &[u8]) -> io::Result<Created> {
    let to = root.join(name);
    let folder = to.parent().unwrap_or(root);
    let (mut file, aside) = aside(&root.join(ASIDE))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    // Somebody may remove a folder that has become empty.
    let linked = written.and_then(|()| match link(folder, &aside, &to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => link(folder, &aside, &to),
        other => other,
    });
    let _ = fs::remove_file(&aside);
    let created = linked?;
    // A name is as durable as its folder.
    for folder in folder.ancestors().take_while(|folder| folder.starts_with(root)) {
        File::open(folder)?.sync_all()?;
    }
    Ok(created)
}

fn link(folder: &FilePath, from: &FilePath, to: &FilePath) -> io::Result<Created> {
    fs::create_dir_all(folder)?;
    match fs::hard_link(from, to) {
        Ok(()) => Ok(Created::New),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Created::Before),
        Err(error) => Err(error),
    }
}

/// A new file that nobody else writes. No two have one name, ever: should one be swept while it is still written, its
/// name must not lead to another.
fn aside(folder: &FilePath) -> io::Result<(File, PathBuf)> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{:016x}", RandomState::new().build_hasher().finish()));
    Ok((File::create_new(&path)?, path))
}

fn sweep(folder: &FilePath, before: Millis) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let since_1970 =
            entry.metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        if i64::try_from(since_1970.as_millis()).is_ok_and(|at| at < before.0) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl fmt::Display for ArchiveUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// A text is not the URL of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not the URL of an archive: it must be file:<path of a directory> or s3://<bucket>[/<prefix>]"
)]
pub struct BadArchiveUrl(String);

impl FromStr for ArchiveUrl {
    type Err = BadArchiveUrl;

    fn from_str(text: &str) -> Result<Self, BadArchiveUrl> {
        let bad = || BadArchiveUrl(text.to_owned());
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("s3", rest)) => {
                let rest = rest.strip_prefix("//").ok_or_else(bad)?;
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let prefix = prefix.trim_end_matches('/');
                let is_plain = |text: &str| {
                    text.split('/').all(|step| {
                        !step.is_empty()
                            && step.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                    })
                };
                if !is_plain(bucket) || !(prefix.is_empty() || is_plain(prefix)) {
                    return Err(bad());
                }
                Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
            }
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Day, ManifestName, Stream};

    fn open(directory: &FilePath) -> Root {
        Root::open(&ArchiveUrl::File(directory.join("archive"))).unwrap()
    }

    fn name(number: u32) -> ManifestName {
        ManifestName { stream: Stream::Positions, day: Day(20_000), number }
    }

    #[test]
    fn urls_of_archives() {
        for url in ["file:/var/lib/x", "s3://taxis", "s3://taxis/a/b_1"] {
            assert_eq!(url.parse::<ArchiveUrl>().unwrap().to_string(), url);
        }
        assert_eq!("s3://taxis/a/".parse::<ArchiveUrl>().unwrap().to_string(), "s3://taxis/a");
        for bad in
            ["", "file:", "/var/lib", "s3:taxis", "s3://", "s3:///a", "s3://a//b", "s3://a b", "gs://a"]
        {
            let error = bad.parse::<ArchiveUrl>().unwrap_err().to_string();
            assert!(error.contains("file:<path") && error.contains("s3://<bucket>"), "{error}");
        }
    }

    #[tokio::test]
    async fn of_two_that_create_an_object_one_is_told_that_it_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let root = open(directory.path());
        assert_eq!(root.get(&name(1)).await.unwrap(), None);
        assert_eq!(root.create(&name(1), "one".into()).await.unwrap(), Created::New);
        assert_eq!(root.create(&name(1), "other".into()).await.unwrap(), Created::Before);
        assert_eq!(root.get(&name(1)).await.unwrap(), Some("one".into()));
        assert_eq!(fs::read_dir(directory.path().join("archive").join(ASIDE)).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn objects_are_listed_by_what_they_are_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let root = open(directory.path());
        for number in [10, 2] {
            root.create(&name(number), "text".into()).await.unwrap();
        }
        fs::write(root.place_of(&"manifests/positions/stray"), "").unwrap();
        let folder = Stream::Positions.manifest_folder();
        let found = root.list::<ManifestName>(&folder).await.unwrap();
        assert_eq!(
            found.iter().map(|found| (found.name, found.bytes)).collect::<Vec<_>>(),
            [(name(2), 4), (name(10), 4)]
        );
        root.remove([name(2), name(3)]).await.unwrap();
        let left = root.list::<ManifestName>(&folder).await.unwrap();
        assert_eq!(left.iter().map(|found| found.name).collect::<Vec<_>>(), [name(10)]);
        assert_eq!(root.list::<ManifestName>("nowhere").await.unwrap(), []);
    }

    #[tokio::test]
    async fn what_a_kill_left_is_swept_once_it_is_old() {
        let directory = tempfile::tempdir().unwrap();
        let root = open(directory.path());
        let left = directory.path().join("archive").join(ASIDE).join("1-0");
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::write(&left, "half").unwrap();
        root.sweep(Millis(0)).await.unwrap();
        assert!(left.exists());
        root.sweep(Millis(i64::MAX)).await.unwrap();
        assert!(!left.exists());
    }
}
