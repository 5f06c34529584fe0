//! Reading companies through the scroll, the only endpoint that shows all of them.
//!
//! The server keeps the position: a request that is repeated may skip a page, so none is. Whatever happens,
//! the scroll starts over. One scroll may be open per workspace, and it expires after a minute of silence.
//!
//! Source: Intercom REST reference 2.14, "Scroll over all companies" (read 2026-11-20).

use std::collections::HashSet;
use std::time::Duration;

use super::outlet::Outlet;
use super::reader::Reader;
use super::trouble::{Passes, Trouble};
use crate::client::{Call, CallError, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::TableProgress;
use crate::source::{Pass, Proof};

/// Rows of a full page.
const PAGE: usize = 100;
/// Restarts after lost answers before the table fails.
const RESTARTS: u32 = 10;
/// How long another scroll is waited for in all.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Reads every row, starting over when the position may be lost.
pub(super) async fn read(
    client: &Client,
    pass: &Pass,
    outlet: &Outlet,
    progress: &TableProgress,
) -> Result<()> {
    let reader = Reader::new(pass, None, None);
    let waits = client.backoff();
    let mut passes = Passes::new(client, progress);
    let (mut restarts, mut busy) = (0, 0);
    let mut waited = Duration::ZERO;
    let mut before = None;
    loop {
        match read_once(client, &reader, outlet).await {
            // Nothing states how many companies there are. What looks cut short is believed if it comes twice.
            Ok(Read { sizes, seen }) => {
                if !looks_cut_short(&sizes) || before.as_ref() == Some(&seen) {
                    return Ok(());
                }
                if before.replace(seen).is_some() {
                    passes.failed("a scroll that may have ended early").await?;
                }
            }
            Err(Interruption::Busy) => {
                let wait = waits.wait(busy);
                busy += 1;
                if waited + wait > PATIENCE {
                    return Err(Error::new(
                        ErrorKind::Api,
                        "another scroll over companies stayed open for 15 minutes",
                    )
                    .with_hint(
                        "another tool reads companies from this workspace; stop it or run at another time",
                    ));
                }
                waited += wait;
                client.pause(wait, "another scroll is open").await;
            }
            Err(Interruption::Lost(error)) => {
                restarts += 1;
                busy = 0;
                if restarts > RESTARTS {
                    return Err(error.into_error().within(format!("scroll restarted {RESTARTS} times")));
                }
                tracing::warn!(reason = %error, "scroll lost, starting over");
                client.pause(waits.wait(restarts - 1), "scroll lost, starting over").await;
            }
            Err(Interruption::Pass(Trouble::FailedPass(reason))) => passes.failed(&reason).await?,
            Err(Interruption::Pass(Trouble::Fatal(error))) => return Err(error),
        }
    }
}

/// Why a scroll did not come to its end.
enum Interruption {
    /// Another one is open.
    Busy,
    /// An answer is missing, and with it the position.
    Lost(CallError),
    Pass(Trouble),
}

impl From<Trouble> for Interruption {
    fn from(trouble: Trouble) -> Self {
        Self::Pass(trouble)
    }
}

async fn read_once(
    client: &Client,
    reader: &Reader,
    outlet: &Outlet,
) -> std::result::Result<Read, Interruption> {
    let path = reader.pass().table.endpoint.path();
    let mut seen: HashSet<u64> = HashSet::new();
    let mut call = Call::get(&path).first();
    let mut is_open = false;
    let mut sizes = Vec::new();
    loop {
        let answer = client.send_once(call).await.map_err(|error| classify(error, is_open))?;
        is_open = true;
        let contents = reader.read(answer).await?;
        if contents.keys.is_empty() {
            return Ok(Read { sizes, seen });
        }
        sizes.push(contents.keys.len());
        let known = seen.len();
        seen.extend(&contents.keys);
        if seen.len() == known {
            return Err(Trouble::failed("a scroll that hands out the same rows again").into());
        }
        let Some(param) = contents.scroll_param.clone().filter(|param| !param.is_empty()) else {
            return Err(Trouble::failed("a page without scroll_param").into());
        };
        // Never held up by a slow writer: the scroll would expire.
        outlet.send_now(contents.draft(Proof::Nothing)).map_err(Trouble::Fatal)?;
        let param: String = url::form_urlencoded::byte_serialize(param.as_bytes()).collect();
        call = Call::get(format!("{path}?scroll_param={param}")).first();
    }
}

/// A scroll that came to its end.
struct Read {
    /// Rows of each page.
    sizes: Vec<usize>,
    /// Hashes of all keys.
    seen: HashSet<u64>,
}

/// Whether pages of these many rows may not be all of them: a page on the way was not full, or the last one was. True of one
/// scroll in a hundred that is whole.
fn looks_cut_short(sizes: &[usize]) -> bool {
    let Some((last, others)) = sizes.split_last() else { return true };
    // Pages of another size say nothing.
    let largest = sizes.iter().copied().max().unwrap_or_default();
    largest == PAGE && (others.iter().any(|size| *size < PAGE) || *last == PAGE)
}

fn classify(error: CallError, is_open: bool) -> Interruption {
    match error.status() {
        _ if error.says_scroll_exists() => Interruption::Busy,
        // It would come again.
        _ if error.is_too_large() => Trouble::Fatal(error.into_error()).into(),
        None | Some(408 | 500..) => Interruption::Lost(error),
        Some(404) if is_open => Interruption::Lost(error),
        Some(_) => Trouble::Fatal(error.into_error()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_of_a_scroll_is_the_only_one_that_is_not_full() {
        for (sizes, expected) in [
            (&[][..], true),
            (&[60], false),
            (&[100], true),
            (&[100, 100, 3], false),
            (&[100, 100, 100], true),
            (&[100, 3, 100, 50], true),
            (&[50, 50, 20], false),
            (&[2, 1, 2], false),
            (&[140], false),
        ] {
            assert_eq!(looks_cut_short(sizes), expected, "{sizes:?}");
        }
    }
}
