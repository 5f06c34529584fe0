//! A server that answers as a test says, for what the sandbox would never do.

use std::io::Write;
use std::sync::{Arc, Mutex};

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
}

impl Answer {
    pub(crate) fn ok(body: &Value) -> Self {
        Self::text(body.to_string())
    }

    /// A good answer with a body as it is written here, to the letter.
    pub(crate) fn text(body: impl Into<String>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into().into_bytes() }
    }

    /// A good answer with a body that need not be text.
    pub(crate) fn bytes(body: Vec<u8>) -> Self {
        Self { status: 200, headers: Vec::new(), body }
    }

    /// A good answer packed with gzip, whether or not that is asked for; all but the last `lacking` bytes of it.
    pub(crate) fn packed(body: &Value, lacking: usize) -> Self {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(body.to_string().as_bytes()).expect("memory");
        let mut body = packer.finish().expect("memory");
        body.truncate(body.len() - lacking);
        Self { status: 200, headers: vec![("Content-Encoding", "gzip".to_owned())], body }
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
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, log, me) = (Arc::clone(&answer), Arc::clone(&kept), me.clone());
                tokio::spawn(async move {
                    let serve = |asked: &Asked| {
                        log.lock().expect("no test panics while it holds this").push(asked.clone());
                        if asked.target == "/me" {
                            return me.clone();
                        }
                        answer(asked)
                    };
                    // A client that goes away in the middle is none of the server's business.
                    converse(stream, serve).await.ok();
                });
            }
        });
        Self { base_url, log }
    }

    /// Every request so far whose target begins so.
    pub(crate) fn asked(&self, beginning: &str) -> Vec<Asked> {
        let log = self.log.lock().expect("no test panics while it holds this");
        log.iter().filter(|asked| asked.target.starts_with(beginning)).cloned().collect()
    }
}

async fn converse(stream: TcpStream, serve: impl Fn(&Asked) -> Answer) -> std::io::Result<()> {
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
        let Answer { status, headers, body } = serve(&asked);
        let mut text = format!("HTTP/1.1 {status} As Scripted\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        stream.write_all(text.as_bytes()).await?;
        stream.write_all(&body).await?;
    }
}
