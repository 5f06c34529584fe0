//! Groups that cannot be read while others can: what becomes of their table. Pure.

use super::sweep::AT_ONCE;
use crate::error::{Error, ErrorKind, Result};
use crate::printable;

/// Ids that are told at most, and characters of each.
const IDS: usize = 5;
const LONGEST: usize = 40;

/// How the groups of a sweep fared so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    read: usize,
    /// How many failed since the last that was read.
    in_a_row: usize,
    failed: Vec<(String, Error)>,
}

impl Tally {
    /// One more was read.
    pub(super) fn note_read(&mut self) {
        self.read += 1;
        self.in_a_row = 0;
    }

    /// One more could not be read. An error if that is nothing about the group: so many without an answer that there will
    /// be none for the others, or nothing but missing permissions.
    pub(super) fn note_failed(&mut self, id: &str, error: Error) -> Result<()> {
        self.in_a_row += 1;
        let is_everywhere = match error.kind() {
            ErrorKind::Network => self.in_a_row >= AT_ONCE,
            ErrorKind::Permission => self.read == 0 && self.failed.len() + 1 >= AT_ONCE,
            _ => false,
        };
        if is_everywhere {
            return Err(error);
        }
        self.failed.push((id.to_owned(), error));
        Ok(())
    }

    /// Why a table lacks the rows of some of its groups, which are called `name` and are so many, if it does. An error if
    /// it lacks those of all.
    pub(super) fn verdict(self, name: &str, of: usize) -> Result<Option<Error>> {
        let is_permission = |error: &Error| error.kind() == ErrorKind::Permission;
        let mut errors = self.failed.iter().map(|(_, error)| error);
        let telling = errors.clone().find(|error| !is_permission(error)).or(errors.next());
        let Some(error) = telling.cloned() else { return Ok(None) };
        if self.read == 0 {
            return Err(error);
        }
        // That some are forbidden is not the permission that the table needs.
        let kind = if is_permission(&error) { ErrorKind::Api } else { error.kind() };
        let ids: Vec<String> =
            self.failed.iter().take(IDS).map(|(id, _)| printable::cleaned(id, LONGEST)).collect();
        let more = if self.failed.len() > IDS { ", ..." } else { "" };
        let message = format!(
            "{} of {of} {name} could not be read (id {}{more}): {error}",
            self.failed.len(),
            ids.join(", ")
        );
        Ok(Some(Error::new(kind, message).with_hint(
            "what is stored of them stays, and the others are read; they are asked for again in every run",
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of groups that fare so, in this order: `Ok` or the kind of their error.
    fn verdict(fared: &[Option<ErrorKind>]) -> Result<Option<Error>> {
        let mut tally = Tally::default();
        for (at, failure) in fared.iter().enumerate() {
            match failure {
                None => tally.note_read(),
                Some(kind) => tally.note_failed(&at.to_string(), Error::new(*kind, format!("{kind:?}")))?,
            }
        }
        tally.verdict("tags", fared.len())
    }

    #[test]
    fn some_groups_make_a_table_incomplete_and_all_of_them_fail_it() {
        use ErrorKind::{Api, Data, Network, Permission};
        let many = |kind| vec![Some(kind); AT_ONCE];
        for (fared, expected) in [
            (vec![], Ok(None)),
            (vec![None, None], Ok(None)),
            (vec![None, Some(Data), None], Ok(Some(Data))),
            (vec![None, Some(Permission)], Ok(Some(Api))),
            (vec![Some(Permission), None], Ok(Some(Api))),
            (vec![Some(Permission), Some(Permission)], Err(Permission)),
            (vec![Some(Permission), Some(Data)], Err(Data)),
            ([many(Permission), vec![None]].concat(), Err(Permission)),
            ([vec![None], many(Permission)].concat(), Ok(Some(Api))),
            ([many(Api), vec![None]].concat(), Ok(Some(Api))),
            ([vec![None], many(Network)].concat(), Err(Network)),
            (
                [vec![None], many(Network)[1..].to_vec(), vec![None, Some(Network)]].concat(),
                Ok(Some(Network)),
            ),
        ] {
            let found = verdict(&fared).map(|error| error.map(|error| error.kind()));
            assert_eq!(found.map_err(|error| error.kind()), expected, "{fared:?}");
        }
    }

    #[test]
    fn the_groups_are_named() {
        let mut tally = Tally::default();
        tally.note_read();
        for at in 0..7 {
            let error = Error::new(ErrorKind::Api, "POST /contacts/search: answered 400");
            tally.note_failed(&format!("{at}\u{1b}[31m{}", "x".repeat(50)), error).unwrap();
        }
        let error = tally.verdict("tags", 8).unwrap().unwrap().to_string();
        assert!(error.starts_with("7 of 8 tags could not be read (id 0[31mxxx"), "{error}");
        assert!(error.ends_with("x…, ...): POST /contacts/search: answered 400"), "{error}");
        assert!(!error.contains('\u{1b}') && error.len() < 350, "{error}");
    }
}
