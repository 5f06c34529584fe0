//! A server that answers as a test says, for what the sandbox would never do.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Null for a request without one.
    pub(crate) body: Value,
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Spaces before the body.
    spaces: usize,
    /// The pause after each of the spaces.
    drip: Option<Duration>,
}

/// Text that is packed while it is written.
pub(crate) struct Packer(GzEncoder<Vec<u8>>);

impl Packer {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::best()))
    }

    /// The same with this text, so many times.
    pub(crate) fn with(mut self, text: &str, times: usize) -> Self {
        let many = text.repeat((64_usize << 10).div_ceil(text.len()).min(times));
        let (whole, rest) = (times * text.len() / many.len(), times * text.len() % many.len());
        (0..whole).for_each(|_| self.0.write_all(many.as_bytes()).expect("memory"));
        self.0.write_all(&many.as_bytes()[..rest]).expect("memory");
        self
    }

    /// An answer with that status and all of it.
    pub(crate) fn answer(self, status: u16) -> Answer {
        let headers = vec![("Content-Encoding", "gzip".to_owned())];
        Answer { status, headers, ..Answer::bytes(self.0.finish().expect("memory")) }
    }
}

impl Answer {
    /// A good answer with a body that need not be text.
    pub(crate) fn bytes(body: Vec<u8>) -> Self {
        Self { status: 200, headers: Vec::new(), body, spaces: 0, drip: None }
    }

    /// The same, with so many spaces before its body, which mean nothing in JSON.
    pub(crate) fn after_spaces(self, spaces: usize) -> Self {
        Self { spaces, ..self }
    }

    /// The same, whose spaces come one by one with this pause after each.
    pub(crate) fn dripping(self, pause: Duration) -> Self {
        Self { drip: Some(pause), ..self }
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::text(body.to_string())
    }

    /// A good answer with a body as it is written here, to the letter.
    pub(crate) fn text(body: impl Into<String>) -> Self {
        Self::bytes(body.into().into_bytes())
    }

    /// A good answer packed with gzip, whether or not that is asked for; all but the last `lacking` bytes of it.
    pub(crate) fn packed(body: &Value, lacking: usize) -> Self {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(body.to_string().as_bytes()).expect("memory");
        let mut body = packer.finish().expect("memory");
        body.truncate(body.len() - lacking);
        Self { headers: vec![("Content-Encoding", "gzip".to_owned())], ..Self::bytes(body) }
    }

    pub(crate) fn status(status: u16, body: &Value) -> Self {
        Self { status, ..Self::ok(body) }
    }

    /// The same body with an error status.
    pub(crate) fn refused(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same page without its last rows.
    pub(crate) fn without_some_rows(self, rows: usize) -> Self {
        let mut body: Value = serde_json::from_slice(&self.body).expect("a page");
        let data = body["data"].as_array_mut().expect("rows");
        data.truncate(data.len().saturating_sub(rows));
        Self { body: body.to_string().into_bytes(), ..self }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The server; it ends with the runtime.
pub(crate) struct OddServer {
    pub(crate) base_url: String,
    log: Arc<Mutex<Vec<Asked>>>,
    sent: Arc<AtomicUsize>,
}

impl OddServer {
    /// Answers every request with what `answer` makes of it. `GET /me` is answered for it.
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let me = serde_json::json!({ "type": "admin", "app": { "id_code": "odd" } });
        Self::start_with_me(Answer::ok(&me), answer).await
    }

    /// The same, with another answer to `GET /me`.
    pub(crate) async fn start_with_me(
        me: Answer,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&log));
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, log, me) = (Arc::clone(&answer), Arc::clone(&kept), me.clone());
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let serve = |asked: &Asked| {
                        log.lock().expect("no test panics while it holds this").push(asked.clone());
                        if asked.target == "/me" {
                            return me.clone();
                        }
                        answer(asked)
                    };
                    // A client that goes away in the middle is none of the server's business.
                    converse(stream, serve, &counter).await.ok();
                });
            }
        });
        Self { base_url, log, sent }
    }

    /// Bytes of bodies that were sent so far.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Every request so far whose target begins so.
    pub(crate) fn asked(&self, beginning: &str) -> Vec<Asked> {
        let log = self.log.lock().expect("no test panics while it holds this");
        log.iter().filter(|asked| asked.target.starts_with(beginning)).cloned().collect()
    }
}

/// What means nothing before a JSON text.
static BLANK: [u8; 64 << 10] = [b' '; 64 << 10];

async fn converse(
    stream: TcpStream,
    serve: impl Fn(&Asked) -> Answer,
    sent: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut body = vec![0; length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        let asked = Asked { target, headers, body: serde_json::from_slice(&body).unwrap_or_default() };
        let Answer { status, headers, body, spaces, drip } = serve(&asked);
        let length = spaces + body.len();
        let mut text = format!("HTTP/1.1 {status} As Scripted\r\nContent-Length: {length}\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        stream.write_all(text.as_bytes()).await?;
        let mut left = spaces;
        while left > 0 {
            let most = if drip.is_some() { 1 } else { BLANK.len() };
            let piece = &BLANK[..left.min(most)];
            stream.write_all(piece).await?;
            left -= piece.len();
            sent.fetch_add(piece.len(), Ordering::Relaxed);
            if let Some(pause) = drip {
                tokio::time::sleep(pause).await;
            }
        }
        stream.write_all(&body).await?;
        sent.fetch_add(body.len(), Ordering::Relaxed);
    }
}
