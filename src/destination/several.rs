//! Several destinations written as one: what is read once lands in each, and each has a state of its own.
//!
//! What the run starts from holds for all of them ([`TableState::of_all`]), so that it reads what any of them lacks;
//! the others merge rows that they have, which changes nothing. What it proves is saved in each, except where one knows
//! more ([`TableState::followed_by`]). So at every moment each of them could go on alone.
//!
//! A commit is carried out in one destination after the other. If one fails, those before it keep what they have, with
//! a state that says so; the same rows may be committed again at any time.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::{Committed, Destination, Identity, RunRecord, TableCommit, Target};
use crate::batch::hash_of_key;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Entry;
use crate::printable;
use crate::state::{StateChange, Stored, TableState, conflict};

/// Destinations that get the same rows.
#[derive(Debug)]
pub struct Several {
    members: Vec<Member>,
    /// The revisions that were told of states that hold for all.
    revisions: HashMap<Identity, u64>,
}

/// One of the destinations.
#[derive(Debug)]
struct Member {
    name: String,
    destination: Box<dyn Destination>,
    tables: HashMap<Identity, Held>,
}

/// What is known of a table in one of them.
#[derive(Debug, Default)]
struct Held {
    /// The revision of its own state.
    revision: Option<u64>,
    /// Its own state, as long as that is complete to a later moment than what holds for all.
    ahead: Option<TableState>,
    /// What was done to it in this run, if anything was.
    done: Option<Committed>,
    /// What was done to it by a commit that then failed in another destination.
    untold: Option<Committed>,
}

impl Several {
    /// Destinations with the names by which errors tell them apart. Each has to be a place of its own.
    pub fn new(destinations: Vec<(String, Box<dyn Destination>)>) -> Self {
        let member = |(name, destination)| Member { name, destination, tables: HashMap::new() };
        Self { members: destinations.into_iter().map(member).collect(), revisions: HashMap::new() }
    }

    /// The state of a table that holds for all, from those of the members in their order.
    fn common(&self, target: &Target, own: &[Option<Stored>]) -> Result<Option<TableState>> {
        let workspace = |own: &Option<Stored>| own.as_ref().map(|stored| stored.state.workspace.clone());
        let known = self.members.iter().zip(own).filter_map(|(member, own)| Some((member, workspace(own)?)));
        let known: Vec<(&Member, String)> = known.filter(|(_, workspace)| !workspace.is_empty()).collect();
        if let Some((first, workspace)) = known.first()
            && let Some((other, differs)) = known.iter().find(|(_, other)| other != workspace)
        {
            let (workspace, differs) = (printable::name(workspace), printable::name(differs));
            let message = format!(
                "table {}.{} holds workspace {workspace} in destination {}, and workspace {differs} in destination {}",
                target.schema, target.table.name, first.name, other.name
            );
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("write to each of them in a run of its own, with the token of its workspace"));
        }
        let states: Vec<Option<&TableState>> =
            own.iter().map(|own| own.as_ref().map(|stored| &stored.state)).collect();
        Ok(TableState::of_all(&states))
    }

    /// Tells whoever asks for it that tables do not hold the same number of rows everywhere.
    fn compare(&self, runs: &[RunRecord]) {
        let complete = runs.iter().filter(|run| run.outcome == "complete");
        let differing = complete.filter_map(|run| {
            let lives: Vec<(&str, u64)> = self
                .members
                .iter()
                .filter_map(|member| Some((&*member.name, member.done(run)?.live)))
                .collect();
            let (_, first) = lives.first()?;
            let differ = lives.iter().any(|(_, live)| live != first);
            let counts: Vec<String> = lives.iter().map(|(name, live)| format!("{live} in {name}")).collect();
            differ.then(|| format!("{}.{} ({})", run.schema, run.table, counts.join(", ")))
        });
        let differing: Vec<String> = differing.collect();
        if !differing.is_empty() {
            tracing::warn!(
                "rows that the source no longer shows are not in every destination: {}",
                differing.join("; ")
            );
        }
    }
}

impl Member {
    /// Says which destination an error is about.
    fn failed(&self, error: Error) -> Error {
        error.within(format!("destination {}", self.name))
    }

    /// What saving a state that holds for all means here.
    fn change(&self, name: &Identity, common: &TableState) -> Option<StateChange> {
        let held = self.tables.get(name);
        let state = match held.and_then(|held| held.ahead.as_ref()) {
            Some(own) => own.followed_by(common)?,
            None => common.clone(),
        };
        Some(StateChange { expected: held.and_then(|held| held.revision), state })
    }

    /// Takes in that a commit was carried out here; what it did, together with what it had done before it failed in
    /// another destination.
    fn note(&mut self, name: &Identity, common: Option<&TableState>, done: Committed) -> Committed {
        let held = self.tables.entry(name.clone()).or_default();
        held.revision = done.revision.or(held.revision);
        held.ahead =
            held.ahead.take().filter(|own| common.is_none_or(|common| common.checkpoint < own.checkpoint));
        let done = match held.untold.take() {
            Some(untold) => repeated(&untold, &done),
            None => done,
        };
        held.untold = Some(done);
        done
    }

    /// Counts what was done by a commit that has landed everywhere.
    fn settle(&mut self, name: &Identity) {
        let held = self.tables.entry(name.clone()).or_default();
        if let Some(done) = held.untold.take() {
            held.done = Some(held.done.map_or(done, |so_far| sum(&so_far, &done)));
        }
    }

    /// What was done to a table of the log of runs, if anything was.
    fn done(&self, run: &RunRecord) -> Option<Committed> {
        let held = self
            .tables
            .iter()
            .find(|((schema, table), _)| *schema == run.schema.to_lowercase() && *table == run.table);
        let (_, held) = held?;
        match (held.done, held.untold) {
            (Some(done), Some(untold)) => Some(sum(&done, &untold)),
            (done, untold) => done.or(untold),
        }
    }
}

impl Destination for Several {
    /// States that hold for all destinations.
    fn load(&mut self, targets: &[Target]) -> Result<Vec<Option<Stored>>> {
        let mut of_members = Vec::with_capacity(self.members.len());
        for member in &mut self.members {
            of_members.push(member.destination.load(targets).map_err(|error| member.failed(error))?);
        }
        let mut of_all = Vec::with_capacity(targets.len());
        for (at, target) in targets.iter().enumerate() {
            let own: Vec<Option<Stored>> = of_members.iter_mut().map(|states| states[at].take()).collect();
            let common = self.common(target, &own)?;
            let revision = own.iter().flatten().map(|stored| stored.revision).max();
            let checkpoint = common.as_ref().and_then(|common| common.checkpoint);
            for (member, own) in self.members.iter_mut().zip(own) {
                let held = member.tables.entry(target.identity()).or_default();
                held.revision = own.as_ref().map(|stored| stored.revision);
                held.ahead = own.map(|stored| stored.state).filter(|own| own.checkpoint > checkpoint);
            }
            match revision {
                Some(revision) => self.revisions.insert(target.identity(), revision),
                None => self.revisions.remove(&target.identity()),
            };
            of_all.push(common.zip(revision).map(|(state, revision)| Stored { revision, state }));
        }
        Ok(of_all)
    }

    fn commit(&mut self, commits: &[TableCommit]) -> Result<Vec<Committed>> {
        self.commit_and_forget(commits.to_vec())
    }

    /// Carries it out in one destination after the other; the last one lets go of the rows. What is returned was done
    /// to the first of them, except for the rows without a stamp: these are as many as the one with the fewest has,
    /// since the source's own count is compared with them.
    fn commit_and_forget(&mut self, mut commits: Vec<TableCommit>) -> Result<Vec<Committed>> {
        let names: Vec<Identity> = commits.iter().map(|commit| commit.target.identity()).collect();
        for (name, commit) in names.iter().zip(&commits) {
            if let Some(change) = &commit.state
                && change.expected != self.revisions.get(name).copied()
            {
                return Err(conflict(commit.target.table.name));
            }
        }
        let changes: Vec<Option<StateChange>> =
            commits.iter_mut().map(|commit| commit.state.take()).collect();
        let common = |at: usize| changes[at].as_ref().map(|change: &StateChange| &change.state);
        let mut all: Vec<Committed> = Vec::new();
        let last = self.members.len().saturating_sub(1);
        for (position, member) in self.members.iter_mut().enumerate() {
            for (at, (name, commit)) in names.iter().zip(&mut commits).enumerate() {
                commit.state = common(at).and_then(|state| member.change(name, state));
            }
            let done = if position == last {
                member.destination.commit_and_forget(std::mem::take(&mut commits))
            } else {
                member.destination.commit(&commits)
            };
            let done = done.map_err(|error| member.failed(error))?;
            let done = names.iter().zip(done).enumerate();
            let done: Vec<Committed> =
                done.map(|(at, (name, done))| member.note(name, common(at), done)).collect();
            if all.is_empty() {
                all = done;
            } else {
                all.iter_mut().zip(done).for_each(|(first, done)| first.live = first.live.min(done.live));
            }
        }
        for ((name, change), done) in names.iter().zip(changes).zip(&mut all) {
            self.members.iter_mut().for_each(|member| member.settle(name));
            done.revision = change.map(|change| change.expected.unwrap_or(0) + 1);
            if let Some(revision) = done.revision {
                self.revisions.insert(name.clone(), revision);
            }
        }
        Ok(all)
    }

    /// Keys that any of the destinations has. A stamp changes nothing where the key is unknown.
    fn live_keys(&mut self, target: &Target, each: &mut dyn FnMut(&str)) -> Result<()> {
        let mut seen = HashSet::new();
        for member in &mut self.members {
            let mut first_time = |key: &str| {
                if seen.insert(hash_of_key(key)) {
                    each(key);
                }
            };
            member.destination.live_keys(target, &mut first_time).map_err(|error| member.failed(error))?;
        }
        Ok(())
    }

    /// What was noted alike in all of the destinations, with the earliest moment at which it was: objects are asked for
    /// again as soon as the rows of that reading are missing somewhere.
    fn entries(&mut self, target: &Target, each: &mut dyn FnMut(Entry)) -> Result<()> {
        let Some((last, others)) = self.members.split_last_mut() else { return Ok(()) };
        let mut common: Option<HashMap<u64, Timestamp>> = None;
        for member in others {
            let mut found = HashMap::new();
            let mut note = |entry: Entry| {
                if let Some(fetched_at) = fetched_everywhere(common.as_ref(), &entry) {
                    found.insert(said(&entry), fetched_at);
                }
            };
            member.destination.entries(target, &mut note).map_err(|error| member.failed(error))?;
            common = Some(found);
        }
        let mut tell = |entry: Entry| {
            if let Some(fetched_at) = fetched_everywhere(common.as_ref(), &entry) {
                each(Entry { fetched_at, ..entry });
            }
        };
        last.destination.entries(target, &mut tell).map_err(|error| last.failed(error))
    }

    fn most_bytes(&self) -> usize {
        self.members.iter().map(|member| member.destination.most_bytes()).min().unwrap_or(usize::MAX)
    }

    /// Logs in each destination what was done there, even if another one cannot be written.
    fn record(&mut self, runs: &[RunRecord]) -> Result<()> {
        self.compare(runs);
        let mut outcome = Ok(());
        for member in &mut self.members {
            let of_member = |run: &RunRecord| {
                let committed = member.done(run).unwrap_or(run.committed);
                RunRecord { committed, ..run.clone() }
            };
            let runs: Vec<RunRecord> = runs.iter().map(of_member).collect();
            let recorded = member.destination.record(&runs).map_err(|error| member.failed(error));
            outcome = outcome.and(recorded);
        }
        outcome
    }

    fn rest(&mut self) {
        self.members.iter_mut().for_each(|member| member.destination.rest());
    }
}

/// Since when an entry is noted alike in the destinations that `common` is about as well; any, if there are none.
fn fetched_everywhere(common: Option<&HashMap<u64, Timestamp>>, entry: &Entry) -> Option<Timestamp> {
    match common {
        Some(common) => common.get(&said(entry)).map(|fetched_at| *fetched_at.min(&entry.fetched_at)),
        None => Some(entry.fetched_at),
    }
}

/// A hash of everything that an entry says about the object.
fn said(entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&entry.key, entry.version, entry.stated, entry.total, entry.shown).hash(&mut hasher);
    hasher.finish()
}

/// What one commit after another did.
fn sum(first: &Committed, then: &Committed) -> Committed {
    Committed {
        new: first.new + then.new,
        changed: first.changed + then.changed,
        unchanged: first.unchanged + then.unchanged,
        removed: first.removed + then.removed,
        stamped: first.stamped + then.stamped,
        live: then.live,
        revision: then.revision.or(first.revision),
    }
}

/// What a commit did that was carried out twice: the second time the rows were there.
fn repeated(first: &Committed, again: &Committed) -> Committed {
    let unchanged = again.unchanged.saturating_sub(first.new + first.changed + first.unchanged);
    sum(first, &Committed { unchanged, ..*again })
}
