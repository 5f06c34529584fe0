//! How the rows of a table are asked for, as a declaration.

use super::TableSpec;

/// How the rows of a table are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    /// `POST` with a query, sort and keyset cursor; dates are filtered by the server.
    Search {
        /// Path below the base URL.
        path: &'static str,
        /// Key of the answer that holds the rows.
        records: &'static str,
    },
    /// `GET` that hands out everything once, page after page, under one server-side scroll.
    Scroll {
        /// Path below the base URL.
        path: &'static str,
        /// Key of the answer that holds the rows.
        records: &'static str,
    },
    /// `GET` with page numbers.
    Pages {
        /// Path below the base URL.
        path: &'static str,
        /// Key of the answer that holds the rows.
        records: &'static str,
        /// Rows asked for at once.
        per_page: u32,
    },
    /// One unpaged `GET`, or several that make one table.
    Lists {
        /// Key of the answer that holds the rows; empty if the answer is itself the one row. An answer that is
        /// a bare array is taken as the rows.
        records: &'static str,
        /// The requests.
        lists: &'static [List],
    },
    /// `GET` over a window of `created_at`, by page numbers, newest first; a window that is too wide is an
    /// error of the server.
    Log {
        /// Path below the base URL.
        path: &'static str,
        /// Key of the answer that holds the rows.
        records: &'static str,
    },
    /// Who belongs to which group: one search for each row of another table.
    Sweep {
        /// The table of the groups, read as [`Endpoint::Lists`].
        groups: &'static TableSpec,
        /// Search path below the base URL.
        path: &'static str,
        /// Key of the answer that holds the members.
        records: &'static str,
        /// Field of the search that takes the id of a group.
        field: &'static str,
    },
    /// Rows that stand inside the rows of another table.
    Inside(Inside),
}

/// Where rows stand inside the rows of another table, which is read for them.
#[derive(Debug, Clone, Copy)]
pub struct Inside {
    /// The table whose rows hold them.
    pub parent: &'static TableSpec,
    /// Where the lists stand in a row of the parent, or in its object for [`More::Object`]: keys joined with
    /// dots. All that are there are read. Entries are objects, or the bare value of the one column with an
    /// empty path.
    pub lists: &'static [&'static str],
    /// Whether only all lists together are the whole; else they are places of which versions use one.
    pub is_union: bool,
    /// Where the parent states how many rows there are in all, if it shows only some and that is to be noted
    /// in [`TableSpec::filled`] of the parent.
    pub total: Option<&'static str>,
    /// What else has to be asked for.
    pub more: More,
}

/// What has to be asked for beyond the lists that the parent's row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// Nothing: the lists are whole.
    Nothing,
    /// The list at an address of its own where the one in the row says `has_more`, or is not shown.
    WhereCut(Address),
    /// The list at an address of its own where the one in the row is not empty: it only names the rows.
    WhereAny(Address),
    /// The list at an address of its own, for every parent.
    Always(Address),
    /// The parent's own object, in which the lists stand.
    Object {
        /// Where the parent's row states how many rows there are. With it, parents that have not changed since
        /// their object was read are not asked for again.
        stated: Option<&'static str>,
    },
}

/// Where a list is found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Path below the base URL, with `{id}` for the parent's.
    pub path: &'static str,
    /// Keys of the answer that may hold the rows.
    pub records: &'static [&'static str],
}

/// One of the requests an unpaged table is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    /// Path and query below the base URL.
    pub path: &'static str,
    /// The oldest API version (minor of 2.x, inclusive) that answers it.
    pub from_minor: u8,
    /// The newest API version (minor of 2.x, inclusive) that answers it.
    pub until_minor: u8,
}

impl List {
    /// A request that every version answers.
    pub const fn of(path: &'static str) -> Self {
        Self { path, from_minor: 0, until_minor: u8::MAX }
    }

    /// Whether API version 2.`minor` answers it.
    pub fn is_in(&self, minor: u8) -> bool {
        (self.from_minor..=self.until_minor).contains(&minor)
    }
}

impl Endpoint {
    /// Method and path, as shown to people.
    pub fn describe(&self) -> String {
        let method = if matches!(self, Self::Search { .. } | Self::Sweep { .. }) { "POST" } else { "GET" };
        let path = self.path();
        match self {
            Self::Sweep { field, .. } => format!("{method} {path} by {field}"),
            Self::Inside(Inside { parent, more: More::Nothing, .. }) => format!("inside {}", parent.name),
            Self::Inside(Inside { parent, more: More::WhereCut(_), .. }) => {
                format!("inside {}, GET {path} where cut", parent.name)
            }
            _ => format!("{method} {}", path.split('?').next().unwrap_or_default()),
        }
    }

    /// The path below the base URL; of several, the first.
    pub fn path(&self) -> String {
        match self {
            Self::Search { path, .. }
            | Self::Scroll { path, .. }
            | Self::Pages { path, .. }
            | Self::Log { path, .. }
            | Self::Sweep { path, .. } => (*path).to_owned(),
            Self::Lists { lists, .. } => lists.first().map(|list| list.path).unwrap_or_default().to_owned(),
            Self::Inside(Inside { parent, more, .. }) => match more {
                More::Nothing => parent.endpoint.path(),
                More::WhereCut(address) | More::WhereAny(address) | More::Always(address) => {
                    address.path.to_owned()
                }
                More::Object { .. } => format!("{}/{{id}}", parent.object.unwrap_or_default()),
            },
        }
    }

    /// The key of the answer that holds the rows; empty if that depends.
    pub fn records(&self) -> &'static str {
        match self {
            Self::Search { records, .. }
            | Self::Scroll { records, .. }
            | Self::Pages { records, .. }
            | Self::Lists { records, .. }
            | Self::Log { records, .. }
            | Self::Sweep { records, .. } => records,
            Self::Inside(_) => "",
        }
    }
}
