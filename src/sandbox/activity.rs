//! `GET /admins/activity_logs`: a window of time, newest first, by page number.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;

use super::call::Call;
use super::errors::ApiError;
use super::generate::Kind;
use super::json::Json;
use super::lists::Numbered;
use super::reply::{End, Listing, Reply, pages};
use super::row::id_order;
use super::settings::{Comparison, Settings};
use super::version::Version;
use super::world::World;

/// Entries a page holds unless asked otherwise, and at most.
const PER_PAGE: (usize, usize) = (20, 250);

/// Answers the page asked for; a window wider than [`Settings::activity_log_window`] is more than it can do.
pub(crate) fn logs(
    world: &mut World,
    settings: &Settings,
    call: &Call,
    version: Version,
    now: Timestamp,
    base: &str,
) -> Result<Reply, ApiError> {
    let after = second(call, "created_at_after")?.ok_or_else(|| {
        ApiError::new(400, "parameter_not_found", "created_at_after is a required parameter")
    })?;
    let before = second(call, "created_at_before")?;
    let numbered = Numbered::read(call, PER_PAGE.0, PER_PAGE.1)?;
    let width = before.unwrap_or(now.as_second()).saturating_sub(after);
    if u64::try_from(width).is_ok_and(|width| Duration::from_secs(width) > settings.activity_log_window) {
        return Err(ApiError::new(500, "server_error", "Internal Server Error"));
    }
    // One more second on either side where the bounds themselves count.
    let more = i64::from(settings.comparison == Comparison::Inclusive);
    let (low, high) = (after.saturating_sub(more), before.map(|before| before.saturating_add(more)));
    let within = |at: i64| at > low && high.is_none_or(|high| at < high);
    let all = world.table_mut(Kind::ActivityLogs).live_mut().view(format!("{low} {high:?}"), |rows| {
        let mut rows: Vec<_> =
            rows.iter().filter(|row| row.created_at.is_some_and(within)).cloned().collect();
        rows.sort_by(|a, b| {
            Reverse((a.created_at, id_order(&a.id))).cmp(&Reverse((b.created_at, id_order(&b.id))))
        });
        rows
    });
    let (rows, more) = numbered.of(&all);
    let Numbered { page, per_page } = numbered;
    let before = before.map_or_else(String::new, |before| format!("&created_at_before={before}"));
    let url = format!("{base}/admins/activity_logs?created_at_after={after}{before}");
    let next = more.then(|| format!("{url}&page={}&per_page={per_page}", page + 1)).json();
    let pages = pages(page, per_page, all.len(), Some(&next));
    let (kind, envelope, key) = (Kind::ActivityLogs, "activity_log.list", "activity_logs");
    let (rest, end) = (vec![("pages", pages)], End::Null);
    Ok(Reply::Listing(Listing { kind, version, envelope, key, rows, rest, end }))
}

/// Unix seconds, before 1970 as well; anything but an integer is refused.
fn second(call: &Call, name: &str) -> Result<Option<i64>, ApiError> {
    let invalid = || ApiError::invalid(format!("{name} must be a UNIX timestamp in seconds"));
    call.query(name).map(|text| text.parse().map_err(|_| invalid())).transpose()
}
