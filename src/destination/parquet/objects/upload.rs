//! A file on its way into an object store, in parts as they come.

use std::io::{self, Write};
use std::sync::Arc;

use object_store::{MultipartUpload, ObjectStoreExt, WriteMultipart};

use super::bucket::Bucket;
use crate::error::{Error, Result};

/// Bytes of a part. A file that is smaller is sent in one request.
const PART: usize = 8 << 20;
/// Parts that are on their way at the same time, beside the one that is being filled.
const AT_ONCE: usize = 2;

/// A file that is being written under a name that no other has.
#[derive(Debug)]
pub(in super::super) struct Upload {
    bucket: Arc<Bucket>,
    name: String,
    bytes: u64,
    /// What was not handed over yet.
    buffer: Vec<u8>,
    /// Once there is more than one part.
    parts: Option<WriteMultipart>,
}

impl Upload {
    pub(super) fn of(bucket: Arc<Bucket>, name: String) -> Self {
        Self { bucket, name, bytes: 0, buffer: Vec::new(), parts: None }
    }

    /// Ends the file; it is there, as a whole, afterwards.
    pub(in super::super) fn finish(&mut self) -> Result<()> {
        if self.parts.is_none() {
            return self.bucket.put(&self.name, std::mem::take(&mut self.buffer).into());
        }
        self.send()?;
        let Some(parts) = self.parts.take() else { return Ok(()) };
        match self.bucket.wait(async move { parts.finish().await })? {
            Ok(_) => Ok(()),
            // The answer to the last request may be lost: nobody else writes under this name.
            Err(_) if self.bucket.size(&self.name)? == Some(self.bytes) => Ok(()),
            Err(error) => Err(self.bucket.failed("written", &self.name, &error)),
        }
    }

    /// Hands a part over, once fewer than [`AT_ONCE`] are on their way.
    fn send(&mut self) -> Result<()> {
        let part = std::mem::take(&mut self.buffer);
        let parts = match self.parts.take() {
            Some(parts) => parts,
            None => WriteMultipart::new_with_chunk_size(self.begin()?, PART),
        };
        let sent = self.bucket.wait(async move {
            let mut parts = parts;
            let ready = parts.wait_for_capacity(AT_ONCE).await;
            if ready.is_ok() {
                parts.put(part.into());
            }
            (parts, ready)
        })?;
        self.parts = Some(sent.0);
        sent.1.map_err(|error| self.bucket.failed("written", &self.name, &error))
    }

    fn begin(&self) -> Result<Box<dyn MultipartUpload>> {
        let (store, path) = (Arc::clone(&self.bucket.store), self.bucket.path(&self.name)?);
        let begun = self.bucket.wait(async move { store.put_multipart(&path).await })?;
        begun.map_err(|error| self.bucket.failed("written", &self.name, &error))
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.bytes += bytes.len() as u64;
        if self.buffer.len() >= PART {
            self.send().map_err(|error: Error| io::Error::other(error))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Parts of a file that is never ended cost money as long as they stay.
        if let Some(parts) = self.parts.take() {
            let name = self.name.clone();
            let aborted = self.bucket.wait(async move { parts.abort().await });
            if let Ok(Err(error)) = aborted {
                let error = self.bucket.failed("taken back", &name, &error);
                tracing::debug!(%error, "parts of a file stay");
            }
        }
    }
}
