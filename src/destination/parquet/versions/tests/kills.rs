//! Killed at every change that it makes to the disk, and again while that is made up for.

use super::*;

/// At any moment a reader finds a table as it was or as it is to be; nothing only where it may be missing.
fn check_readable(lake: &Lake, way: Exchange, tables: &[&str], before: u32) {
    for table in tables {
        let found = lake.files(table);
        let may_miss = before == 0 || way == Exchange::TwoRenames;
        let versions = [expected(before), expected(before + 1)];
        assert!(versions.contains(&found) || (may_miss && !lake.table(table).exists()), "{table}: {found:?}");
    }
}

/// After recovery all tables are as they were, or all are as they are to be. Says which.
fn check_recovered(lake: &Lake, tables: &[&str], before: u32, now: i64) -> bool {
    let found: BTreeSet<Vec<String>> =
        tables.iter().map(|table| lake.files(table).into_keys().collect()).collect();
    let keys = |version| -> BTreeSet<Vec<String>> { [expected(version).into_keys().collect()].into() };
    let is_new = found == keys(before + 1);
    let is_old = if before == 0 { found == [vec![]].into() } else { found == keys(before) };
    assert!(is_new || is_old, "{found:?}");
    assert!(lake.left("drafts").is_empty(), "{:?}", lake.left("drafts"));
    assert!(lake.left("").iter().all(|name| name == "old"), "{:?}", lake.left(""));
    let replaced_before = if now - NOW < replaced::STAY { before.saturating_sub(1) } else { 0 };
    let replaced = replaced_before + u32::from(is_new && before > 0);
    assert_eq!(lake.left("old").len(), replaced as usize * tables.len(), "readers may still list them");
    for version in lake.left("old") {
        assert_eq!(files(&lake.area().join("old").join(version)).len(), 3, "replaced versions are whole");
    }
    is_new
}

/// Kills a run after each of its changes, the recovery after each of its own, and recovers once more.
fn kill_everywhere(way: Exchange, tables: &[&str], before: u32, now: i64) {
    let (mut forgotten, mut finished) = (0, 0);
    for kill in 0.. {
        for second_kill in 0.. {
            let lake = lake_at(before, way, tables);
            let is_complete = run(&lake, way, tables, before + 1, now, kill);
            check_readable(&lake, way, tables, before);
            let is_recovered = recover(&lake, way, now, second_kill);
            check_readable(&lake, way, tables, before);
            assert!(recover(&lake, way, now, usize::MAX));
            let is_new = check_recovered(&lake, tables, before, now);
            if is_complete {
                assert!(is_new && forgotten > 0 && (finished > 0 || tables.len() == 1));
                return;
            }
            if is_recovered {
                *(if is_new { &mut finished } else { &mut forgotten }) += 1;
                let next = before + u32::from(is_new) + 1;
                assert!(run(&lake, way, tables, next, now, usize::MAX), "work goes on");
                assert!(tables.iter().all(|table| lake.files(table) == expected(next)));
                break;
            }
        }
    }
}

#[test]
fn a_kill_leaves_one_table_as_it_was_or_as_it_is_to_be() {
    for way in WAYS {
        for before in [0, 1, 2] {
            kill_everywhere(way, &TABLES[..1], before, NOW);
        }
    }
}

#[test]
fn a_kill_leaves_three_tables_as_they_were_or_as_they_are_to_be() {
    for way in WAYS {
        for before in [0, 1] {
            kill_everywhere(way, &TABLES, before, NOW);
        }
    }
}

#[test]
fn a_kill_while_replaced_versions_go_does_no_harm() {
    for way in WAYS {
        kill_everywhere(way, &TABLES[..1], 2, NOW + replaced::STAY);
    }
}

/// Fails once at every change in turn: then nothing was decided, or it is finished by the next run.
#[test]
fn a_failure_is_taken_back_or_finished_later() {
    for (way, tables) in WAYS.into_iter().flat_map(|way| [(way, &TABLES[..1]), (way, &TABLES[..])]) {
        let (mut taken_back, mut finished) = (0, 0);
        for changes in 0.. {
            let lake = lake_at(1, way, tables);
            let fuse = Fuse::failing_after(changes);
            let opened = Versions::open_with(&lake.path(), Disk { fuse }, way, at(NOW));
            let Ok(mut versions) = opened else { continue };
            let published = publish(&mut versions, tables, 2, NOW);
            let is_over = !versions.place.disk.fuse.is_blown.load(Ordering::SeqCst);
            match published {
                Ok(()) => {}
                Err(error) if error.to_string().starts_with("published in part: ") => {
                    let error = versions.draft("shop", "companies").unwrap_err();
                    assert!(error.to_string().ends_with("was published in part"), "{error}");
                    assert!(error.hint().is_some());
                    lake.open(way);
                    finished += 1;
                }
                Err(_) => {
                    assert!(!lake.area().join("journal.json").exists());
                    assert!(tables.iter().all(|table| lake.files(table) == expected(1)));
                    publish(&mut versions, tables, 2, NOW).unwrap();
                    taken_back += 1;
                }
            }
            assert!(tables.iter().all(|table| lake.files(table) == expected(2)));
            assert!(!lake.area().join("journal.json").exists());
            if is_over {
                break;
            }
        }
        assert!(taken_back > 0 && finished > 0, "{way:?}: {taken_back}, {finished}");
    }
}
