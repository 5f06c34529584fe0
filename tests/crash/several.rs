//! Two destinations at once: one that fails or is behind, and runs into both that were cut short.

use std::path::PathBuf;

use ingest::report::Outcome;
use ingest::sandbox::Settings;
use tempfile::TempDir;

use crate::support::world::{DAY, HOUR, MINUTE, World, of};
use crate::support::wrapped::Mishap;

const TABLES: [&str; 5] = ["contacts", "companies", "conversations", "conversation_parts", "tags"];

/// A world with a second folder beside its own.
struct Two {
    world: World,
    other: TempDir,
}

impl Two {
    async fn start(settings: Settings) -> Self {
        Self { world: World::start(settings).await, other: TempDir::new().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.other.path().join("data.duckdb")
    }

    /// Both begin again with nothing.
    fn forget(&mut self) {
        self.world.forget();
        self.other = TempDir::new().unwrap();
    }

    /// What is asked of the world is asked of the other folder from now on, and the other way round.
    fn swap(&mut self) {
        let folder = std::mem::replace(&mut self.other, TempDir::new().unwrap());
        self.other = self.world.go_on_in(folder);
    }

    /// A run into both that has to come out complete.
    async fn load_both(&self, tables: &[&str]) -> ingest::report::RunReport {
        let report = self.world.run().tables(tables).beside(self.file()).go().await;
        for table in &report.tables {
            assert_eq!(table.outcome, Outcome::Complete, "{}: {:?}", table.table, table.error);
        }
        report
    }

    #[track_caller]
    fn assert_truth_in_both(&mut self, tables: &[&str]) {
        for _ in 0..2 {
            self.world.assert_truth(tables);
            self.swap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_fails_the_next_run_brings_both_to_the_truth() {
    let mut two = Two::start(Settings { contacts: 200, ..Settings::default() }).await;
    for mishap in [Mishap::Refused, Mishap::RefusedForGood, Mishap::AnswerLost] {
        for at in [0, 1, 3] {
            two.forget();
            let first = two.world.run().tables(&TABLES).commit_every(60).beside(two.file());
            for table in first.mishap(at, mishap).go().await.tables {
                let error = table.error.map(|error| error.to_string()).unwrap_or_default();
                let is_named = error.is_empty() || error.contains("destination b: ");
                assert!(is_named, "{mishap:?} at {at}: {}: {error}", table.table);
            }
            // The company scroll may have been left open.
            two.world.sandbox.advance(MINUTE);
            two.load_both(&TABLES).await;
            two.assert_truth_in_both(&TABLES);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_is_behind_is_brought_up_together_with_the_other() {
    let mut two = Two::start(Settings { contacts: 300, ..Settings::default() }).await;
    two.load_both(&TABLES).await;
    for _ in 0..2 {
        for _ in 0..2 {
            two.world.sandbox.advance(3 * DAY / 2);
            for table in ["contacts", "companies", "conversations"] {
                two.world.update_some(table, 40);
                two.world.insert(table);
            }
            two.world.load(&TABLES).await;
        }
        two.load_both(&TABLES).await;
        two.assert_truth_in_both(&TABLES);
        two.swap();
    }
    // A file that is gone is loaded whole, and parts are asked for again that the other file has.
    std::fs::remove_file(two.file()).unwrap();
    let report = two.load_both(&TABLES).await;
    assert_eq!(of(&report, "contacts").mode, "first load");
    let done = of(&report, "contacts").committed;
    assert_eq!((done.new, done.changed), (0, 0), "what is reported happened in the first");
    two.assert_truth_in_both(&TABLES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_of_one_goes_on_where_it_was_and_the_other_stays_complete() {
    const PAGES: usize = 10;
    let mut two = Two::start(Settings { contacts: PAGES * 150, ..Settings::default() }).await;
    two.world.load(&["contacts"]).await;
    two.world.sandbox.advance(HOUR);
    two.world.update_some("contacts", 50);
    let complete = two.world.state("contacts").unwrap();
    for _ in 0..2 {
        let run = two.world.run().tables(&["contacts"]).commit_every(1).beside(two.file());
        run.stopped_at_request("/contacts/search", 4).go().await;
        assert_eq!(two.world.state("contacts").unwrap(), complete);
        two.world.sandbox.advance(HOUR);
    }
    two.swap();
    assert_eq!(two.world.state("contacts").unwrap().checkpoint, None);
    let loaded = two.world.rows("contacts").len();
    assert!(
        (4 * 150 + 1..PAGES * 150).contains(&loaded),
        "{loaded}: the second run went on where the first was"
    );
    two.swap();
    let report = two.load_both(&["contacts"]).await;
    assert_eq!(of(&report, "contacts").mode, "resuming a refresh");
    two.assert_truth_in_both(&["contacts"]);
    let checkpoint = two.world.state("contacts").unwrap().checkpoint;
    assert!(checkpoint > complete.checkpoint);
    two.swap();
    assert_eq!(two.world.state("contacts").unwrap().checkpoint, checkpoint);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_of_everything_goes_on_in_both() {
    let mut two = Two::start(Settings { contacts: 1500, ..Settings::default() }).await;
    two.load_both(&["contacts"]).await;
    two.world.sandbox.advance(HOUR);
    two.world.load(&["contacts"]).await;
    let ahead = two.world.state("contacts").unwrap().checkpoint;
    let run = two.world.run().tables(&["contacts"]).commit_every(1).beside(two.file()).full_refresh();
    run.stopped_at_request("/contacts/search", 4).go().await;
    let states = [two.world.state("contacts").unwrap(), {
        two.swap();
        two.world.state("contacts").unwrap()
    }];
    two.swap();
    assert_eq!(states[0].checkpoint, ahead, "each keeps its own checkpoint meanwhile");
    assert!(states[1].checkpoint < ahead && states[1].checkpoint.is_some());
    assert!(states[0].refresh.is_some());
    assert_eq!(states[0].refresh, states[1].refresh);
    let report = two.load_both(&["contacts"]).await;
    assert_eq!(of(&report, "contacts").mode, "resuming a refresh");
    two.assert_truth_in_both(&["contacts"]);
}

/// The rows of the new one are all of this run, and say nothing about those of the other.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_stamped_where_it_was_although_the_first_one_is_new() {
    let mut two = Two::start(Settings { contacts: 300, ..Settings::default() }).await;
    two.load_both(&["contacts"]).await;
    let gone = two.world.ids("contacts").remove(7);
    two.world.sandbox.advance(2 * HOUR);
    two.world.delete("contacts", &gone);
    two.world.forget();
    let again = two.world.run().tables(&["contacts"]).commit_every(60).beside(two.file()).go().await;
    assert_eq!(of(&again, "contacts").outcome, Outcome::Complete);
    assert_eq!(two.world.differences("contacts").stamped, [""; 0]);
    two.swap();
    assert_eq!(two.world.differences("contacts").stamped, [gone.as_str()]);
}
