//! Misbehaviour on script.

use std::time::Duration;

/// Something that goes wrong with requests that come. Faults are consumed in the order they were added: the first
/// one that matches a request and is not used up decides about it, whether it lets it pass or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Beginning of the path and query of the requests it is about; empty for all.
    pub matching: String,
    /// Matching requests that pass unharmed first.
    pub after: u32,
    /// Requests that are hit then.
    pub times: u32,
    /// What happens to them.
    pub what: FaultKind,
}

/// What goes wrong. Requests refused before (token, rate limit, version, permission) meet no fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// An error answer; the request is not carried out.
    Status {
        /// The HTTP status.
        code: u16,
        /// The code inside the error body; empty for a body without one.
        error_code: String,
        /// Seconds in a `Retry-After` header.
        retry_after: Option<u64>,
        /// Whether the rate headers are there; on a 429 they say that nothing remains.
        headers: bool,
    },
    /// The connection is reset; the request is not carried out.
    ResetBeforeAnswer,
    /// The request is carried out, and its answer comes only after this much real time.
    Stall(Duration),
    /// The request is carried out, and the connection closes half way through its answer.
    TruncatedBody,
    /// The request is carried out, and the answer is 200 with an HTML page.
    NotJson,
    /// The request is carried out, and the answer is 200 without a body.
    EmptyBody,
    /// The next cursor is the one that was asked for. Only hits searches that continue.
    RepeatCursor,
    /// The next cursor is the one the previous request asked for, so that with enough `times` pages go A, B, A, B.
    /// Only hits searches that continue, from the second one on.
    AlternateCursor,
    /// A page without the member that holds its records. Only harms answers that have one.
    MissingRecords,
    /// A page whose first record is a string. Only harms answers that have records.
    BadRow,
    /// The request is carried out, and its page shows no records and is the last one by the way its endpoint says so;
    /// every other member is as it would have been, `total_count` and `scroll_param` too. The company scroll closes
    /// as at its end. Only harms answers that have records.
    EmptyPage,
    /// The same with the first so many records of the page; the company scroll closes only if that is none. A list
    /// that comes whole also states all its records in a `total_count`, unless it has no envelope.
    ShortPage(usize),
    /// The request is carried out, and the answer is `[]`. Only harms answers that have records.
    BareEmpty,
    /// A page of the company scroll is consumed and its answer lost to a reset: the next request gets the page
    /// after it. Only hits the scroll.
    LostScrollAnswer,
}

/// What a fault needs to know of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) path_and_query: &'a str,
    /// Cursor of a search that continues.
    pub(crate) cursor: Option<&'a str>,
}

/// A fault that hits, with the next cursor it forces upon a search.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) what: FaultKind,
    pub(crate) next: Option<String>,
}

/// The script.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Armed>);

#[derive(Debug)]
struct Armed {
    fault: Fault,
    last_cursor: Option<String>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(Armed { fault, last_cursor: None });
    }

    /// What happens to the request, if anything.
    pub(crate) fn hit(&mut self, target: Target<'_>) -> Option<Hit> {
        self.0.retain(|armed| armed.fault.times > 0);
        let armed = self.0.iter_mut().find(|armed| armed.concerns(target))?;
        let cursor = target.cursor.map(str::to_owned);
        let next = match armed.fault.what {
            FaultKind::AlternateCursor => std::mem::replace(&mut armed.last_cursor, cursor),
            FaultKind::RepeatCursor => cursor,
            _ => None,
        };
        if armed.fault.after > 0 {
            armed.fault.after -= 1;
            return None;
        }
        if armed.fault.what == FaultKind::AlternateCursor && next.is_none() {
            return None;
        }
        armed.fault.times -= 1;
        Some(Hit { what: armed.fault.what.clone(), next })
    }
}

impl Armed {
    fn concerns(&self, target: Target<'_>) -> bool {
        let able = match self.fault.what {
            FaultKind::RepeatCursor | FaultKind::AlternateCursor => target.cursor.is_some(),
            FaultKind::LostScrollAnswer => target.path_and_query.starts_with("/companies/scroll"),
            _ => true,
        };
        able && target.path_and_query.starts_with(&self.fault.matching)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(matching: &str, after: u32, times: u32, what: FaultKind) -> Fault {
        Fault { matching: matching.to_owned(), after, times, what }
    }

    fn hits(faults: &mut Faults, requests: &[(&str, Option<&str>)]) -> Vec<Option<FaultKind>> {
        requests
            .iter()
            .map(|(path_and_query, cursor)| {
                faults.hit(Target { path_and_query, cursor: *cursor }).map(|hit| hit.what)
            })
            .collect()
    }

    #[test]
    fn faults_are_consumed_in_order_each_after_what_it_lets_pass() {
        let mut faults = Faults::default();
        faults.add(fault("/contacts", 1, 2, FaultKind::EmptyBody));
        faults.add(fault("", 0, 1, FaultKind::NotJson));
        let seen = hits(
            &mut faults,
            &[
                ("/contacts/search", None),
                ("/tags", None),
                ("/contacts/1", None),
                ("/contacts", None),
                ("/me", None),
            ],
        );
        let (empty, not_json) = (Some(FaultKind::EmptyBody), Some(FaultKind::NotJson));
        assert_eq!(seen, [None, not_json, empty.clone(), empty, None]);
    }

    #[test]
    fn some_faults_wait_for_the_requests_they_can_harm() {
        let mut faults = Faults::default();
        faults.add(fault("", 0, 1, FaultKind::RepeatCursor));
        faults.add(fault("", 0, 1, FaultKind::LostScrollAnswer));
        let seen = hits(
            &mut faults,
            &[
                ("/contacts/search", None),
                ("/companies/scroll?scroll_param=x", None),
                ("/contacts/search", Some("A")),
            ],
        );
        assert_eq!(seen, [None, Some(FaultKind::LostScrollAnswer), Some(FaultKind::RepeatCursor)]);
    }

    #[test]
    fn alternating_cursors_lead_back_to_where_the_client_came_from() {
        let mut faults = Faults::default();
        faults.add(fault("", 0, 9, FaultKind::AlternateCursor));
        let mut next = |cursor| {
            let target = Target { path_and_query: "/contacts/search", cursor };
            faults.hit(target).and_then(|hit| hit.next)
        };
        assert_eq!(next(None), None);
        assert_eq!(next(Some("A")), None);
        assert_eq!(next(Some("B")).as_deref(), Some("A"));
        assert_eq!(next(Some("A")).as_deref(), Some("B"));
        assert_eq!(next(Some("B")).as_deref(), Some("A"));
    }
}
