//! Several destinations written as one: what each of them has afterwards, and what happens when one is behind, or
//! fails.

use std::sync::{Arc, Mutex, MutexGuard};

use ingest::destination::{Committed, Destination, RunRecord, Several, TableCommit, Target, TextRow};
use ingest::error::{ErrorKind, Result};
use ingest::ledger::Entry;
use ingest::state::{Refresh, StateChange, Stored, TableState};
use ingest::window::{DateField, Window};
use jiff::Timestamp;

use super::ledger::{beginning, entry, noting};
use crate::support::tables::{InMemory, Subject, gone, nothing, pass, tally, target, upsert};
use crate::support::wrapped::{Faulty, Mishap};

/// One of the destinations, which the test looks into as well.
#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<InMemory>>);

impl Shared {
    fn fresh() -> Self {
        Self(Arc::new(Mutex::new(InMemory::fresh())))
    }

    fn inner(&self) -> MutexGuard<'_, InMemory> {
        self.0.lock().unwrap()
    }

    /// A commit of a run into this one alone.
    fn alone(&self, commit: TableCommit) -> Committed {
        let subject: &mut dyn Subject = &mut *self.inner();
        subject.commit(commit)
    }

    fn ids(&self, target: &Target) -> Vec<String> {
        let subject: &mut dyn Subject = &mut *self.inner();
        subject.see(target, "id")
    }

    fn state(&self, target: &Target) -> Option<Stored> {
        self.inner().destination().load(std::slice::from_ref(target)).unwrap().remove(0)
    }
}

impl Destination for Shared {
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        self.inner().destination().load(targets)
    }

    fn commit(&mut self, commits: &[TableCommit]) -> Result<Vec<Committed>> {
        self.inner().destination().commit(commits)
    }

    fn live_keys(&mut self, target: &Target, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.inner().destination().live_keys(target, each)
    }

    fn entries(&mut self, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()> {
        self.inner().destination().entries(target, each)
    }

    fn record(&mut self, runs: &[RunRecord]) -> Result<()> {
        self.inner().destination().record(runs)
    }
}

/// Two destinations in memory that are to be the same at every moment.
#[derive(Debug)]
pub(super) struct InBoth {
    both: Several,
    members: [Shared; 2],
}

impl Subject for InBoth {
    fn fresh() -> Self {
        let members = [Shared::fresh(), Shared::fresh()];
        Self { both: over(&members), members }
    }

    fn destination(&mut self) -> &mut dyn Destination {
        &mut self.both
    }

    fn rows(&mut self, target: &Target) -> Option<Vec<TextRow>> {
        let [first, second] = self.members.each_ref().map(|member| member.inner().rows(target));
        assert_eq!(first, second);
        first
    }

    fn columns(&mut self, _target: &Target) -> Option<Vec<(String, String)>> {
        None
    }

    fn runs(&mut self) -> Vec<RunRecord> {
        let [first, second] = self.members.each_ref().map(|member| member.inner().runs());
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        first
    }
}

/// Named `a`, `b` and so on.
fn over(members: &[Shared]) -> Several {
    several(members.iter().map(|member| Box::new(member.clone()) as Box<dyn Destination>).collect())
}

fn several(destinations: Vec<Box<dyn Destination>>) -> Several {
    Several::new(["a", "b", "c"].map(str::to_owned).into_iter().zip(destinations).collect())
}

fn complete(number: i64) -> TableState {
    TableState {
        checkpoint: Some(pass(number)),
        refreshed_at: Some(pass(1)),
        ..TableState::new("w", "2.14", "c".into())
    }
}

fn saving(rows: TableCommit, expected: Option<u64>, state: TableState) -> TableCommit {
    TableCommit { state: Some(StateChange { expected, state }), ..rows }
}

fn load(destination: &mut Several, target: &Target) -> Option<Stored> {
    destination.load(std::slice::from_ref(target)).unwrap().remove(0)
}

/// Saves a state with rows, as a run does that has loaded; what was done.
fn save(destination: &mut Several, rows: TableCommit, state: TableState) -> Committed {
    let expected = load(destination, &rows.target).map(|stored| stored.revision);
    destination.commit(&[saving(rows, expected, state)]).unwrap()[0]
}

#[test]
fn the_one_behind_catches_up_and_the_other_keeps_what_it_has() {
    let tags = target("tags");
    let [a, b] = [Shared::fresh(), Shared::fresh()];
    a.alone(saving(upsert(&tags, pass(1), r#"[{"id":"1"},{"id":"2"}]"#), None, complete(1)));
    a.alone(saving(nothing(&tags), Some(1), complete(2)));
    let mut both = over(&[a.clone(), b.clone()]);
    let stored = load(&mut both, &tags).unwrap();
    assert_eq!(stored.state, TableState::new("w", "2.14", "c".into()), "b has nothing");
    let mut revision = stored.revision;
    let mut commit = |ids: &str, state: TableState| {
        let done = both.commit(&[saving(upsert(&tags, pass(3), ids), Some(revision), state)]).unwrap()[0];
        assert_eq!(done.revision, Some(revision + 1));
        revision += 1;
        tally(&done)
    };
    // A load of b is none of a's business, which is complete.
    let refresh = Refresh {
        started_at: pass(3),
        closes_from: pass(3),
        by: DateField::CreatedAt,
        start: None,
        whole: true,
        anew: false,
        remaining: vec![Window { from: Some(7), to: None }],
    };
    let loading = TableState { refresh: Some(refresh), ..stored.state };
    assert_eq!(commit(r#"[{"id":"1"}]"#, loading.clone()), "1 unchanged, 1 live");
    assert_eq!(a.state(&tags).unwrap(), Stored { revision: 2, state: complete(2) });
    assert_eq!(b.state(&tags).unwrap(), Stored { revision: 1, state: loading });
    assert_eq!((a.ids(&tags).len(), b.ids(&tags).len()), (2, 1));
    assert_eq!(commit(r#"[{"id":"2"},{"id":"3"}]"#, complete(3)), "1 new, 1 unchanged, 3 live");
    assert_eq!(a.state(&tags).unwrap(), Stored { revision: 3, state: complete(3) });
    assert_eq!(b.state(&tags).unwrap(), Stored { revision: 2, state: complete(3) });
    assert_eq!(a.ids(&tags), b.ids(&tags));
}

#[test]
fn reading_starts_where_the_oldest_checkpoint_is() {
    let tags = target("tags");
    let members = [4, 2, 3].map(|number| {
        let member = Shared::fresh();
        member.alone(saving(nothing(&tags), None, complete(number)));
        member
    });
    let mut all = over(&members);
    assert_eq!(load(&mut all, &tags).unwrap().state, complete(2));
    save(&mut all, upsert(&tags, pass(5), r#"[{"id":"1"}]"#), complete(5));
    for member in &members {
        assert_eq!(member.state(&tags).unwrap(), Stored { revision: 2, state: complete(5) });
    }
}

#[test]
fn workspaces_are_never_mixed() {
    let tags = target("tags");
    let [a, b] = [Shared::fresh(), Shared::fresh()];
    b.alone(saving(nothing(&tags), None, complete(1)));
    let mut both = over(&[a.clone(), b.clone()]);
    assert_eq!(
        load(&mut both, &tags).unwrap().state.workspace,
        "w",
        "one that is known has to be that of the token"
    );
    a.alone(saving(nothing(&tags), None, TableState { workspace: "v".into(), ..complete(1) }));
    let error = both.load(&[tags]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "table crm.tags holds workspace v in destination a, and workspace w in destination b"
    );
}

/// Two destinations of which the second meets with a mishap at its commit number `at`.
fn with_mishap(at: usize, mishap: Mishap) -> (Several, [Shared; 2]) {
    let members = [Shared::fresh(), Shared::fresh()];
    let faulty = Faulty::new(Box::new(members[1].clone()), at, mishap);
    (several(vec![Box::new(members[0].clone()), Box::new(faulty)]), members)
}

#[test]
fn what_failed_in_one_is_repeated_without_a_conflict_and_counted_once() {
    let (tags, teams) = (target("tags"), target("teams"));
    let (mut both, [a, b]) = with_mishap(0, Mishap::Refused);
    let row = r#"[{"id":"1"}]"#;
    let commits = [
        saving(upsert(&tags, pass(1), row), None, complete(1)),
        saving(upsert(&teams, pass(1), row), None, complete(1)),
    ];
    let error = both.commit(&commits).unwrap_err();
    assert_eq!(error.to_string(), "destination b: the disk is full, on script");
    assert_eq!((a.ids(&tags), a.state(&tags).unwrap().revision), (vec!["1".to_owned()], 1));
    assert_eq!(b.state(&tags), None);
    // As the writer does it: one by one.
    for commit in &commits {
        let done = both.commit(std::slice::from_ref(commit)).unwrap()[0];
        assert_eq!((tally(&done), done.revision), ("1 new, 1 live".into(), Some(1)));
    }
    for (table, expected) in [(&tags, "2 live"), (&teams, "2 live")] {
        assert_eq!((a.ids(table), b.ids(table)), (vec!["1".to_owned()], vec!["1".to_owned()]));
        assert_eq!(a.state(table).unwrap().state, b.state(table).unwrap().state);
        let more = saving(upsert(table, pass(2), r#"[{"id":"2"}]"#), Some(1), complete(2));
        assert_eq!(tally(&both.commit(&[more]).unwrap()[0]), format!("1 new, {expected}"));
    }
    assert_eq!(a.state(&tags).unwrap().state, b.state(&tags).unwrap().state);
}

#[test]
fn a_commit_whose_answer_was_lost_in_one_is_a_conflict_there() {
    let tags = target("tags");
    let (mut both, [a, b]) = with_mishap(0, Mishap::AnswerLost);
    let commit = [saving(upsert(&tags, pass(1), r#"[{"id":"1"}]"#), None, complete(1))];
    assert_eq!(both.commit(&commit).unwrap_err().kind(), ErrorKind::Destination);
    let error = both.commit(&commit).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().starts_with("destination b: table tags"), "{error}");
    // Nothing was lost, and the next run begins where both are.
    assert_eq!((a.ids(&tags), b.ids(&tags)), (vec!["1".to_owned()], vec!["1".to_owned()]));
    assert_eq!(load(&mut both, &tags).unwrap().state, complete(1));
    save(&mut both, upsert(&tags, pass(2), r#"[{"id":"2"}]"#), complete(2));
    assert_eq!((a.ids(&tags).len(), b.ids(&tags).len()), (2, 2));
}

#[test]
fn after_a_run_that_failed_in_one_the_next_reads_what_that_one_lacks() {
    let tags = target("tags");
    let (mut both, [a, b]) = with_mishap(1, Mishap::RefusedForGood);
    save(&mut both, nothing(&tags), complete(1));
    let commit = saving(upsert(&tags, pass(2), r#"[{"id":"1"}]"#), Some(1), complete(2));
    both.commit_and_forget(vec![commit]).unwrap_err();
    assert_eq!((a.state(&tags).unwrap().state, b.state(&tags).unwrap().state), (complete(2), complete(1)));
    assert_eq!(load(&mut over(&[a, b]), &tags).unwrap().state, complete(1));
}

#[test]
fn an_object_is_read_again_unless_all_have_read_the_same() {
    let parts = target("conversation_parts");
    let [a, b] = [Shared::fresh(), Shared::fresh()];
    let [both, one, differs] =
        [("both", 1), ("one", 2), ("differs", 3)].map(|(key, v)| entry(key, v, Some(3), 3));
    for member in [&a, &b] {
        member.alone(beginning(&parts));
    }
    a.alone(noting(nothing(&parts), vec![both.clone(), one, differs.clone()]));
    let earlier = Entry { fetched_at: Timestamp::UNIX_EPOCH, ..both.clone() };
    b.alone(noting(nothing(&parts), vec![earlier.clone(), Entry { total: Some(4), ..differs }]));
    for members in
        [vec![a.clone(), b.clone()], vec![b.clone(), a.clone()], vec![a.clone(), b.clone(), a.clone()]]
    {
        let mut noted = Vec::new();
        over(&members).entries(&parts, &mut |entry| noted.push(entry)).unwrap();
        assert_eq!(noted, std::slice::from_ref(&earlier));
    }
    let mut noted = Vec::new();
    over(&[a, Shared::fresh()]).entries(&parts, &mut |entry| noted.push(entry)).unwrap();
    assert_eq!(noted, []);
}

#[test]
fn a_row_that_any_of_them_has_is_asked_for_and_stamped_where_it_is() {
    let contacts = target("contacts");
    let [a, b] = [Shared::fresh(), Shared::fresh()];
    a.alone(upsert(&contacts, pass(1), r#"[{"id":"1"},{"id":"2"}]"#));
    b.alone(upsert(&contacts, pass(1), r#"[{"id":"2"},{"id":"3"}]"#));
    let mut both = over(&[a.clone(), b.clone()]);
    let mut keys = Vec::new();
    both.live_keys(&contacts, &mut |key| keys.push(key.to_owned())).unwrap();
    keys.sort();
    assert_eq!(keys, ["1", "2", "3"]);
    let done = both.commit(&[gone(&contacts, 2, &["1", "3"])]).unwrap()[0];
    assert_eq!(tally(&done), "1 stamped, 1 live");
    assert_eq!((a.ids(&contacts).len(), b.ids(&contacts).len()), (2, 2));
    let mut keys = Vec::new();
    both.live_keys(&contacts, &mut |key| keys.push(key.to_owned())).unwrap();
    assert_eq!(keys, ["2"]);
}

#[test]
fn each_log_says_what_was_done_there() {
    let tags = target("tags");
    let (mut both, [a, b]) = with_mishap(1, Mishap::Refused);
    a.alone(upsert(&tags, pass(1), r#"[{"id":"1"}]"#));
    let done = both.commit(&[upsert(&tags, pass(2), r#"[{"id":"1"},{"id":"2"}]"#)]).unwrap()[0];
    // This one is carried out in a alone, and the run gives up.
    both.commit(&[upsert(&tags, pass(2), r#"[{"id":"3"}]"#)]).unwrap_err();
    let record = |table: &str, committed| RunRecord {
        run_id: "r".into(),
        schema: "CRM".into(),
        table: table.into(),
        started_at: pass(1),
        finished_at: pass(2),
        outcome: "complete".into(),
        committed,
        requests: 1,
        error: None,
        rejected: Vec::new(),
    };
    both.record(&[record("tags", done), record("teams", Committed::default())]).unwrap();
    let told = |member: &Shared| -> Vec<String> {
        member.inner().runs().iter().map(|run| tally(&run.committed)).collect()
    };
    assert_eq!(told(&a), ["2 new, 1 unchanged, 3 live", ""]);
    assert_eq!(told(&b), ["2 new, 2 live", ""]);
}
