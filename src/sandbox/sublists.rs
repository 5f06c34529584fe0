//! The whole lists of one contact, company or newsfeed, also where the row itself shows only their beginning.
//!
//! Entries whose own row was removed since stay in the list, as they stay in the contact.

use std::sync::Arc;

use super::call::Call;
use super::errors::ApiError;
use super::generate::{Kind, admins, notes};
use super::json::{Members, Object, Raw};
use super::links;
use super::lists::{self, Numbered};
use super::reply::{Reply, whole};
use super::row::Row;
use super::version::Version;
use super::world::World;

/// Entries a page holds unless asked otherwise, and at most.
const PER_PAGE: (usize, usize) = (50, 60);

/// `GET /contacts/{id}/{list}`.
pub(crate) fn of_contact(
    world: &World,
    call: &Call,
    version: Version,
    base: &str,
    (id, list): (&str, &str),
) -> Result<Reply, ApiError> {
    let contact = lists::live(world, Kind::Contacts, id, version)?;
    let hidden = &contact.hidden;
    let unpaged = |kind, rows| Ok(whole(kind, version, "list", "data", rows));
    let paged = |kind, rows: &[Arc<Row>]| {
        let numbered = Numbered::read(call, PER_PAGE.0, PER_PAGE.1)?;
        Ok(numbered.listing(kind, version, rows, &format!("{base}/contacts/{id}/{list}?")))
    };
    match list {
        "tags" => unpaged(Kind::Tags, tags(world, contact)),
        "segments" => unpaged(Kind::Segments, known(world, Kind::Segments, &hidden.segments)),
        "subscriptions" => {
            unpaged(Kind::SubscriptionTypes, known(world, Kind::SubscriptionTypes, &hidden.subscriptions))
        }
        "companies" => {
            let mut reply = paged(Kind::Companies, &known(world, Kind::Companies, &hidden.companies))?;
            if let Reply::Listing(listing) = &mut reply
                && version.dialect.published_keys
            {
                listing.key = "companies";
            }
            Ok(reply)
        }
        "notes" => {
            let note = |id: &Arc<str>| {
                Arc::new(Row::undated(id.to_string(), notes::text(&world.context, contact, id)))
            };
            // Notes are no kind of their own; no version changes them, nor tags.
            paged(Kind::Tags, &hidden.notes.iter().rev().map(note).collect::<Vec<_>>())
        }
        _ => Err(ApiError::not_found()),
    }
}

/// `GET /companies/{id}/segments`; every thirteenth company is listed and yet not found here.
pub(crate) fn of_company(world: &World, id: &str, version: Version) -> Result<Reply, ApiError> {
    let company = lists::live(world, Kind::Companies, id, version)?;
    if is_unfindable(id) {
        return Err(lists::missing(Kind::Companies));
    }
    let ids: Vec<Arc<str>> = links::of_company(company, "segments").into_iter().map(Arc::from).collect();
    Ok(whole(Kind::Segments, version, "list", "data", known(world, Kind::Segments, &ids)))
}

/// `GET /news/newsfeeds/{id}/items`: what is live there.
pub(crate) fn of_newsfeed(
    world: &World,
    call: &Call,
    version: Version,
    base: &str,
    id: &str,
) -> Result<Reply, ApiError> {
    lists::live(world, Kind::Newsfeeds, id, version)?;
    let numbered = Numbered::read(call, 20, 150)?;
    let items = links::of_newsfeed(world, id);
    let url = format!("{base}/news/newsfeeds/{id}/items?");
    Ok(numbered.listing_without_end(Kind::NewsItems, version, &items, &url))
}

/// Whether the company's segments are answered 404 although the company is there. Its number ends its id.
fn is_unfindable(company: &str) -> bool {
    let number = company.get(16..).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    number.is_some_and(|number| number % 13 == 6)
}

/// Tags with when and by whom they were applied, which only this endpoint tells.
fn tags(world: &World, contact: &Row) -> Vec<Arc<Row>> {
    let applied_at = contact.created_at.map(|at| at.saturating_add(60));
    let by = Object::new().put("type", "admin").put("id", admins::id(0).to_string()).done();
    known(world, Kind::Tags, &contact.hidden.tags)
        .iter()
        .map(|tag| {
            let mut members = Members::of(&tag.text);
            members.set("applied_at", applied_at);
            members.set("applied_by", Raw(&by));
            Arc::new(Row::undated(tag.id.to_string(), members.text()))
        })
        .collect()
}

/// The rows of those ids, with bare ones where there never was a row.
fn known(world: &World, kind: Kind, ids: &[Arc<str>]) -> Vec<Arc<Row>> {
    let table = world.table(kind);
    let row = |id: &Arc<str>| {
        let row = table.live().get(id).or_else(|| table.gone(id).map(|gone| &gone.row));
        row.cloned()
            .unwrap_or_else(|| Arc::new(Row::undated(id.to_string(), Object::new().put("id", &**id).done())))
    };
    ids.iter().map(row).collect()
}
