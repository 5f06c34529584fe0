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

/// Reads one list, again if it cannot be trusted.
pub(super) async fn read_one(
    client: &Client,
    reader: &Reader,
    list: &List,
    passes: &mut Passes<'_>,
) -> Result<Contents> {
    loop {
        let read = async {
            let answer = client.send(|_| Call::get(list.path)).await?;
            let contents = reader.read(answer.body).await?;
            match contents.next {
                None => Ok(contents),
                Some(_) => Err(Trouble::failed("a list that claims to have a second page")),
            }
        };
        match read.await {
            Ok(contents) => return Ok(contents),
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::FailedPass(reason)) => passes.failed(&reason).await?,
        }
    }
}
