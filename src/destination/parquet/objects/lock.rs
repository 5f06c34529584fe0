//! One run at a time in an object store, as far as runs are well.
//!
//! A store has no locks that go with a process. So a run writes an object, and writes it again and again for as long as
//! it lasts; one that was not written for a while is nobody's. This keeps runs from doing work in vain. It is not what
//! keeps the tables whole: of two writers that both go on only one can replace the manifest.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::bucket::{Bucket, Found, Put};
use crate::destination::run_lock::is_process;
use crate::error::{Error, ErrorKind, Result};
use crate::printable;
use crate::progress::Progress;

/// Its name, in the folder of the lake.
const NAME: &str = "_ingest/lock.json";
/// How often one that is somebody's is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// It is written so many times before it would be nobody's.
const RENEWALS: u32 = 4;

/// Tells this process from others.
static PROCESS: LazyLock<u64> = LazyLock::new(|| fastrand::u64(..));

/// What stands in it, for people and for runs on the same machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    id: String,
    host: String,
    pid: u32,
    started: String,
    /// The same for everything in which numbers of processes mean the same; empty if that is not known.
    machine: String,
    /// The same for all runs of one process, and for no other: numbers of processes come again.
    process: u64,
    /// How often it was written since, so that no two versions are the same.
    renewed: u64,
}

/// The right to be the only run; given up when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    bucket: Arc<Bucket>,
    holder: Holder,
    is_taken: bool,
    renewal: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

impl Lock {
    /// Takes it, waiting up to `wait` while another run has it. A store that writes over an object although it was told
    /// not to is an error: there two runs could overwrite each other's tables.
    pub(super) fn take(bucket: &Arc<Bucket>, wait: Duration, progress: &Progress) -> Result<Self> {
        let holder = Holder {
            id: format!("{:016x}", fastrand::u64(..)),
            host: host(),
            pid: std::process::id(),
            started: crate::clock::now().strftime("%F %TZ").to_string(),
            machine: machine(),
            process: *PROCESS,
            renewed: 0,
        };
        let mut lock = Self { bucket: Arc::clone(bucket), holder, is_taken: false, renewal: None };
        let version = lock.wait_for(wait, progress)?;
        lock.is_taken = true;
        lock.refuse_overwriting()?;
        lock.renewal = Some(lock.renew(version));
        Ok(lock)
    }

    /// Writes it as soon as nobody has it; its version then.
    fn wait_for(&self, wait: Duration, progress: &Progress) -> Result<UpdateVersion> {
        let started = Instant::now();
        let mut others: Option<Others> = None;
        let mut is_told = false;
        loop {
            let found = self.bucket.get(NAME)?;
            let holder = found.as_ref().and_then(|found| serde_json::from_slice::<Holder>(&found.bytes).ok());
            let is_free = match &found {
                None => true,
                Some(found) => {
                    holder.as_ref().is_some_and(Holder::is_dead)
                        || Others::seen(&mut others, found, &self.bucket)? > self.bucket.config.lock_expiry
                }
            };
            if is_free {
                let over = found.map(|found| found.version);
                match self.bucket.put_over(NAME, self.holder.to_json()?, over)? {
                    Put::Done(version) => return Ok(version),
                    // Somebody was faster, or an answer was lost: what is there says which.
                    Put::Refused => {
                        if let Some(version) = self.own()? {
                            return Ok(version);
                        }
                    }
                    Put::Unclear(error) => return self.own()?.ok_or(error),
                }
            }
            let words = holder.map(|holder| holder.words()).unwrap_or_default();
            if started.elapsed() >= wait {
                let message = format!("another run is writing {}{words}", self.bucket.url());
                return Err(Error::new(ErrorKind::Locked, message).with_hint(format!(
                    "let it finish; cron may simply try again, --wait waits for it. If it was killed, it is in the way \
                     for {} seconds",
                    self.bucket.config.lock_expiry.as_secs()
                )));
            }
            if !is_told {
                progress.note(&format!("waiting for another run on {}{words}", self.bucket.url()));
                is_told = true;
            }
            std::thread::sleep(LOOK.min(wait));
        }
    }

    /// The version of it, if this run wrote it.
    fn own(&self) -> Result<Option<UpdateVersion>> {
        let Some(found) = self.bucket.get(NAME)? else { return Ok(None) };
        let is_own =
            serde_json::from_slice(&found.bytes).is_ok_and(|other: Holder| other.id == self.holder.id);
        Ok(is_own.then_some(found.version))
    }

    /// Tries both conditions that commits rely on.
    fn refuse_overwriting(&self) -> Result<()> {
        let never = UpdateVersion { e_tag: Some("\"0\"".to_owned()), version: Some("1".to_owned()) };
        for over in [None, Some(never)] {
            match self.bucket.put_over(NAME, self.holder.to_json()?, over)? {
                Put::Refused => {}
                Put::Unclear(error) => return Err(error),
                Put::Done(_) => {
                    let url = self.bucket.url();
                    let message = format!("{url}: the store writes over objects although it is told not to");
                    return Err(Error::new(ErrorKind::Destination, message).with_hint(
                        "two runs could overwrite each other's tables there: use a store that knows conditional writes, \
                         as S3, GCS, Azure, R2 and newer MinIO do",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Writes it again and again, until it is another run's or until it is told to stop, which it then says.
    fn renew(&self, version: UpdateVersion) -> oneshot::Sender<oneshot::Sender<()>> {
        let (stop, mut stopped) = oneshot::channel::<oneshot::Sender<()>>();
        let (bucket, mut holder) = (Arc::clone(&self.bucket), self.holder.clone());
        let pause = bucket.config.lock_expiry / RENEWALS;
        self.bucket.handle().spawn(async move {
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
                    () = tokio::time::sleep(pause) => {}
                }
                holder.renewed += 1;
                let Ok(text) = holder.to_json() else { return };
                let written = bucket.put_later(NAME, text, Some(version.clone()));
                match tokio::time::timeout(pause, written).await {
                    Ok(Ok(Put::Done(next))) => version = next,
                    Ok(Ok(Put::Refused)) => {
                        // An answer was lost, or another run took it.
                        let Ok(Ok(Some(found))) = tokio::time::timeout(pause, bucket.get_later(NAME)).await
                        else {
                            continue;
                        };
                        let other: Option<Holder> = serde_json::from_slice(&found.bytes).ok();
                        if other.is_none_or(|other| other.id != holder.id) {
                            tracing::warn!("another run took the lock of the lake");
                            return;
                        }
                        version = found.version;
                    }
                    Ok(Ok(Put::Unclear(error)) | Err(error)) => {
                        tracing::debug!(%error, "the lock was not renewed");
                    }
                    Err(_) => tracing::debug!("the lock was not renewed in time"),
                }
            }
        });
        stop
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.is_taken {
            return;
        }
        let (told, heard) = oneshot::channel();
        if self.renewal.take().is_some_and(|stop| stop.send(told).is_ok()) {
            let longest = self.bucket.config.lock_expiry;
            let waited = self.bucket.wait(async move { tokio::time::timeout(longest, heard).await });
            tracing::trace!(?waited, "the lock is no longer renewed");
        }
        let given_up = self.own().and_then(|own| match own {
            Some(_) => self.bucket.delete(&[NAME.to_owned()]),
            None => Ok(()),
        });
        if let Err(error) = given_up {
            tracing::warn!(%error, "the lock of the lake stays for a while");
        }
    }
}

/// Another run's lock, as it was seen first.
struct Others {
    version: UpdateVersion,
    /// How old it was then.
    age: Duration,
    since: Instant,
}

impl Others {
    /// How long ago it was written, by the store's clock at first, then by this process's own.
    fn seen(known: &mut Option<Self>, found: &Found, bucket: &Arc<Bucket>) -> Result<Duration> {
        if let Some(known) = known.as_ref().filter(|known| known.version == found.version) {
            return Ok(known.age + known.since.elapsed());
        }
        // One that changed while it was looked at is as new as the look.
        let age = if known.is_some() { Duration::ZERO } else { age(found, bucket)? };
        *known = Some(Self { version: found.version.clone(), age, since: Instant::now() });
        Ok(age)
    }
}

/// How much later an object is that is written now.
fn age(found: &Found, bucket: &Arc<Bucket>) -> Result<Duration> {
    let name = format!("_ingest/clock-{:016x}", fastrand::u64(..));
    bucket.put(&name, Bytes::new())?;
    let now = bucket.get(&name)?;
    bucket.delete(&[name])?;
    let passed = now.map_or(0, |now| now.modified.saturating_sub(found.modified));
    Ok(Duration::from_millis(u64::try_from(passed).unwrap_or(0)))
}

impl Holder {
    fn to_json(&self) -> Result<Bytes> {
        let text = serde_json::to_vec_pretty(self);
        Ok(text
            .map_err(|e| Error::new(ErrorKind::Destination, "the lock cannot be written").with_source(e))?
            .into())
    }

    /// What is said of it, in brackets.
    fn words(&self) -> String {
        let (host, started) = (printable::name(&self.host), printable::name(&self.started));
        format!(" (PID {} on {host}, started {started})", self.pid)
    }

    /// Whether it is a process of this machine that is no more.
    fn is_dead(&self) -> bool {
        let is_here = !self.machine.is_empty() && self.machine == machine();
        let is_gone =
            if self.pid == std::process::id() { self.process != *PROCESS } else { !is_process(self.pid) };
        is_here && is_gone
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

/// This start of this machine, and the part of it that counts processes as this one does: containers have their own.
#[cfg(target_os = "linux")]
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    match (boot.trim(), namespace.to_string_lossy()) {
        ("", _) => String::new(),
        (_, namespace) if namespace.is_empty() => String::new(),
        (boot, namespace) => format!("{boot} {namespace}"),
    }
}

#[cfg(not(target_os = "linux"))]
fn machine() -> String {
    String::new()
}
