//! One transaction: rows, stamps, entries and states of all tables in it.

use std::collections::{BTreeMap, HashSet};

use ::duckdb::Connection;
use arrow::array::RecordBatch;

use super::super::{Committed, Identity, Reduced, Scope, TableCommit, Target};
use super::connect::{Options, failed, keeping_little, shrink, tidy_up};
use super::feed::{Feed, PORTION, PORTION_BYTES};
use super::merge::{self, Merged, Rows};
use super::{in_transaction, parents, read_state, sql, stage, views};
use crate::error::{Error, ErrorKind, Result};
use crate::state::{StateChange, Stored, conflict};

/// A commit with so many rows is part of a load, and more are likely to follow.
pub(super) const LARGE: usize = 10_000;

/// What is known of a file that is open.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Tables that are there with all their columns.
    tables: HashSet<Identity>,
    /// Tables whose views are as declared.
    views: HashSet<Identity>,
    /// Whether our own tables are there.
    pub(super) own: bool,
    /// Whether DuckDB is set up for large commits.
    is_large: Option<bool>,
}

/// Publishes commits, whose rows are in `batches`, and brings the views up to date; what was done, and what is to
/// be said about views.
pub(super) fn publish(
    connection: &Connection,
    options: &Options,
    commits: &[TableCommit],
    batches: Vec<Vec<RecordBatch>>,
    stood: &HashSet<Identity>,
    settled: &mut Settled,
) -> Result<(Vec<Committed>, Vec<String>)> {
    let rows: usize = batches.iter().flatten().map(RecordBatch::num_rows).sum();
    if settled.is_large != Some(rows >= LARGE) {
        tidy_up(connection, rows < LARGE).map_err(|e| failed("prepare", &e))?;
        settled.is_large = Some(rows >= LARGE);
    }
    refuse_views(connection, commits, &settled.tables)?;
    let done = in_transaction(connection, || {
        if !settled.own {
            sql::prepare_own_tables(connection).map_err(|e| failed("prepare", &e))?;
        }
        let mut apply_one = |(commit, batches)| {
            prepare(connection, commit, stood, &mut settled.tables)?;
            apply((connection, options), commit, batches, commits)
        };
        commits.iter().zip(batches).map(&mut apply_one).collect::<Result<Vec<_>>>()
    })?;
    settled.own = true;
    // COMMIT after an aborted transaction answers Ok with nothing saved; only what is read back counts.
    for (commit, done) in commits.iter().zip(&done) {
        let stored = read_state(connection, &commit.target)?.map(|stored| stored.revision);
        if done.revision.is_some() && stored != done.revision {
            let message = format!("table {}: the commit was not saved", commit.target.table.name);
            return Err(Error::new(ErrorKind::Destination, message));
        }
    }
    if rows >= LARGE {
        shrink(connection, options).map_err(|e| failed("free memory", &e))?;
    }
    let notes = refresh_views(connection, commits, &done, &mut settled.views);
    Ok((done, notes))
}

/// Brings the views of custom attributes up to date where a commit changed what they show, or ended a pass: a
/// view may be missing for other reasons. In a transaction of its own, after the rows are safe: no view is worth
/// a row.
fn refresh_views(
    connection: &Connection,
    commits: &[TableCommit],
    done: &[Committed],
    settled: &mut HashSet<Identity>,
) -> Vec<String> {
    let mut schemas: BTreeMap<&str, bool> = BTreeMap::new();
    for (commit, done) in commits.iter().zip(done) {
        let (schema, table) = (&*commit.target.schema, commit.target.table.name);
        let has_changed = done.new + done.changed + done.removed > 0;
        // A view of a table follows from what is declared elsewhere, and from the table's being there.
        let is_declared_anew = has_changed && views::depends_on_rows_of(table);
        let is_open = views::concerns(table) && !settled.contains(&commit.target.identity());
        let is_due = is_declared_anew || (is_open && (has_changed || done.revision.is_some()));
        if is_due {
            *schemas.entry(schema).or_default() |= has_changed;
            settled.insert(commit.target.identity());
        }
    }
    let refresh = |(schema, has_changed)| {
        let refreshed = in_transaction(connection, || {
            views::refresh(connection, schema, has_changed)
                .map_err(|e| failed("make the views of custom attributes", &e))
        });
        refreshed.unwrap_or_else(|error| vec![error.to_string()])
    };
    schemas.into_iter().flat_map(refresh).collect()
}

/// Nothing is written where a view stands in the place of a table.
fn refuse_views(connection: &Connection, commits: &[TableCommit], settled: &HashSet<Identity>) -> Result<()> {
    for target in commits.iter().map(|commit| &commit.target) {
        let (schema, table) = (&target.schema, target.table.name);
        let context = |e| failed("read", &e).within(format!("table {table}"));
        if !settled.contains(&target.identity())
            && !sql::has_table(connection, schema, table).map_err(context)?
            && sql::is_view(connection, target).map_err(context)?
        {
            let message = format!("table {table}: a view of that name is in the schema {schema}");
            return Err(Error::new(ErrorKind::Destination, message)
                .with_hint("rename the view, or write to another schema with --schema"));
        }
    }
    Ok(())
}

/// Makes sure that the table of a commit is there with all its columns.
fn prepare(
    connection: &Connection,
    commit: &TableCommit,
    stood: &HashSet<Identity>,
    settled: &mut HashSet<Identity>,
) -> Result<()> {
    let target = &commit.target;
    let identity = target.identity();
    if settled.contains(&identity) {
        return Ok(());
    }
    let context = |e| failed("read", &e).within(format!("table {}", target.table.name));
    if !sql::is_as_declared(connection, target).map_err(context)? {
        prepare_table(connection, target, stood.contains(&identity))?;
    }
    settled.insert(identity);
    Ok(())
}

fn apply(
    (connection, options): (&Connection, &Options),
    commit: &TableCommit,
    batches: Vec<RecordBatch>,
    all: &[TableCommit],
) -> Result<Committed> {
    let target = &commit.target;
    let context =
        |what: &'static str| move |e| failed(what, &e).within(format!("table {}", target.table.name));
    let mut done = Committed::default();
    if commit.begins() {
        parents::forget_entries(connection, target).map_err(context("correct the ledger"))?;
    }
    let rows = commit
        .reduced(batches)
        .map_err(|e| Error::new(ErrorKind::Destination, "batch is not readable").with_source(e))?;
    write_rows((connection, options), commit, all, rows, &mut done).map_err(context("write rows"))?;
    if let Scope::Parents(keys) = &commit.scope {
        stage::keys(connection, keys).map_err(context("stage keys"))?;
        done.removed += parents::remove_others(connection, target).map_err(context("remove rows"))?;
    }
    if !commit.stamps.is_empty() {
        stage::stamps(connection, &commit.stamps).map_err(context("stage stamps"))?;
        if target.table.has_stamps() {
            done.stamped = parents::stamp_staged(connection, target).map_err(context("stamp rows"))?;
            parents::unsettle(connection, target).map_err(context("correct the ledger"))?;
        } else {
            done.removed +=
                parents::remove_with_parents(connection, target).map_err(context("remove rows"))?;
        }
    }
    if !commit.entries.is_empty() {
        stage::entries(connection, &commit.entries).map_err(context("stage entries"))?;
        parents::unstamp_found(connection, target).map_err(context("take stamps off"))?;
        parents::save_entries(connection, target).map_err(context("save the ledger"))?;
        parents::fill_from_entries(connection, target).map_err(context("note what is missing"))?;
    }
    stage::clear(connection).map_err(context("clear the stage"))?;
    done.live = sql::count_live(connection, target).map_err(context("count rows"))?;
    if let Some(change) = &commit.state {
        done.revision = Some(save_state(connection, target, change)?);
    }
    Ok(done)
}

/// Creates the table, or adds the columns it lacks. What was noted of the parents of its rows, and of a table that
/// was dropped what its state says, was true of other rows than those that it will have.
fn prepare_table(connection: &Connection, target: &Target, has_stood: bool) -> Result<()> {
    let context =
        |what: &'static str| move |e| failed(what, &e).within(format!("table {}", target.table.name));
    let stood = sql::has_table(connection, &target.schema, target.table.name).map_err(context("read"))?;
    if has_stood && !stood {
        let message = format!("table {}: somebody dropped it while this run went on", target.table.name);
        return Err(Error::new(ErrorKind::Conflict, message).with_hint("run again; it is loaded anew"));
    }
    sql::prepare_table(connection, target).map_err(context("create the table or its columns"))?;
    parents::forget_entries(connection, target).map_err(context("correct the ledger"))?;
    if !stood && let Some(Stored { revision, state }) = read_state(connection, target)? {
        let state = state.without_table();
        sql::write_state(connection, target, revision, &state.to_json()?, state.checkpoint)
            .map_err(context("correct the state"))?;
    }
    Ok(())
}

/// Writes the rows of a commit, one per key, and removes those that they take the place of.
fn write_rows(
    (connection, options): (&Connection, &Options),
    commit: &TableCommit,
    all: &[TableCommit],
    rows: Reduced,
    done: &mut Committed,
) -> ::duckdb::Result<()> {
    let target = &commit.target;
    let Reduced { batches, parents } = rows;
    if !parents.is_empty() {
        stage::rows(connection, target, batches)?;
        stage::parents(connection, &parents)?;
        if commit.comes_with_its_parents(all) {
            parents::leave_out_outdated(connection, target)?;
        }
        done.removed = parents::remove_absent(connection, target)?;
        let staged = Rows::Staged(sql::count_staged(connection)?);
        let is_any_known = merge::is_any_known(connection, target, &staged)?;
        return merge_rows(connection, commit, (&staged, is_any_known), done);
    }
    let rows = Rows::Fed(Feed::of(target.table, batches));
    if commit.scope == Scope::All {
        done.removed = merge::remove_all_but(connection, target, &rows)?;
    }
    let is_known = || merge::is_any_known(connection, target, &rows);
    // What other tables have in the transaction would only go to the disk for it.
    let is_alone = all.len() == 1;
    let is_any_known = if is_alone && rows.count() >= LARGE as u64 {
        keeping_little(connection, options, is_known)?
    } else {
        is_known()?
    };
    match rows {
        // Those that are not known are inserted at once; DuckDB stores large portions best. Comparing the others
        // takes memory, and so is done by portions.
        Rows::Fed(feed) if is_any_known && (feed.rows() > PORTION as u64 || feed.bytes() > PORTION_BYTES) => {
            let known = merge::known(connection, target, &feed)?;
            let (known, new) = feed.parted(&known);
            merge_rows(connection, commit, (&Rows::Fed(new), false), done)?;
            for portion in known.into_portions() {
                merge_rows(connection, commit, (&Rows::Fed(portion), true), done)?;
            }
            Ok(())
        }
        rows => merge_rows(connection, commit, (&rows, is_any_known), done),
    }
}

fn merge_rows(
    connection: &Connection,
    commit: &TableCommit,
    (rows, is_any_known): (&Rows, bool),
    done: &mut Committed,
) -> ::duckdb::Result<()> {
    if rows.count() == 0 {
        return Ok(());
    }
    let target = &commit.target;
    let Merged { new, changed, unchanged, removed } = if is_any_known {
        merge::merge(connection, target, rows, commit.supersedes_before)?
    } else {
        merge::insert(connection, target, rows)?
    };
    done.new += new;
    done.changed += changed;
    done.unchanged += unchanged;
    done.removed += removed;
    if new > 0 {
        parents::fill(connection, target, rows)?;
    }
    Ok(())
}

/// Compare and swap: the revision that was read at the start must still be there.
fn save_state(connection: &Connection, target: &Target, change: &StateChange) -> Result<u64> {
    let stored = read_state(connection, target)?.map(|stored| stored.revision);
    if stored != change.expected {
        return Err(conflict(target.table.name));
    }
    let revision = stored.unwrap_or(0) + 1;
    sql::write_state(connection, target, revision, &change.state.to_json()?, change.state.checkpoint)
        .map_err(|e| failed("save the state", &e))?;
    Ok(revision)
}
