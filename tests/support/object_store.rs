//! An S3 server on loopback, from a crate, that keeps its objects in a folder and goes wrong where a test says so.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use ingest::config::{Environment, ObjectStoreConfig};
use ingest::destination::Target;
use s3s::access::S3Access;
use s3s::auth::SimpleAuth;
use s3s::dto::PutObjectInput;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Request, S3Result};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

const BUCKET: &str = "bucket";
/// What every test signs its requests with.
const KEY: &str = "key";
const SECRET: &str = "a-secret";

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It is carried out, and the connection breaks.
    Reset,
    /// It is not carried out.
    Refused,
    /// Conditions in its head are not heeded.
    Unconditional,
    /// Only whether there is something is heeded, not what.
    AnyVersion,
    /// It is carried out, and the answer is held back until [`Held::break_off`]; then the connection breaks.
    Held,
}

/// Lets everybody in who signs, and takes conditions off.
struct Access;

impl S3Access for Access {
    fn put_object<'s, 'r, 'f>(
        &'s self,
        request: &'r mut S3Request<PutObjectInput>,
    ) -> Pin<Box<dyn Future<Output = S3Result<()>> + Send + 'f>>
    where
        's: 'f,
        'r: 'f,
    {
        // They stay in the head, which is signed.
        match request.extensions.get::<Fault>() {
            Some(Fault::Unconditional) => {
                (request.input.if_match, request.input.if_none_match) = (None, None);
            }
            Some(Fault::AnyVersion) => request.input.if_match = None,
            _ => {}
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What is asked for so often to go wrong.
#[derive(Debug)]
struct Plan {
    method: Method,
    /// How the path ends.
    ending: String,
    fault: Fault,
    /// How many pass before.
    after: usize,
    times: usize,
}

#[derive(Debug, Default)]
struct Shared {
    plans: Mutex<Vec<Plan>>,
    /// Methods and paths of all requests, in the order in which they came.
    log: Mutex<Vec<(Method, String)>>,
    /// Whether a request that is held was carried out, and whether its connection is to break.
    held: Mutex<(bool, bool)>,
}

/// A request whose answer is held back.
pub(crate) struct Held(Arc<Shared>);

impl Held {
    /// Waits until it was carried out.
    pub(crate) fn wait_until_done(&self) {
        while !self.0.held.lock().expect("what is held").0 {
            // Not a wait for something to have happened, only a pause between two looks.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Breaks its connection.
    pub(crate) fn break_off(&self) {
        self.0.held.lock().expect("what is held").1 = true;
    }
}

impl Shared {
    fn fault_of(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut plans = self.plans.lock().expect("the plans");
        let is_due =
            |plan: &&mut Plan| plan.times > 0 && plan.method == *method && path.ends_with(&plan.ending);
        let plan = plans.iter_mut().find(is_due)?;
        if plan.after > 0 {
            plan.after -= 1;
            return None;
        }
        plan.times -= 1;
        Some(plan.fault)
    }
}

/// The server; it ends with this.
#[derive(Debug)]
pub(crate) struct ObjectStore {
    folder: TempDir,
    bucket: &'static str,
    endpoint: String,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl ObjectStore {
    /// One with an empty bucket.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let mut builder =
            S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).expect("a file system"));
        builder.set_access(Access);
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket of its own pace");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared::default());
        runtime.spawn(serve(listener, service, Arc::clone(&shared)));
        Self { folder, bucket: BUCKET, endpoint, shared, runtime: Some(runtime) }
    }

    /// The variables that let a client in.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
        ]
    }

    /// A lake in it.
    pub(crate) fn lake(&self) -> ObjectStoreConfig {
        let config =
            ObjectStoreConfig::parse("lake", &self.url(), &Environment::from_pairs(self.variables()));
        let config = config.expect("an object store").expect("a sound URL");
        ObjectStoreConfig { patience: Duration::from_millis(800), ..config }
    }

    /// Where that lake is.
    pub(crate) fn url(&self) -> String {
        format!("s3://{}/data/lake", self.bucket)
    }

    /// The folder of this machine in which the server keeps the lake.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join(self.bucket).join("data/lake")
    }

    /// The names of the objects of the lake, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.folder(), &self.folder(), &mut names);
        names.sort();
        names
    }

    /// The manifest of the lake; `None` if there is none.
    pub(crate) fn manifest(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.folder().join("_ingest/manifest.json")).ok()?;
        Some(serde_json::from_str(&text).expect("a manifest"))
    }

    /// What the manifest says of a table; `None` if there is no such table.
    pub(crate) fn table(&self, target: &Target) -> Option<Value> {
        let schema = target.schema.to_lowercase();
        let is_it = |table: &&Value| {
            table["schema"].as_str().is_some_and(|known| known.to_lowercase() == schema)
                && table["table"] == target.table.name
        };
        self.manifest()?["tables"].as_array().expect("tables").iter().find(is_it).cloned()
    }

    /// The files of a table that the manifest names, as a list for DuckDB; `None` if there is no such table.
    pub(crate) fn files(&self, target: &Target) -> Option<String> {
        let path = |name: String| {
            format!("'{}'", self.folder().join(name).display().to_string().replace('\'', "''"))
        };
        let files: Vec<String> = names(&self.table(target)?, &["files"]).into_iter().map(path).collect();
        Some(format!("[{}]", files.join(", ")))
    }

    /// Fails if a file is missing that the manifest names; if one is there that it does not name, unless it was written
    /// for a version that is still to come; and if there is a lock.
    pub(crate) fn assert_nothing_left_behind(&self) {
        let manifest = self.manifest().expect("a manifest");
        let tables = manifest["tables"].as_array().expect("tables");
        let mut expected: Vec<String> =
            tables.iter().flat_map(|table| names(table, &["files", "ledger", "replaced"])).collect();
        expected.push("_ingest/manifest.json".to_owned());
        expected.sort();
        let mut found = self.names();
        found.retain(|name| !name.starts_with("_ingest/runs/"));
        found.retain(|name| {
            let table = name.split('/').nth(1);
            let generation = name.rsplit('/').next().and_then(|own| own.split('-').next()?.parse().ok());
            let current = tables.iter().find(|entry| entry["table"].as_str() == table);
            let is_to_come = |(own, entry): (u64, &Value)| Some(own) > entry["generation"].as_u64();
            !generation.zip(current).is_some_and(is_to_come)
        });
        assert_eq!(found, expected);
    }

    /// Has the next `times` requests go wrong whose method and end of path are these.
    pub(crate) fn fail(&self, method: Method, ending: &str, fault: Fault, times: usize) {
        self.fail_after(method, ending, 0, fault, times);
    }

    /// Has the next request whose method and end of path are these be carried out, and its answer be held back.
    pub(crate) fn hold(&self, method: Method, ending: &str) -> Held {
        self.fail(method, ending, Fault::Held, 1);
        Held(Arc::clone(&self.shared))
    }

    /// The same after `after` requests that do not.
    pub(crate) fn fail_after(&self, method: Method, ending: &str, after: usize, fault: Fault, times: usize) {
        let plan = Plan { method, ending: ending.to_owned(), fault, after, times };
        self.shared.plans.lock().expect("the plans").push(plan);
    }

    /// Waits for a request of this method to a path that ends so.
    pub(crate) fn wait_for(&self, asked: &str) {
        while !self.requests().iter().any(|one| one == asked) {
            // Not a wait for something to have happened, only a pause between two looks.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        self.shared.plans.lock().expect("the plans").clear();
    }

    /// Methods and last parts of the paths of the requests since this was last asked.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = std::mem::take(&mut *self.shared.log.lock().expect("the log"));
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        log.iter().map(|(method, path)| format!("{method} {}", last(path))).collect()
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The names of the files in some lists of a table.
fn names(table: &Value, lists: &[&str]) -> Vec<String> {
    let files = lists.iter().flat_map(|list| table[*list].as_array().into_iter().flatten());
    files.map(|file| file["name"].as_str().expect("a name").to_owned()).collect()
}

fn collect(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for found in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = found.path();
        if path.is_dir() {
            collect(root, &path, names);
        } else {
            names.push(path.strip_prefix(root).expect("below the root").display().to_string());
        }
    }
}

async fn serve(listener: std::net::TcpListener, service: S3Service, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    // One write at a time: the crate looks at a condition and then writes.
    let writing = Arc::new(tokio::sync::Mutex::new(()));
    while let Ok((socket, _)) = listener.accept().await {
        let socket = socket.into_std().expect("a socket");
        let same = socket.try_clone().and_then(TcpStream::from_std).map(Arc::new).expect("a socket");
        let socket = TcpStream::from_std(socket).expect("a socket");
        let (service, shared, writing) = (service.clone(), Arc::clone(&shared), Arc::clone(&writing));
        let answer = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let (service, shared, writing) = (service.clone(), Arc::clone(&shared), Arc::clone(&writing));
            let same = Arc::clone(&same);
            async move {
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                let fault = shared.fault_of(&method, &path);
                shared.log.lock().expect("the log").push((method, path));
                if fault == Some(Fault::Refused) {
                    return Err(std::io::Error::other("refused"));
                }
                if let Some(fault) = fault {
                    request.extensions_mut().insert(fault);
                }
                let answer = {
                    let _turn = writing.lock().await;
                    service
                        .call(request.map(s3s::Body::from))
                        .await
                        .map_err(|e| std::io::Error::other(format!("{e:?}")))?
                };
                if fault == Some(Fault::Held) {
                    shared.held.lock().expect("what is held").0 = true;
                    while !shared.held.lock().expect("what is held").1 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                if matches!(fault, Some(Fault::Reset | Fault::Held)) {
                    same.set_zero_linger()?;
                }
                if matches!(fault, Some(Fault::AnswerLost | Fault::Reset | Fault::Held)) {
                    return Err(std::io::Error::other("the answer is lost"));
                }
                let (head, body) = answer.into_parts();
                let body = body.collect().await.map_err(|e| std::io::Error::other(e.to_string()))?;
                Ok(Response::from_parts(head, Full::new(body.to_bytes())))
            }
        });
        tokio::spawn(async move {
            // A client that goes away in the middle is its own affair.
            let _ended = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), answer)
                .await;
        });
    }
}
