//! The log of runs.

use ingest::batch::Reject;
use ingest::destination::{Committed, RunRecord};
use jiff::Timestamp;

use crate::support::tables::{Subject, nothing, target};

pub(super) fn the_log_of_runs_keeps_everything_in_order(subject: &mut dyn Subject) {
    let moment = |micros| Timestamp::from_microsecond(micros).unwrap();
    let record = |number: i64, table: &str, error: Option<&str>| RunRecord {
        run_id: format!("run {number}"),
        schema: "it's".into(),
        table: table.into(),
        started_at: moment(1_780_000_000_000_000 + number),
        finished_at: moment(1_799_999_999_999_999 - number),
        outcome: if error.is_some() { "failed" } else { "complete" }.into(),
        committed: Committed {
            new: 1,
            changed: 2,
            unchanged: 3,
            removed: 4,
            stamped: 5,
            live: 6,
            revision: None,
        },
        requests: 7,
        error: error.map(str::to_owned),
        rejected: Vec::new(),
    };
    let first = [record(1, "tags", None), record(1, "contacts", Some("no \"answer\""))];
    let reject =
        Reject { place: "data[7]".into(), reason: "no id".into(), row: r#"{"id":null,"x":"'"}"#.into() };
    let second = [RunRecord { rejected: vec![reject], ..record(0, "tags", None) }];
    subject.destination().record(&first).unwrap();
    subject.destination().record(&[]).unwrap();
    subject.destination().record(&second).unwrap();
    subject.commit(nothing(&target("tags")));
    let expected: Vec<_> = first.iter().chain(&second).map(|record| format!("{record:?}")).collect();
    let found: Vec<_> = subject.runs().iter().map(|record| format!("{record:?}")).collect();
    assert_eq!(found, expected);
}
