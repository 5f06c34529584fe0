//! Reading tables that one unpaged answer, or a few, hold whole.

use super::outlet::Outlet;
use super::reader::{Contents, Reader};
use super::trouble::{Passes, Trouble};
use crate::client::{Call, Client};
use crate::error::Result;
use crate::progress::TableProgress;
use crate::source::{Pass, Proof};
use crate::table::List;

/// Reads every row. `minor` is that of the API version, 2.x.
pub(super) async fn read(
    client: &Client,
    pass: &Pass,
    (lists, minor): (&[List], u8),
    outlet: &Outlet,
    progress: &TableProgress,
) -> Result<()> {
    let reader = Reader::new(pass, None, None);
    let mut passes = Passes::new(client, progress);
    for list in lists.iter().filter(|list| list.is_in(minor)) {
        let contents = read_one(client, &reader, list, &mut passes).await?;
        passes.moved();
        outlet.send(contents.draft(Proof::Nothing)).await?;
    }
    Ok(())
}

/// Why an answer is not taken for the whole list, if so.
fn doubt(pass: &Pass, contents: &Contents) -> Option<String> {
    let shown = contents.keys.len() as u64;
    let is_unlikely = contents.is_bare || pass.table.is_never_empty;
    match contents.total_count {
        _ if contents.next.is_some() => Some("a list that claims to have a second page".to_owned()),
        Some(total) if total > shown => Some(format!("a list that states {total} rows and shows {shown}")),
        _ if shown == 0 && pass.expects_rows && is_unlikely => {
            Some("an answer without a row, where there were rows before".to_owned())
        }
        _ => None,
    }
}

/// Reads one list, again if it cannot be trusted.
pub(super) async fn read_one(
    client: &Client,
    reader: &Reader,
    list: &List,
    passes: &mut Passes<'_>,
) -> Result<Contents> {
    let mut was_empty = false;
    loop {
        let read = async {
            let answer = client.send(|_| Call::get(list.path)).await?;
            let contents = reader.read(answer).await?;
            match doubt(reader.pass(), &contents) {
                None => Ok(contents),
                Some(doubt) => Err(Trouble::failed(doubt)),
            }
        };
        match read.await {
            // Nothing states that there are no rows; that is asked once more.
            Ok(contents) if contents.keys.is_empty() && !was_empty => was_empty = true,
            Ok(contents) => return Ok(contents),
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::FailedPass(reason)) => passes.failed(&reason).await?,
        }
    }
}
