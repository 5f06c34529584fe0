//! A process while it runs.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{Finished, Project, until};

/// A process that runs. It is killed if the test forgets it.
pub(crate) struct Started<'p> {
    pub(super) project: &'p Project,
    pub(super) child: Child,
    pub(super) stdout: Pipe,
    pub(super) stderr: Pipe,
}

impl Started<'_> {
    /// Its id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The first line on stdout, as soon as it is there.
    pub(crate) fn first_line(&self) -> String {
        until("a line on stdout", || self.stdout.so_far().contains('\n'));
        self.stdout.so_far().lines().next().unwrap_or_default().to_owned()
    }

    /// Waits until stderr holds these words.
    pub(crate) fn says(&self, words: &str) {
        until(words, || self.stderr.so_far().contains(words));
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.pid());
        assert!(Command::new("/bin/sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Finished {
        until("the end of the process", || self.child.try_wait().unwrap().is_some());
        let status = self.child.wait().unwrap();
        Finished::of(self.project, status, self.stdout.all(), self.stderr.all())
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        // Has no effect on one that has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a process has written, read as it comes so that it never has to wait.
pub(super) struct Pipe {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Pipe {
    pub(super) fn read(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::<Mutex<String>>::default();
        let shared = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = String::new();
            while pipe.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                shared.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn all(&mut self) -> String {
        self.reader.take().unwrap().join().unwrap();
        self.so_far()
    }
}
