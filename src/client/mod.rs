//! The only way out of the process: one connection pool, one rate budget, retries outside of it.
//!
//! `retry( rate limit( transport ))`: every attempt takes a permit, so retries are paid for as well. The
//! client knows HTTP and the manners of the API (rate headers, error bodies), not its tables.

mod body;
mod failure;
mod headers;
mod rate_limit;
mod retry;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};

pub use body::LARGEST;
use body::{Memory, Taken};
pub use failure::{CallError, Refusal};
pub use headers::RateHeaders;
use rate_limit::{Limiter, Permit};
pub use rate_limit::{Pace, Priority};
pub use retry::Backoff;
use retry::{After, History, Verdict, judge};

use crate::clock;
use crate::config::is_loopback;
use crate::config::secret::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::printable;
use crate::progress::TableProgress;
use crate::trust::{Way, prepared};

/// Silence of the server that is worth a word: as a part of [`ClientSettings::patience`], half a minute of 90 s.
const WORTH_A_WORD: u32 = 3;

/// How to reach one workspace.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Scheme and host, without a slash at the end.
    pub base_url: String,
    /// Sent as a bearer token.
    pub token: Secret<String>,
    /// Sent as `Intercom-Version`.
    pub api_version: String,
    /// A ceiling below what the answers allow: requests per duration.
    pub rate_limit: Option<(u32, Duration)>,
    /// Most requests in flight at once; how many there are follows the latency.
    pub concurrency: usize,
    /// How long to wait for a connection, and between two pieces of an answer. From then on an answer has to come at a
    /// kilobyte a second on average, and within 40 times that.
    pub patience: Duration,
    /// How retries are spaced.
    pub backoff: Backoff,
}

/// One request, independent of where it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Path and query below the base URL, beginning with a slash.
    pub path: String,
    /// The JSON body of a POST; `None` makes it a GET.
    pub body: Option<String>,
    /// Who goes first when permits are scarce.
    pub priority: Priority,
    /// Bytes of the largest answer that is read, unpacked: [`LARGEST`] or less.
    pub largest: usize,
}

impl Call {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), body: None, priority: Priority::Normal, largest: LARGEST }
    }

    /// A POST that reads, such as a search; it is retried like a GET.
    pub fn post(path: impl Into<String>, body: impl Into<String>) -> Self {
        Self { body: Some(body.into()), ..Self::get(path) }
    }

    /// The same call, whose answer is not read if it has more bytes than that.
    #[must_use]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.largest = bytes.min(LARGEST);
        self
    }

    /// The same call, ahead of all others.
    #[must_use]
    pub fn first(mut self) -> Self {
        self.priority = Priority::First;
        self
    }

    fn method(&self) -> &'static str {
        if self.body.is_some() { "POST" } else { "GET" }
    }

    /// The same number for calls that differ only in ids and parameters.
    fn kind(&self) -> u64 {
        let mut kind = DefaultHasher::new();
        self.method().hash(&mut kind);
        let path = self.path.split('?').next().unwrap_or_default();
        for part in path.split('/') {
            let is_id = part.bytes().any(|byte| byte.is_ascii_digit());
            if is_id { "#".hash(&mut kind) } else { part.hash(&mut kind) }
        }
        kind.finish()
    }

    /// The same words for calls that differ only in ids and parameters.
    fn outline(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        let is_id = |part: &str| part.bytes().any(|byte| byte.is_ascii_digit());
        let parts: Vec<&str> = path.split('/').map(|part| if is_id(part) { "..." } else { part }).collect();
        format!("{} {}", self.method(), parts.join("/"))
    }

    /// Method and path without the query, for messages.
    pub fn describe(&self) -> String {
        format!("{} {}", self.method(), printable::name(self.path.split('?').next().unwrap_or_default()))
    }
}

/// A complete answer with a success status and a body that begins like JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The body.
    pub body: Bytes,
    /// The server's clock when it answered.
    pub date: Option<Timestamp>,
    /// What came before it.
    pub attempts: Attempts,
    /// The memory that the body takes, if it is counted: to be dropped as soon as the body has been read, and before
    /// anything else is waited for.
    _memory: Option<Arc<Taken>>,
}

/// What happened so far to a call that is being tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Attempts that ended in an error of the server, a broken answer or silence.
    pub troubled: u32,
    /// Attempts whose answer was too large.
    pub too_large: u32,
}

/// Sends calls on behalf of one table; clones share pool, budget and counters.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    progress: TableProgress,
}

struct Shared {
    http: reqwest::Client,
    settings: ClientSettings,
    limiter: Limiter,
    /// For large answers.
    memory: Memory,
    /// The server's clock as of its latest answer.
    server_time: Mutex<Option<Timestamp>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.shared.settings.base_url).finish_non_exhaustive()
    }
}

impl Client {
    /// Prepares the pool; nothing is sent yet. A `Config` error where `base_url` is beyond this machine and there are no
    /// CA certificates to know it by. From now on the token is never printed.
    pub fn new(settings: ClientSettings, progress: TableProgress) -> Result<Self> {
        printable::keep_secret(settings.token.expose());
        let mut headers = HeaderMap::new();
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", settings.token.expose()))
            .map_err(|_| Error::new(ErrorKind::Config, "access token holds characters that no header can"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let version = HeaderValue::from_str(&settings.api_version)
            .map_err(|_| Error::new(ErrorKind::Config, "api_version holds characters that no header can"))?;
        headers.insert("intercom-version", version);
        let base_url = url::Url::parse(&settings.base_url)
            .map_err(|e| Error::new(ErrorKind::Config, "base_url is no URL").with_source(e))?;
        if is_loopback(&base_url) {
            // Packing an answer takes longer there than sending it. One that comes packed is understood all the same.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        // The API does not redirect, and a token must never follow one to another host.
        let http = prepared(
            Way::to(&base_url)
                .builder()
                .default_headers(headers)
                .user_agent(concat!("ingest/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(settings.patience.min(Duration::from_secs(10)))
                .read_timeout(settings.patience),
        )?;
        let limiter = Limiter::new(settings.rate_limit, settings.concurrency);
        Ok(Self {
            shared: Arc::new(Shared {
                http,
                settings,
                limiter,
                memory: Memory::new(),
                server_time: Mutex::new(None),
            }),
            progress,
        })
    }

    /// The same client, reporting waits and requests to another table. Tables take turns when permits are scarce;
    /// whatever reports to clones of one `progress` counts as one table.
    #[must_use]
    pub fn on_behalf_of(&self, progress: TableProgress) -> Self {
        Self { shared: Arc::clone(&self.shared), progress }
    }

    /// The host this client talks to.
    pub fn base_url(&self) -> &str {
        &self.shared.settings.base_url
    }

    /// How this client spaces what it tries again.
    pub fn backoff(&self) -> Backoff {
        self.shared.settings.backoff
    }

    /// How fast the connection may be read at the moment: what is left of the window, what the rate and the
    /// latency are, and how much is under way.
    pub fn pace(&self) -> Pace {
        self.shared.limiter.pace()
    }

    /// The server's clock as of its latest success, to the second; never ahead of it.
    pub fn server_time(&self) -> Option<Timestamp> {
        *self.shared.server_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the call that `make` returns until it is answered, refused for good, or tried too often.
    ///
    /// `make` is asked again before every attempt, so that a call can become cheaper after trouble.
    pub async fn send(&self, make: impl Fn(Attempts) -> Call) -> Result<Answer, CallError> {
        self.send_spaced(self.shared.settings.backoff, make).await
    }

    async fn send_spaced(
        &self,
        backoff: Backoff,
        make: impl Fn(Attempts) -> Call,
    ) -> Result<Answer, CallError> {
        let mut history = History::default();
        let mut attempts = Attempts::default();
        let mut taken = self.shared.memory.nothing(false);
        loop {
            let call = make(attempts);
            let failure = match self.attempt(&call, taken).await {
                Ok(answer) => return Ok(Answer { attempts, ..answer }),
                Err(failure) => failure,
            };
            taken = self.shared.memory.nothing(false);
            if let Some(bytes) = failure.lacks_room() {
                let room = self.shared.memory.room_for(bytes);
                taken = self
                    .progress
                    .while_waiting(|| "memory for a large answer".to_owned(), self.word(), room)
                    .await;
                self.progress.retried();
                continue;
            }
            if failure.is_too_large() {
                attempts.too_large += 1;
                if make(attempts) == call {
                    return Err(failure);
                }
                self.progress.retried();
                tracing::debug!(call = call.describe(), reason = %failure, "asking for less");
                continue;
            }
            let verdict = judge(&failure, history.at(Instant::now()), backoff);
            let Verdict::Again { after, wait } = verdict else {
                return Err(failure.tried(attempts.troubled));
            };
            history.note(after, Instant::now());
            match after {
                After::RateLimited => self.shared.limiter.hold_back(Instant::now(), wait),
                After::Trouble => attempts.troubled += 1,
            }
            self.progress.retried();
            tracing::debug!(call = call.describe(), reason = %failure, ?wait, "trying again");
            self.pause(wait, &failure.to_string()).await;
        }
    }

    /// Sends a call like [`Self::send`], but gives up at the second error of the server or broken answer: for
    /// calls that can be put in another way.
    pub async fn send_unless_troubled(&self, call: Call) -> Result<Answer, CallError> {
        let brief = Backoff { attempts: 2, ..self.shared.settings.backoff };
        self.send_spaced(brief, |_| call.clone()).await
    }

    /// Sends a call that must not be repeated once it may have been carried out. Only an answer 429, which
    /// means that it was not, is waited for and tried again.
    pub async fn send_once(&self, call: Call) -> Result<Answer, CallError> {
        let backoff = self.shared.settings.backoff;
        let mut history = History::default();
        loop {
            let failure = match self.attempt(&call, self.shared.memory.nothing(true)).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match judge(&failure, history.at(Instant::now()), backoff) {
                Verdict::Again { after: After::RateLimited, wait } => {
                    history.note(After::RateLimited, Instant::now());
                    self.shared.limiter.hold_back(Instant::now(), wait);
                    self.progress.retried();
                    self.pause(wait, &failure.to_string()).await;
                }
                _ => return Err(failure),
            }
        }
    }

    /// Sleeps, telling the table's progress why.
    pub async fn pause(&self, wait: Duration, reason: &str) {
        self.progress.waiting(reason, wait);
        tokio::time::sleep(wait).await;
        self.progress.working();
    }

    async fn attempt(&self, call: &Call, memory: Taken) -> Result<Answer, CallError> {
        let permit = self.shared.limiter.acquire(call.priority, &self.progress).await;
        self.progress.requested();
        let what = || format!("an answer to {}", call.outline());
        self.progress.while_waiting(what, self.word(), self.exchange(call, permit, memory)).await
    }

    /// After how long it is said what is being waited for.
    fn word(&self) -> Duration {
        self.shared.settings.patience / WORTH_A_WORD
    }

    async fn exchange(
        &self,
        call: &Call,
        mut permit: Permit,
        mut memory: Taken,
    ) -> Result<Answer, CallError> {
        let patience = self.shared.settings.patience;
        let sent_at = Instant::now();
        let url = format!("{}{}", self.shared.settings.base_url, call.path);
        let request = match &call.body {
            None => self.shared.http.get(url),
            Some(body) => {
                self.shared.http.post(url).header(CONTENT_TYPE, "application/json").body(body.clone())
            }
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                permit.troubled();
                return Err(CallError::broken(call.describe(), &error));
            }
        };
        let rate = headers::rate(response.headers(), clock::now());
        let status = response.status().as_u16();
        let answered_at = Instant::now();
        permit.answered(rate, status == 429, answered_at);
        if status >= 500 {
            permit.troubled();
        }
        self.progress.permits_left(self.shared.limiter.left(answered_at));
        let date = headers::date(response.headers());
        // Only the API's own word counts: errors may come from a proxy with another clock.
        if date.is_some() && (200..300).contains(&status) {
            let mut latest = self.shared.server_time.lock().unwrap_or_else(PoisonError::into_inner);
            *latest = date;
        }
        let to_next_window = |rate: RateHeaders| self.shared.limiter.to_end_of(rate.reset, answered_at);
        let wait = headers::retry_after(response.headers())
            .or_else(|| rate.filter(|_| status == 429).map(to_next_window));
        let canonical = headers::canonical_id(response.headers());
        let elapsed = || sent_at.elapsed();
        if !(200..300).contains(&status) {
            let body = body::read_beginning(response, patience).await;
            permit.done(call.kind(), Instant::now());
            tracing::debug!(call = call.describe(), status, bytes = body.len(), elapsed = ?elapsed(), "answered");
            let token = self.shared.settings.token.expose();
            let refusal = Refusal { canonical, ..Refusal::read(status, &body, wait, token) };
            return Err(CallError::refused(call.describe(), refusal));
        }
        let body = match body::read(response, call.largest, patience, &mut memory).await {
            Ok(body) => body,
            Err(error) => {
                if error.is_trouble() {
                    permit.troubled();
                }
                return Err(CallError::without_body(call, error));
            }
        };
        permit.done(call.kind(), Instant::now());
        tracing::debug!(call = call.describe(), status, bytes = body.len(), elapsed = ?elapsed(), "answered");
        let memory = memory.is_some().then(|| Arc::new(memory));
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'[') => Ok(Answer { body, date, attempts: Attempts::default(), _memory: memory }),
            Some(_) => Err(CallError::not_json(call.describe(), "an answer that is not JSON")),
            None => Err(CallError::not_json(call.describe(), "an empty answer")),
        }
    }
}
