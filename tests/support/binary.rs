//! Running the real binary: in a folder of its own, in an environment that holds nothing but what the test
//! says, against a sandbox in this process.
//!
//! No output may ever show a token, or a character that a terminal acts on; every finished run is checked for that,
//! whatever it is about.

mod process;
mod shown;

use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ingest::destination::duckdb::{Options, query};
use ingest::sandbox::{Fault, FaultKind, Sandbox, Settings};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use process::Pipe;
pub(crate) use process::Started;
pub(crate) use shown::{FILTERS, Finished, assert_shows};

/// The token that is right, unless a test says otherwise.
pub(crate) const TOKEN: &str = "dG9rOjVlY3JldC1vZi1hLXdvcmtzcGFjZQ==";
/// One that is not.
pub(crate) const OTHER_TOKEN: &str = "dG9rOm5vYm9keS1rbm93cy1tZQ==";

/// Far beyond what any of these runs needs; only a hang gets there.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a `connections.yml`, and mostly a workspace behind it.
pub(crate) struct Project {
    dir: TempDir,
    path: PathBuf,
    served: Option<(Sandbox, Runtime)>,
}

impl Project {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        Self { dir, path, served: None }
    }

    /// A folder whose connection `intercom` leads to a sandbox with these settings, whatever their token.
    pub(crate) fn new(settings: Settings) -> Self {
        let mut project = Self::empty();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let settings = Settings { token: TOKEN.to_owned(), ..settings };
        let sandbox = runtime.block_on(Sandbox::start(settings)).unwrap();
        project.configure(&sandbox.base_url(), "");
        project.served = Some((sandbox, runtime));
        project
    }

    /// A small workspace, in which every table has rows.
    pub(crate) fn small() -> Self {
        Self::new(Settings {
            contacts: 40,
            companies: 20,
            conversations: 30,
            articles: 10,
            ..Settings::default()
        })
    }

    /// Writes a `connections.yml` with one connection to `base_url` that carries these further lines.
    pub(crate) fn configure(&self, base_url: &str, lines: &str) {
        let text = format!(
            "connections:\n  intercom:\n    - name: intercom\n      access_token: ${{INTERCOM_ACCESS_TOKEN}}\n      \
             base_url: {base_url}\n{lines}"
        );
        self.write("connections.yml", &text);
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path.join(name), text).unwrap();
    }

    /// What a file holds.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether there is something at a path in the folder.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Makes a pipe with a name.
    #[cfg(unix)]
    pub(crate) fn make_pipe(&self, name: &str) {
        assert!(Command::new("mkfifo").arg(self.path(name)).status().unwrap().success());
    }

    /// Names of everything in the folder, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The workspace.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.served.as_ref().unwrap().0
    }

    /// What another program does that looks into `ingest.duckdb` while nobody writes there.
    pub(crate) fn open_to_read(&self) -> duckdb::Connection {
        let open = || {
            let config = duckdb::Config::default().access_mode(duckdb::AccessMode::ReadOnly).unwrap();
            duckdb::Connection::open_with_flags(self.path("ingest.duckdb"), config).ok()
        };
        let mut reader = None;
        until("a moment in which nobody writes", || {
            reader = open();
            reader.is_some()
        });
        reader.unwrap()
    }

    /// The next request whose path begins so is never answered.
    pub(crate) fn stall(&self, path: &str) {
        self.stall_for(path, Duration::from_secs(3600));
    }

    /// The next request whose path begins so is answered after this time.
    pub(crate) fn stall_for(&self, path: &str, time: Duration) {
        self.fault(path, 0, 1, FaultKind::Stall(time));
    }

    /// Requests whose path begins so go wrong: `times` of them, `after` that many that do not.
    pub(crate) fn fault(&self, path: &str, after: u32, times: u32, what: FaultKind) {
        self.sandbox().fault(Fault { matching: path.to_owned(), after, times, what });
    }

    /// Waits for a request whose path begins so.
    pub(crate) fn asked_for(&self, path: &str) {
        until(path, || {
            self.sandbox().requests().iter().any(|request| request.path_and_query.starts_with(path))
        });
    }

    /// The rows a query finds in `ingest.duckdb`, without the header, cells joined with a bar.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        self.rows_in("ingest.duckdb", sql)
    }

    /// The same in another file.
    pub(crate) fn rows_in(&self, file: &str, sql: &str) -> Vec<String> {
        let found = query(&self.path(file), &Options::default(), sql).unwrap();
        found.iter().skip(1).map(|row| row.join("|")).collect()
    }

    /// The binary with these arguments.
    pub(crate) fn ingest(&self, arguments: &[&str]) -> Invocation<'_> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingest"));
        command.args(arguments);
        self.prepared(command)
    }

    /// The binary with these arguments, started by a shell that first does what `before` says.
    pub(crate) fn ingest_after(&self, before: &str, arguments: &[&str]) -> Invocation<'_> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{before}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_ingest")]);
        command.args(arguments);
        self.prepared(command)
    }

    /// The binary with these arguments, as from a terminal: it heeds SIGHUP although these tests may have been started under
    /// `nohup`, which they hand on.
    pub(crate) fn ingest_in_terminal(&self, arguments: &[&str]) -> Invocation<'_> {
        if cfg!(not(target_os = "linux")) {
            return self.ingest(arguments);
        }
        let mut command = Command::new("/usr/bin/env");
        command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_ingest")]);
        command.args(arguments);
        self.prepared(command)
    }

    fn prepared(&self, mut command: Command) -> Invocation<'_> {
        command
            .current_dir(&self.path)
            .env_clear()
            .env("HOME", self.path.join("home"))
            .env("INTERCOM_ACCESS_TOKEN", TOKEN)
            .stdin(Stdio::null());
        Invocation { project: self, command }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if let Some((sandbox, runtime)) = self.served.take() {
            sandbox.stop();
            // Answers that are held back on script are nobody's concern any more.
            runtime.shutdown_background();
        }
    }
}

/// A command line that has not been started.
pub(crate) struct Invocation<'p> {
    project: &'p Project,
    command: Command,
}

impl<'p> Invocation<'p> {
    /// Sets a variable.
    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.command.env(variable, value);
        self
    }

    /// Takes a variable away.
    pub(crate) fn without(mut self, variable: &str) -> Self {
        self.command.env_remove(variable);
        self
    }

    /// Says where stdout goes instead of into a pipe.
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Finished {
        let output = self.command.stdout(stdout).stderr(Stdio::piped()).output().unwrap();
        Finished::of(self.project, output.status, String::new(), String::from_utf8(output.stderr).unwrap())
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Finished {
        let output = assert_cmd::Command::from_std(self.command).timeout(PATIENCE).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Finished::of(self.project, output.status, text(output.stdout), text(output.stderr))
    }

    /// Starts it and lets it run.
    pub(crate) fn start(mut self) -> Started<'p> {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Pipe::read(child.stdout.take().unwrap());
        let stderr = Pipe::read(child.stderr.take().unwrap());
        Started { project: self.project, child, stdout, stderr }
    }

    /// Starts it with both pipes closed at the other end.
    pub(crate) fn start_unheard(mut self) -> ExitStatus {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        child.wait().unwrap()
    }
}

/// Polls until something holds; panics where it never does.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
