//! The company scroll: one at a time for the whole workspace, its place kept by the server.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::errors::ApiError;

/// Companies per page; the endpoint takes no page size.
const PAGE: usize = 100;

/// The workspace's scroll, if one is open.
#[derive(Debug, Default)]
pub(crate) struct Scroll {
    open: Option<Open>,
    opened: u64,
}

#[derive(Debug)]
struct Open {
    /// `None`: another tool's scroll, whose parameter nobody here knows.
    param: Option<String>,
    /// Ids in the order they will be shown, fixed when the scroll was opened.
    ids: Vec<Arc<str>>,
    next: usize,
    used: Timestamp,
}

/// One page: the parameter to come back with, and the companies it holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ScrollPage {
    pub(crate) param: String,
    pub(crate) ids: Vec<Arc<str>>,
}

impl Scroll {
    /// Answers one request and moves on: asking again never shows the same page again.
    ///
    /// `all` lists the companies for a new scroll; those no longer `alive` when their turn comes are left out, so
    /// only the end is an empty page, and the scroll closes with it.
    pub(crate) fn turn(
        &mut self,
        asked: Option<&str>,
        now: Timestamp,
        expiry: Duration,
        all: impl FnOnce() -> Vec<Arc<str>>,
        alive: impl Fn(&str) -> bool,
    ) -> Result<ScrollPage, ApiError> {
        self.forget_idle(now, expiry);
        let open = match (asked, &mut self.open) {
            (None, Some(_)) => {
                return Err(ApiError::new(400, "scroll_exists", "scroll already exists for this workspace"));
            }
            (None, slot @ None) => {
                self.opened += 1;
                let param = format!("5c011000-0000-4000-8000-{:012x}", self.opened);
                slot.insert(Open { param: Some(param), ids: all(), next: 0, used: now })
            }
            (Some(param), Some(open)) if open.param.as_deref() == Some(param) => open,
            (Some(_), _) => return Err(ApiError::new(404, "not_found", "scroll parameter not found")),
        };
        open.used = now;
        let mut ids = Vec::with_capacity(PAGE);
        while ids.len() < PAGE
            && let Some(id) = open.ids.get(open.next)
        {
            open.next += 1;
            if alive(id) {
                ids.push(Arc::clone(id));
            }
        }
        let param = open.param.clone().unwrap_or_default();
        if ids.is_empty() {
            self.close();
        }
        Ok(ScrollPage { param, ids })
    }

    /// Closes the scroll, as its end does.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// Lets another tool open the scroll; false if one of ours is open already.
    pub(crate) fn open_foreign(&mut self, now: Timestamp, expiry: Duration) -> bool {
        self.forget_idle(now, expiry);
        let free = self.open.as_ref().is_none_or(|open| open.param.is_none());
        if free {
            self.open = Some(Open { param: None, ids: Vec::new(), next: 0, used: now });
        }
        free
    }

    fn forget_idle(&mut self, now: Timestamp, expiry: Duration) {
        self.open.take_if(|open| now.duration_since(open.used).unsigned_abs() >= expiry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRY: Duration = Duration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn companies(count: usize) -> Vec<Arc<str>> {
        (0..count).map(|n| Arc::from(format!("{n:04}"))).collect()
    }

    fn turn(scroll: &mut Scroll, asked: Option<&str>, second: i64) -> Result<ScrollPage, String> {
        scroll.turn(asked, at(second), EXPIRY, || companies(250), |id| id != "0003").map_err(|e| e.code)
    }

    #[test]
    fn it_shows_every_living_company_once_and_ends_with_an_empty_page() {
        let mut scroll = Scroll::default();
        let first = turn(&mut scroll, None, 0).unwrap();
        assert_eq!((first.ids.len(), &*first.ids[3]), (100, "0004"));
        let sizes: Vec<_> =
            (1..4).map(|second| turn(&mut scroll, Some(&first.param), second).unwrap().ids.len()).collect();
        assert_eq!(sizes, [100, 49, 0]);
        assert_eq!(turn(&mut scroll, Some(&first.param), 5), Err("not_found".to_owned()));
        assert_ne!(turn(&mut scroll, None, 6).unwrap().param, first.param);
    }

    #[test]
    fn only_one_is_open_until_it_was_idle_for_its_minute() {
        let mut scroll = Scroll::default();
        let first = turn(&mut scroll, None, 0).unwrap();
        assert_eq!(turn(&mut scroll, None, 59), Err("scroll_exists".to_owned()));
        assert!(turn(&mut scroll, Some(&first.param), 59).is_ok());
        assert!(turn(&mut scroll, Some(&first.param), 118).is_ok());
        assert_eq!(turn(&mut scroll, Some(&first.param), 178), Err("not_found".to_owned()));
        assert!(turn(&mut scroll, None, 178).is_ok());
    }

    #[test]
    fn another_tool_blocks_ours_and_ours_blocks_another() {
        let mut scroll = Scroll::default();
        assert!(scroll.open_foreign(at(0), EXPIRY));
        assert_eq!(turn(&mut scroll, None, 30), Err("scroll_exists".to_owned()));
        assert!(turn(&mut scroll, None, 60).is_ok());
        assert!(!scroll.open_foreign(at(61), EXPIRY));
    }

    #[test]
    fn a_page_of_deleted_companies_is_skipped_not_shown_empty() {
        let mut scroll = Scroll::default();
        let page = scroll.turn(None, at(0), EXPIRY, || companies(150), |id| id >= "0120").unwrap();
        assert_eq!(page.ids.len(), 30);
    }
}
