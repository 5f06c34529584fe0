//! One run at a time in an object store, as far as runs are well.
//!
//! A store has no locks that go with a process. So a run writes an object, and writes it again and again for as long as
//! it lasts; one that was not written for a while is nobody's. This keeps runs from doing work in vain. It is not what
//! keeps the tables whole: of two writers that both go on only one can replace the manifest.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use object_store::{ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::bucket::{Bucket, Found, Put};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// Its name, in the folder of the lake.
const NAME: &str = "_ingest/lock.json";
/// How often it is written.
const RENEWAL: Duration = Duration::from_secs(20);
/// When it is nobody's: so long after it was last written.
const EXPIRY: Duration = Duration::from_secs(90);
/// How often one that is somebody's is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Tells this process from others.
static PROCESS: LazyLock<u64> = LazyLock::new(|| fastrand::u64(..));

/// What stands in it, for people and for runs on the same machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    id: String,
    host: String,
    pid: u32,
    /// The same for all runs of one process, and for no other: numbers of processes come again.
    process: u64,
    started: String,
}

/// The right to be the only run; given up when dropped.
#[derive(Debug)]
pub(super) struct Lease {
    bucket: Arc<Bucket>,
    holder: Holder,
    stop: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

impl Lease {
    /// Takes it, waiting up to `wait` while another run has it. A store that writes over an object although it was told
    /// not to is an error: there two runs could overwrite each other's tables.
    pub(super) fn take(bucket: &Arc<Bucket>, wait: Duration, progress: &Progress) -> Result<Self> {
        let holder = Holder {
            id: format!("{:016x}", fastrand::u64(..)),
            host: host(),
            pid: std::process::id(),
            process: *PROCESS,
            started: crate::clock::now().strftime("%F %TZ").to_string(),
        };
        let text = serde_json::to_vec_pretty(&holder)
            .map_err(|e| Error::new(ErrorKind::Destination, "the lock cannot be written").with_source(e))?;
        let started = Instant::now();
        let mut is_told = false;
        let version = loop {
            let found = bucket.get(NAME)?;
            let (over, other) = match &found {
                None => (None, None),
                Some(found) => {
                    let other = serde_json::from_slice::<Holder>(&found.bytes).ok();
                    (Some(found.version.clone()), Some(other).filter(|other| !is_free(found, other.as_ref())))
                }
            };
            let Some(other) = other else {
                match bucket.put_over(NAME, text.clone().into(), over)? {
                    Put::Done(version) => break version,
                    // Somebody was faster, or an answer was lost: what is there says which.
                    Put::Refused => {
                        if let Some(version) = own(bucket.get(NAME)?, &holder) {
                            break version;
                        }
                        continue;
                    }
                    Put::Unclear(error) => match own(bucket.get(NAME)?, &holder) {
                        Some(version) => break version,
                        None => return Err(error),
                    },
                }
            };
            let words = other.map(|other| other.words()).unwrap_or_default();
            if started.elapsed() >= wait {
                let message = format!("another run is writing {}{words}", bucket.url());
                return Err(Error::new(ErrorKind::Locked, message).with_hint(format!(
                    "let it finish; cron may simply try again, --wait waits for it. If it was killed, it is in the way \
                     for {} seconds",
                    EXPIRY.as_secs()
                )));
            }
            if !is_told {
                progress.note(&format!("waiting for another run on {}{words}", bucket.url()));
                is_told = true;
            }
            std::thread::sleep(LOOK.min(wait));
        };
        refuse_overwriting(bucket, &text)?;
        let stop = renew(bucket, text, version)?;
        Ok(Self { bucket: Arc::clone(bucket), holder, stop: Some(stop) })
    }
}

impl Holder {
    /// What is said of it, in brackets.
    fn words(&self) -> String {
        format!(" (PID {} on {}, started {})", self.pid, self.host, self.started)
    }

    /// Whether it is a process of this machine that is no more.
    fn is_dead(&self) -> bool {
        let is_gone =
            if self.pid == std::process::id() { self.process != *PROCESS } else { !is_process(self.pid) };
        is_gone && !self.host.is_empty() && self.host == host()
    }
}

/// Whether nobody has it any more.
fn is_free(found: &Found, holder: Option<&Holder>) -> bool {
    let age = crate::clock::now().as_millisecond().saturating_sub(found.modified);
    age > i64::try_from(EXPIRY.as_millis()).unwrap_or(i64::MAX) || holder.is_some_and(Holder::is_dead)
}

/// The version of it, if this run wrote it.
fn own(found: Option<Found>, holder: &Holder) -> Option<UpdateVersion> {
    let found = found?;
    let other: Holder = serde_json::from_slice(&found.bytes).ok()?;
    (other == *holder).then_some(found.version)
}

fn refuse_overwriting(bucket: &Bucket, text: &[u8]) -> Result<()> {
    match bucket.put_over(NAME, text.to_vec().into(), None)? {
        Put::Refused => Ok(()),
        Put::Unclear(error) => Err(error),
        Put::Done(_) => {
            let message =
                format!("{}: the store writes over objects although it is told not to", bucket.url());
            Err(Error::new(ErrorKind::Destination, message).with_hint(
                "two runs could overwrite each other's tables there: use a store that knows conditional writes, as S3, \
                 GCS, Azure, R2 and newer MinIO do",
            ))
        }
    }
}

/// Writes it again and again, until it is another run's or until it is told to stop, which it then says.
fn renew(
    bucket: &Arc<Bucket>,
    text: Vec<u8>,
    version: UpdateVersion,
) -> Result<oneshot::Sender<oneshot::Sender<()>>> {
    let (stop, mut stopped) = oneshot::channel::<oneshot::Sender<()>>();
    let (store, path) = (Arc::clone(&bucket.store), bucket.path(NAME)?);
    bucket.handle().spawn(async move {
        let mut version = version;
        loop {
            tokio::select! {
                told = &mut stopped => {
                    if let Ok(told) = told {
                        // Whoever asked waits for this.
                        let _heard = told.send(());
                    }
                    return;
                }
                () = tokio::time::sleep(RENEWAL) => {}
            }
            let options = PutOptions::from(PutMode::Update(version.clone()));
            match store.put_opts(&path, text.clone().into(), options).await {
                Ok(put) => version = put.into(),
                Err(object_store::Error::Precondition { .. }) => {
                    // An answer was lost, or another run took it.
                    let Ok(got) = store.get(&path).await else { continue };
                    let found =
                        UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
                    if got.bytes().await.is_ok_and(|bytes| bytes == text) {
                        version = found;
                    } else {
                        tracing::warn!("another run took the lock of the lake");
                        return;
                    }
                }
                Err(error) => tracing::debug!(%error, "the lock was not renewed"),
            }
        }
    });
    Ok(stop)
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (told, heard) = oneshot::channel();
        if self.stop.take().is_some_and(|stop| stop.send(told).is_ok()) {
            let waited = self.bucket.wait(async move { tokio::time::timeout(EXPIRY, heard).await });
            tracing::trace!(?waited, "the lock is no longer renewed");
        }
        let given_up = self.bucket.get(NAME).and_then(|found| match own(found, &self.holder) {
            Some(_) => self.bucket.delete(&[NAME.to_owned()]),
            None => Ok(()),
        });
        if let Err(error) = given_up {
            tracing::warn!(%error, "the lock of the lake stays for a while");
        }
    }
}

/// The name of this machine; empty if it has none.
#[cfg(unix)]
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    String::new()
}

/// Whether there is a process of this number.
#[cfg(unix)]
fn is_process(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn is_process(_pid: u32) -> bool {
    true
}
