//! The API version a request asks for, and the dialect this workspace answers in.

use super::errors::ApiError;

/// API 2.`minor`. Versions are ordered by their number; the dialect never decides between two of them, because the
/// ones compared with have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) minor: u8,
    pub(crate) dialect: Dialect,
}

/// Where answers of one version differ between workspaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dialect {
    /// See [`Settings::later_fields`](super::Settings::later_fields).
    pub(crate) later_fields: bool,
    /// See [`Settings::published_keys`](super::Settings::published_keys).
    pub(crate) published_keys: bool,
}

impl Version {
    /// Where the state of a ticket became an object.
    pub(crate) const V2_12: Self = Self::of(12);
    /// Where internal articles came.
    pub(crate) const V2_13: Self = Self::of(13);
    /// Where calls, away status reasons and the IP allowlist came.
    pub(crate) const V2_14: Self = Self::of(14);
    /// Where conversations got their company and the AI agent other outcomes.
    pub(crate) const V2_15: Self = Self::of(15);
    /// Where a contact's owner became text, unassigned became 0 and priorities got names.
    pub(crate) const V2_16: Self = Self::of(16);

    /// API 2.`minor` in the plain dialect.
    pub(crate) const fn of(minor: u8) -> Self {
        Self { minor, dialect: Dialect { later_fields: false, published_keys: false } }
    }

    /// Reads the `Intercom-Version` header. Without one an app gets whatever ancient version it was made with, which
    /// no client can want, so that is refused too.
    pub(crate) fn read(header: Option<&str>) -> Result<Self, ApiError> {
        header
            .and_then(|text| (7..=16).find(|minor| text == format!("2.{minor}")))
            .map(Self::of)
            .ok_or_else(ApiError::version)
    }

    /// The same version as `dialect` has it.
    pub(crate) fn spoken(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2_7_to_2_16_exist() {
        assert_eq!(Version::read(Some("2.14")), Ok(Version::of(14)));
        assert_eq!(Version::read(Some("2.7")), Ok(Version::of(7)));
        for refused in
            [None, Some(""), Some("2.6"), Some("2.17"), Some("2.014"), Some("1.4"), Some("Preview")]
        {
            assert_eq!(Version::read(refused).unwrap_err().code, "intercom_version_invalid", "{refused:?}");
        }
    }

    #[test]
    fn the_number_alone_orders_versions() {
        let spoken = |minor| Version::of(minor).spoken(Dialect { later_fields: true, published_keys: true });
        assert!(spoken(16) >= Version::V2_16 && spoken(15) < Version::V2_16 && spoken(11) < Version::V2_12);
    }
}
