use jiff::Timestamp;

use super::*;
use crate::window::{DateField, Window};

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).unwrap()
}

fn window(from: Option<i64>, to: Option<i64>) -> Window {
    Window { from, to }
}

/// Complete as of hour 10, read whole at hour 5.
fn complete() -> TableState {
    TableState {
        checkpoint: Some(at(10)),
        refreshed_at: Some(at(5)),
        ..TableState::new("w", "2.14", "c".into())
    }
}

/// A refresh of everything, begun at hour 8, with this left.
fn begun(remaining: &[Window]) -> Refresh {
    Refresh {
        started_at: at(8),
        closes_from: at(8),
        by: DateField::CreatedAt,
        start: None,
        whole: true,
        anew: false,
        remaining: remaining.to_vec(),
    }
}

/// A first load that was cut short.
fn loading(refresh: Refresh) -> TableState {
    TableState { refresh: Some(refresh), ..TableState::new("w", "2.14", "c".into()) }
}

fn met(one: &TableState, two: &TableState) -> TableState {
    let met = TableState::of_all(&[Some(one), Some(two)]).unwrap();
    assert_eq!(TableState::of_all(&[Some(two), Some(one)]).unwrap(), met, "the other way round");
    met
}

/// Nothing proven, but read like [`complete`].
fn nothing() -> TableState {
    TableState::new("w", "2.14", "c".into())
}

#[test]
fn a_table_that_is_new_in_one_place_is_read_whole_for_all() {
    assert_eq!(TableState::of_all(&[None, None]), None);
    assert_eq!(TableState::of_all(&[Some(&complete()), None]), Some(nothing()));
    assert_eq!(TableState::of_all(&[None, Some(&complete()), None]), Some(nothing()));
    assert_eq!(met(&complete(), &complete().without_table()), nothing());
    // Objects that have to be read anew still have to.
    let anew = loading(Refresh { anew: true, ..begun(&[window(None, None)]) });
    let without_version = TableState { api_version: String::new(), ..nothing() };
    assert_eq!(TableState::of_all(&[Some(&anew), None]), Some(without_version.clone()));
    assert_eq!(met(&anew, &nothing()), without_version);
}

#[test]
fn what_is_unread_in_one_place_is_asked_for_again_for_all() {
    let lacking = |keys: &[&str]| {
        let object = |key: &&str| Object { key: (*key).into(), version: Some(1), stated: None };
        let unread = (!keys.is_empty()).then(|| Arc::new(keys.iter().map(object).collect()));
        TableState { unread, ..complete() }
    };
    assert_eq!(met(&lacking(&["b", "a"]), &lacking(&["c", "b"])), lacking(&["a", "b", "c"]));
    assert_eq!(met(&lacking(&["a"]), &lacking(&[])), lacking(&["a"]));
}

#[test]
fn of_each_component_the_weaker_is_left() {
    let base = complete();
    assert_eq!(met(&base, &base), base);
    for (what, other, expected) in [
        ("checkpoint", TableState { checkpoint: Some(at(9)), ..complete() }, None),
        ("a later start", TableState { proven_from: Some(at(1)), ..complete() }, None),
        ("an older refresh", TableState { refreshed_at: Some(at(4)), ..complete() }, None),
        ("never refreshed", TableState { refreshed_at: None, ..complete() }, None),
        ("shortfalls", TableState { shortfalls: 1, ..complete() }, None),
        ("unexplained", TableState { unexplained: 7, ..complete() }, Some(complete())),
        (
            "API version",
            TableState { api_version: "2.15".into(), ..complete() },
            Some(TableState { api_version: String::new(), ..complete() }),
        ),
        (
            "columns",
            TableState { columns: "d".into(), ..complete() },
            Some(TableState { columns: String::new(), ..complete() }),
        ),
        ("workspace", TableState { workspace: String::new(), ..complete() }, Some(complete())),
        ("seen here, unknown there", TableState { sees_hidden: Some(true), ..complete() }, Some(complete())),
        ("hidden from one", TableState { sees_hidden: Some(false), ..complete() }, None),
    ] {
        // Where nothing else is said, all of it is the other's.
        assert_eq!(met(&base, &other), expected.unwrap_or(other), "{what}");
    }
    let [sees, hidden] = [true, false].map(|sees| TableState { sees_hidden: Some(sees), ..complete() });
    assert_eq!(met(&sees, &hidden), hidden);
}

#[test]
fn a_refresh_goes_on_with_what_any_of_them_lacks() {
    let further = begun(&[window(Some(40), Some(50)), window(Some(90), None)]);
    let behind =
        Refresh { closes_from: at(7), ..begun(&[window(Some(20), Some(50)), window(Some(80), None)]) };
    assert_eq!(met(&loading(further.clone()), &loading(behind.clone())), loading(behind.clone()));
    // Begun apart from each other, it counts from the first on.
    let earlier = Refresh { started_at: at(3), closes_from: at(3), ..begun(&[window(None, Some(45))]) };
    let both = Refresh { remaining: vec![window(None, Some(50)), window(Some(90), None)], ..earlier.clone() };
    assert_eq!(met(&loading(further.clone()), &loading(earlier)), loading(both));
    // About other rows, or anew since another moment, it begins again.
    let anew = |hour| Refresh { anew: true, started_at: at(hour), ..further.clone() };
    for (one, two, expected) in [
        (further.clone(), Refresh { start: Some(at(1)), ..behind.clone() }, "2.14"),
        (further.clone(), Refresh { by: DateField::UpdatedAt, ..behind.clone() }, "2.14"),
        (further.clone(), Refresh { whole: false, ..behind }, "2.14"),
        (further.clone(), anew(8), ""),
        (anew(8), anew(9), ""),
    ] {
        let expected = TableState { api_version: expected.into(), ..nothing() };
        assert_eq!(met(&loading(one.clone()), &loading(two.clone())), expected, "{one:?} {two:?}");
    }
    assert_eq!(met(&loading(anew(8)), &loading(anew(8))), loading(anew(8)));
}

#[test]
fn a_complete_table_joins_a_refresh_as_of_its_own_checkpoint() {
    let refresh = begun(&[window(Some(40), None)]);
    for (hour, closes) in [(10, 8), (6, 6)] {
        let complete = TableState { checkpoint: Some(at(hour)), ..complete() };
        let joined = Refresh { started_at: at(5), closes_from: at(closes), ..refresh.clone() };
        assert_eq!(met(&complete, &loading(refresh.clone())), loading(joined), "{hour}");
    }
    // The same refresh, finished in one place.
    let anew = Refresh { anew: true, ..refresh.clone() };
    let finished = TableState { refreshed_at: Some(at(8)), ..complete() };
    assert_eq!(met(&finished, &loading(anew.clone())), loading(anew.clone()));
    for (what, complete, refresh, api_version) in [
        ("not anew", complete(), anew, ""),
        ("not from there on", TableState { proven_from: Some(at(1)), ..complete() }, refresh.clone(), "2.14"),
        ("never read whole", TableState { refreshed_at: None, ..complete() }, refresh, "2.14"),
    ] {
        let expected = TableState { api_version: api_version.into(), ..nothing() };
        assert_eq!(met(&complete, &loading(refresh)), expected, "{what}");
    }
}

/// States of every kind, to be tried against each other.
fn states() -> Vec<TableState> {
    let refreshes = [
        begun(&[window(None, None)]),
        begun(&[window(Some(40), Some(50)), window(Some(90), None)]),
        Refresh { closes_from: at(6), ..begun(&[]) },
        Refresh { anew: true, ..begun(&[window(Some(7), None)]) },
        Refresh { start: Some(at(1)), by: DateField::UpdatedAt, ..begun(&[window(Some(3600), None)]) },
        Refresh { start: Some(at(1)), whole: false, ..begun(&[window(Some(3600), Some(7200))]) },
    ];
    let mut states = vec![nothing()];
    for checkpoint in [None, Some(at(4)), Some(at(10))] {
        for refresh in refreshes.iter().cloned().map(Some).chain([None]) {
            for proven_from in [None, Some(at(2))] {
                for refreshed_at in [Some(at(3)), Some(at(8))] {
                    states.push(TableState {
                        checkpoint,
                        proven_from,
                        refreshed_at,
                        refresh: refresh.clone(),
                        ..nothing()
                    });
                }
            }
        }
    }
    states
}

/// Fails if `met` says anything that `state` does not.
fn assert_true_of(met: &TableState, state: &TableState) {
    let seen = format!("{met:#?}\nof\n{state:#?}");
    assert!(met.refreshed_at <= state.refreshed_at, "{seen}");
    if met.checkpoint.is_some() {
        assert!(met.checkpoint <= state.checkpoint && met.proven_from >= state.proven_from, "{seen}");
        assert!(met.refresh.is_some() || state.refresh.is_none(), "what was to be read is forgotten: {seen}");
    }
    let (Some(joint), Some(own)) = (&met.refresh, &state.refresh) else {
        let Some(joint) = &met.refresh else { return };
        // Whoever is in the middle of nothing has to be complete, as of where the refresh closes.
        assert!(Some(joint.closes_from) <= state.checkpoint, "{seen}");
        assert!(Some(joint.started_at) <= state.refreshed_at, "{seen}");
        assert!(state.proven_from.is_none_or(|proven| joint.start.is_some_and(|s| s >= proven)), "{seen}");
        return;
    };
    assert!(joint.closes_from <= own.closes_from && joint.started_at <= own.started_at, "{seen}");
    assert_eq!((joint.by, joint.start, joint.anew), (own.by, own.start, own.anew), "{seen}");
    for left in &own.remaining {
        let unread = joint.remaining.iter().fold(vec![*left], |unread, window| {
            unread.iter().flat_map(|left| left.without(*window)).collect()
        });
        assert_eq!(unread, [], "{seen}");
    }
}

#[test]
fn what_holds_for_all_holds_for_each() {
    let states = states();
    for one in &states {
        assert_eq!(met(one, one), *one);
        for two in &states {
            let both = met(one, two);
            for state in [one, two] {
                assert_true_of(&both, state);
            }
            let three = TableState::of_all(&[Some(one), Some(two), Some(&states[20])]).unwrap();
            for state in [one, two, &states[20]] {
                assert_true_of(&three, state);
            }
        }
    }
}

#[test]
fn whoever_is_ahead_keeps_what_it_has_until_the_others_have_caught_up() {
    let own = TableState { proven_from: Some(at(1)), ..complete() };
    let later = TableState { checkpoint: Some(at(12)), refreshed_at: Some(at(11)), ..nothing() };
    assert_eq!(own.followed_by(&later), Some(later));
    let behind = TableState { checkpoint: Some(at(9)), ..complete() };
    assert_eq!(own.followed_by(&behind), None);
    // A first load of the others is nothing that it needs.
    let load = Refresh { start: Some(at(1)), ..begun(&[window(Some(3600), None)]) };
    let load = loading(load);
    assert_eq!(own.followed_by(&load), None);
    // It takes part in what it needs as well, and stays as complete as it was.
    let anew = |state: &TableState| {
        let refresh = state.refresh.clone().map(|refresh| Refresh { anew: true, ..refresh });
        TableState { refresh, ..state.clone() }
    };
    for common in [
        TableState { api_version: "2.15".into(), ..anew(&load) },
        TableState { columns: "d".into(), ..load.clone() },
        TableState { sees_hidden: Some(true), ..load.clone() },
        anew(&load),
        loading(begun(&[window(None, None)])),
    ] {
        let both = TableState { checkpoint: Some(at(10)), proven_from: Some(at(1)), ..common.clone() };
        assert_eq!(own.followed_by(&common), Some(both), "{common:?}");
    }
}
