//! Objects that could not be read, and rows that could not be stored: what is kept of them and what is said.

use std::sync::Arc;

use super::family::FamilyRun;
use super::flow::Flow;
use super::pass_start;
use crate::batch::Shape;
use crate::destination::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Ask, Failed};
use crate::state::{Object, TableState};

/// Objects that are named when they could not be read.
const NAMED: usize = 5;

impl FamilyRun {
    /// Asks for the objects that earlier runs could not read. They are not asked for again once they are read, or gone.
    pub(super) async fn ask_again(&mut self) -> Result<()> {
        let mut objects = Vec::new();
        for member in self.members.iter_mut().filter(|member| member.error.is_none()) {
            let stored = member.stored.as_ref().and_then(|stored| stored.unread.as_deref());
            objects = Object::joined(&objects, stored.map_or(&[], Vec::as_slice));
        }
        if objects.is_empty() {
            return Ok(());
        }
        let began = pass_start(&*self.source);
        for member in self.members.iter_mut().filter(|member| member.error.is_none()) {
            let failed: Vec<Object> = member.failed.iter().map(|failed| failed.object.clone()).collect();
            member.next.unread = None;
            keep(&mut member.next, &failed);
        }
        let pass = self.pass(Ask::Again(objects.into()), began).await?;
        self.pump(pass, Flow::default()).await?;
        self.flush(began, Scope::Some, &[], true).await
    }
}

/// Keeps objects in a state, each once.
pub(super) fn keep(state: &mut TableState, objects: &[Object]) {
    if objects.is_empty() {
        return;
    }
    let known = state.unread.as_deref().map_or(&[][..], Vec::as_slice);
    state.unread = Some(Arc::new(Object::joined(known, objects)));
}

/// What is said of objects of `parents` that could not be read, if there are any.
pub(super) fn error_of(failed: &[Failed], parents: &str) -> Option<Error> {
    let mut failed: Vec<(&str, String)> =
        failed.iter().map(|failed| (&*failed.object.key, failed.error.to_string())).collect();
    failed.sort();
    failed.dedup_by(|one, two| one.0 == two.0);
    let (_, first) = failed.first()?;
    let mut named: Vec<&str> = failed.iter().map(|(key, _)| *key).take(NAMED).collect();
    let others = (failed.len() - named.len()).to_string() + " more";
    if failed.len() > named.len() {
        named.push(&others);
    }
    let message = format!(
        "what stands inside {} of {parents} could not be read ({}): {first}",
        failed.len(),
        named.join(", ")
    );
    let hint = "all others are read and stored; the next run asks for these again";
    Some(Error::new(ErrorKind::Api, message).with_hint(hint))
}

/// What is said of rows that could not be stored as they came, if there are any.
pub(super) fn error_of_rejects(shape: &Shape) -> Option<Error> {
    let Shape { keyless, not_text, .. } = shape;
    let first = keyless.kept.first().or(not_text.kept.first())?;
    let message = match (keyless.count, not_text.count) {
        (0, odd) => format!("{odd} rows hold text that is not UTF-8, the first at {}", first.place),
        (keyless, 0) => {
            format!("{keyless} rows have no id and are not in the table, the first at {}", first.place)
        }
        (keyless, odd) => format!(
            "{keyless} rows have no id and are not in the table, {odd} hold text that is not UTF-8, the first at {}",
            first.place
        ),
    };
    let hint =
        "all others are stored; these are kept as they came in the log of runs (_ingest.runs, rejected)";
    Some(Error::new(ErrorKind::Data, message).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(key: &str) -> Failed {
        let object = Object { key: key.into(), version: None, stated: None };
        Failed { object, error: Error::new(ErrorKind::Network, format!("GET /things/{key}: answered 500")) }
    }

    #[test]
    fn some_are_named_and_all_are_counted_once() {
        for (keys, expected) in [
            (
                &["7", "7"][..],
                "what stands inside 1 of things could not be read (7): GET /things/7: answered 500",
            ),
            (
                &["6", "5", "4", "3", "2", "1"],
                "what stands inside 6 of things could not be read (1, 2, 3, 4, 5, 1 more): GET /things/1: answered 500",
            ),
        ] {
            let all: Vec<Failed> = keys.iter().map(|key| failed(key)).collect();
            assert_eq!(error_of(&all, "things").unwrap().to_string(), expected);
        }
        assert!(error_of(&[], "things").is_none());
    }

    #[test]
    fn an_object_is_kept_once_as_it_is_known_last() {
        let mut state = TableState::new("w", "2.14", String::new());
        let object = |version| Object { key: "7".into(), version: Some(version), stated: None };
        keep(&mut state, &[object(1)]);
        keep(&mut state, &[object(2)]);
        assert_eq!(state.unread.as_deref(), Some(&vec![object(2)]));
    }
}
