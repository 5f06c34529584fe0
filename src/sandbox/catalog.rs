//! Lists that need no code of their own: read whole or by page number, each row also alone by its id.

use super::call::Call;
use super::errors::ApiError;
use super::generate::Kind;
use super::lists::{self, Numbered};
use super::reply::{Listing, Reply, whole};
use super::settings::Settings;
use super::version::Version;
use super::world::World;

/// A declared list.
#[derive(Debug)]
struct Entry {
    path: &'static str,
    kind: Kind,
    paging: Paging,
    /// The first version that has it.
    since: Version,
    /// Whether each row has an address of its own.
    alone: bool,
}

#[derive(Debug)]
enum Paging {
    Whole,
    /// Rows per page unless asked otherwise, and at most.
    Numbered(usize, usize),
}

const fn list(path: &'static str, kind: Kind, paging: Paging) -> Entry {
    Entry { path, kind, paging, since: Version::of(7), alone: true }
}

use Paging::{Numbered as Pages, Whole};

const CATALOG: [Entry; 12] = [
    list("/ticket_types", Kind::TicketTypes, Whole),
    Entry { alone: false, ..list("/ticket_states", Kind::TicketStates, Whole) },
    list("/help_center/collections", Kind::Collections, Pages(20, 150)),
    list("/help_center/help_centers", Kind::HelpCenters, Whole),
    Entry { alone: false, ..list("/subscription_types", Kind::SubscriptionTypes, Whole) },
    list("/news/news_items", Kind::NewsItems, Pages(10, 150)),
    list("/news/newsfeeds", Kind::Newsfeeds, Pages(10, 150)),
    Entry { since: Version::V2_13, ..list("/internal_articles", Kind::InternalArticles, Pages(25, 150)) },
    Entry {
        since: Version::V2_14,
        alone: false,
        ..list("/away_status_reasons", Kind::AwayStatusReasons, Whole)
    },
    Entry { since: Version::V2_14, ..list("/calls", Kind::Calls, Pages(25, 25)) },
    list("/ai/content_import_sources", Kind::ContentImportSources, Pages(50, 150)),
    list("/ai/external_pages", Kind::ExternalPages, Pages(50, 150)),
];

/// Answers what is declared here.
pub(crate) fn answer(
    world: &mut World,
    settings: &Settings,
    call: &Call,
    version: Version,
    base: &str,
) -> Result<Reply, ApiError> {
    let (entry, id) = find(&call.path).ok_or_else(ApiError::not_found)?;
    if version < entry.since {
        return Err(ApiError::version());
    }
    let kind = entry.kind;
    if let Some(id) = id {
        return lists::one(world, kind, id, version);
    }
    match entry.paging {
        Whole => {
            let rows = lists::by_id(world, kind).to_vec();
            let unwrapped = kind == Kind::AwayStatusReasons && settings.bare_away_status_reasons;
            Ok(whole(kind, version, "list", if unwrapped { Listing::BARE } else { "data" }, rows))
        }
        Pages(default, max) => {
            let numbered = Numbered::read(call, default, max)?;
            let all = match kind {
                Kind::Collections | Kind::ExternalPages => lists::newest(world, kind),
                Kind::Calls | Kind::InternalArticles | Kind::NewsItems | Kind::ContentImportSources
                    if settings.newest_first =>
                {
                    lists::last_made(world, kind)
                }
                _ => lists::by_id(world, kind),
            };
            Ok(numbered.listing_without_end(kind, version, &all, &format!("{base}{}?", entry.path)))
        }
    }
}

/// The list a path names, with the id of a single row.
fn find(path: &str) -> Option<(&'static Entry, Option<&str>)> {
    CATALOG.iter().find_map(|entry| {
        let rest = path.strip_prefix(entry.path)?;
        if rest.is_empty() {
            return Some((entry, None));
        }
        let id = rest.strip_prefix('/').filter(|id| entry.alone && !id.is_empty() && !id.contains('/'))?;
        Some((entry, Some(id)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_list_or_one_of_its_rows() {
        let found = |path| find(path).map(|(entry, id)| (entry.kind, id));
        assert_eq!(found("/calls"), Some((Kind::Calls, None)));
        assert_eq!(found("/help_center/collections/143"), Some((Kind::Collections, Some("143"))));
        for path in ["/calls/", "/calls/1/transcript", "/ticket_states/1", "/help_center", "/callsign"] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
