//! One folder of a bucket, and what is done to the objects in it, one request at a time.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use tokio::runtime::{Builder, Handle, Runtime};

use super::connect::{Connected, connect};
use super::failure::{is_without_bucket, refused};
use super::listing::Listing;
use crate::config::ObjectStoreConfig;
use crate::error::{Error, ErrorKind, Result};

/// Bytes of an object that is read as a whole at most: a manifest has 300 for each file of the lake.
const LARGEST_WHOLE: u64 = 256 << 20;

/// A folder of a bucket. Names of objects are below it.
pub(in super::super) struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    pages: Arc<dyn PaginatedListStore>,
    pub(super) config: ObjectStoreConfig,
    /// Requests are made here, whatever thread asks for them. `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// An object that was read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) bytes: Bytes,
    pub(super) version: UpdateVersion,
    /// When it was written, by the store's clock, in milliseconds since 1970.
    pub(super) modified: i64,
}

/// What came of writing an object that was to be written only over a certain version.
#[derive(Debug)]
pub(super) enum Put {
    Done(UpdateVersion),
    /// It is another version.
    Refused,
    /// Nobody knows.
    Unclear(Error),
}

/// Why a folder could not be listed.
enum Unlisted {
    Failed(StoreError),
    Endless(&'static str),
}

impl Bucket {
    /// A client for the folder; nothing is sent yet.
    pub(super) fn of(config: &ObjectStoreConfig) -> Result<Self> {
        let unusable = |e| Error::new(ErrorKind::Destination, "no thread can be started").with_source(e);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(unusable)?;
        let Connected { store, pages } = {
            let _entered = runtime.enter();
            connect(config)?
        };
        Ok(Self { store, pages, config: config.clone(), runtime: Some(runtime) })
    }

    /// Where requests are made.
    pub(super) fn handle(&self) -> Handle {
        match &self.runtime {
            Some(runtime) => runtime.handle().clone(),
            None => Handle::current(),
        }
    }

    /// What comes of `future`, on the bucket's own threads, so that it can be waited for from any.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle().spawn(async move {
            // Nobody is left to be told only if the process is ending.
            let _told = sender.send(future.await);
        });
        receiver.recv().map_err(|_| {
            Error::new(ErrorKind::Destination, format!("{}: a request was broken off", self.url()))
        })
    }

    /// Where the folder is.
    pub(super) fn url(&self) -> String {
        self.config.url()
    }

    /// Where an object is.
    pub(super) fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.config.url())
    }

    pub(super) fn path(&self, name: &str) -> Result<Path> {
        let path = if self.config.folder.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.config.folder)
        };
        Path::parse(path.trim_end_matches('/')).map_err(|e| {
            Error::new(ErrorKind::Destination, format!("{} is no name for an object", self.shown(name)))
                .with_source(e)
        })
    }

    pub(super) fn failed(&self, what: &str, name: &str, error: &StoreError) -> Error {
        refused(self.config.service, what, &self.shown(name), error)
    }

    /// An object as a whole; `None` if there is none.
    pub(super) fn get(self: &Arc<Self>, name: &str) -> Result<Option<Found>> {
        let (bucket, own) = (Arc::clone(self), name.to_owned());
        self.wait(async move { bucket.get_later(&own).await })?
    }

    /// The same where it can be awaited.
    pub(super) async fn get_later(&self, name: &str) -> Result<Option<Found>> {
        let (meta, bytes) = match self.store.get(&self.path(name)?).await {
            Ok(got) if got.meta.size > LARGEST_WHOLE => {
                let message =
                    format!("{} is of {} bytes, which is too much", self.shown(name), got.meta.size);
                return Err(Error::new(ErrorKind::Destination, message));
            }
            Ok(got) => (got.meta.clone(), got.bytes().await),
            Err(error) => return self.if_missing(name, error, None),
        };
        let bytes = bytes.map_err(|error| self.failed("read", name, &error))?;
        let version = UpdateVersion { e_tag: meta.e_tag, version: meta.version };
        Ok(Some(Found { bytes, version, modified: meta.last_modified.timestamp_millis() }))
    }

    /// What it means that something cannot be read: if it is not there, `absent`; a missing bucket is another matter.
    fn if_missing<T>(&self, name: &str, error: StoreError, absent: T) -> Result<T> {
        match error {
            StoreError::NotFound { .. } if !is_without_bucket(&error) => Ok(absent),
            error => Err(self.failed("read", name, &error)),
        }
    }

    /// Bytes of an object.
    pub(super) fn ranges(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        let got = self.wait(async move { store.get_ranges(&path, &ranges).await })?;
        got.map_err(|error| {
            let failed = self.failed("read", name, &error);
            match error {
                StoreError::NotFound { .. } => failed.with_hint(super::super::file::GONE),
                _ => failed,
            }
        })
    }

    /// The bytes of an object; `None` if there is none.
    pub(super) fn size(&self, name: &str) -> Result<Option<u64>> {
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        match self.wait(async move { store.head(&path).await })? {
            Ok(meta) => Ok(Some(meta.size)),
            Err(error) => self.if_missing(name, error, None),
        }
    }

    /// Writes an object, whatever was there.
    pub(super) fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        let put = self.wait(async move { store.put(&path, bytes.into()).await })?;
        put.map(|_| ()).map_err(|error| self.failed("written", name, &error))
    }

    /// Writes an object over a version of it, or where there is none.
    pub(super) fn put_over(
        self: &Arc<Self>,
        name: &str,
        bytes: Bytes,
        over: Option<UpdateVersion>,
    ) -> Result<Put> {
        let (bucket, own) = (Arc::clone(self), name.to_owned());
        self.wait(async move { bucket.put_later(&own, bytes, over).await })?
    }

    /// The same where it can be awaited.
    pub(super) async fn put_later(
        &self,
        name: &str,
        bytes: Bytes,
        over: Option<UpdateVersion>,
    ) -> Result<Put> {
        let mode = over.map_or(PutMode::Create, PutMode::Update);
        let put = self.store.put_opts(&self.path(name)?, bytes.into(), PutOptions::from(mode)).await;
        Ok(match put {
            Ok(put) => Put::Done(put.into()),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Put::Refused,
            Err(error) => Put::Unclear(self.failed("written", name, &error)),
        })
    }

    /// The objects of a folder and the folders in it, with their sizes in bytes.
    pub(super) fn list(&self, folder: &str) -> Result<HashMap<String, u64>> {
        self.listed(folder, None)
    }

    /// The names of the folders that stand in a folder.
    pub(super) fn folders(&self, folder: &str) -> Result<Vec<String>> {
        let listed = self.listed(folder, Some("/"))?;
        Ok(listed.into_keys().filter_map(|name| Some(name.rsplit('/').next()?.to_owned())).collect())
    }

    /// What is in a folder: objects with their sizes in bytes, or with a delimiter only the folders that stand in it.
    fn listed(&self, folder: &str, delimiter: Option<&'static str>) -> Result<HashMap<String, u64>> {
        let (pages, root) = (Arc::clone(&self.pages), self.path("")?);
        let prefix = format!("{}/", self.path(folder)?);
        let listed = self.wait(async move {
            let name = |path: &Path| {
                let parts = path.prefix_match(&root)?;
                Some(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
            };
            let mut listing = Listing::default();
            let mut cursor = None;
            loop {
                let options = PaginatedListOptions {
                    delimiter: delimiter.map(Into::into),
                    page_token: cursor,
                    ..PaginatedListOptions::default()
                };
                let page = pages.list_paginated(Some(&prefix), options).await.map_err(Unlisted::Failed)?;
                let folders = page.result.common_prefixes.iter().filter_map(|path| Some((name(path)?, 0)));
                let objects = page.result.objects.iter().filter(|_| delimiter.is_none());
                let objects = objects.filter_map(|meta| Some((name(&meta.location)?, meta.size)));
                cursor = listing.take(folders.chain(objects), page.page_token).map_err(Unlisted::Endless)?;
                if cursor.is_none() {
                    return Ok(listing.into_found());
                }
            }
        })?;
        listed.map_err(|unlisted| match unlisted {
            Unlisted::Failed(error) => self.failed("listed", folder, &error),
            Unlisted::Endless(why) => {
                let message = format!("{} cannot be listed: {why}", self.shown(folder));
                Error::new(ErrorKind::Destination, message)
                    .with_hint("give the lake a folder of its own, in a store that keeps to its interface")
            }
        })
    }

    /// Removes objects, as far as they are there.
    pub(super) fn delete(&self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let paths = names.iter().map(|name| self.path(name)).collect::<Result<Vec<_>>>()?;
        let store = Arc::clone(&self.store);
        let deleted = self.wait(async move {
            let paths = futures_util::stream::iter(paths.into_iter().map(Ok)).boxed();
            let deleted = store.delete_stream(paths).collect::<Vec<_>>().await;
            deleted.into_iter().find_map(|deleted| match deleted {
                Ok(_) | Err(StoreError::NotFound { .. }) => None,
                Err(error) => Some(error),
            })
        })?;
        deleted.map_or(Ok(()), |error| Err(self.failed("removed", &names[0], &error)))
    }
}

impl Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.url())
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // Waiting for threads is not allowed everywhere.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
