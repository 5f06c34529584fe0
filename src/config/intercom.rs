//! A connection to an Intercom workspace.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::file;
use super::nearest::nearest;
use super::proxy::is_loopback;
use super::secret::Secret;
use super::settings::{ACCESS_TOKEN, Settings};
use super::values::{Expected, Rate, parse_duration, parse_instant, parse_rate};
use crate::error::Result;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a workspace's data is kept; a token works in its own region only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Region {
    /// The United States.
    #[default]
    Us,
    /// Europe.
    Eu,
    /// Australia.
    Au,
}

impl Region {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Us, Self::Eu, Self::Au];

    /// As it stands in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Au => "au",
        }
    }

    /// Where its API answers; the path is `/`.
    ///
    /// Source: Intercom REST reference, "Regional hosting".
    #[expect(clippy::missing_panics_doc, reason = "three constants, each parsed by a test")]
    pub fn base_url(self) -> Url {
        let address = match self {
            Self::Us => "https://api.intercom.io",
            Self::Eu => "https://api.eu.intercom.io",
            Self::Au => "https://api.au.intercom.io",
        };
        Url::parse(address).expect("a constant URL")
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.as_str() == text)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The version of the API that is asked for; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ApiVersion {
    /// 2.11
    V2_11,
    /// 2.12
    V2_12,
    /// 2.13
    V2_13,
    /// 2.14
    #[default]
    V2_14,
    /// 2.15
    V2_15,
    /// 2.16
    V2_16,
}

impl ApiVersion {
    /// All of them, oldest first.
    pub const ALL: [Self; 6] = [Self::V2_11, Self::V2_12, Self::V2_13, Self::V2_14, Self::V2_15, Self::V2_16];

    /// As the `Intercom-Version` header carries it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2_11 => "2.11",
            Self::V2_12 => "2.12",
            Self::V2_13 => "2.13",
            Self::V2_14 => "2.14",
            Self::V2_15 => "2.15",
            Self::V2_16 => "2.16",
        }
    }

    fn parse(text: &str) -> Result<Self, Expected> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or(Expected("2.11, 2.12, 2.13, 2.14, 2.15 or 2.16"))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that is known about one workspace before the first request.
#[derive(Debug, Clone)]
pub struct IntercomConnection {
    /// The connection's name, which is also the schema's.
    pub name: String,
    /// Visible ASCII, not empty.
    pub token: Secret<String>,
    /// As configured, else the default; decides nothing once `base_url` is configured too.
    pub region: Region,
    /// Whether the region was written down, so that a token of another region is a contradiction.
    pub region_is_explicit: bool,
    /// Where requests go: https, or http to loopback. Neither credentials nor query; the path ends with `/`,
    /// so that `join("contacts/search")` (no slash in front) leads to the endpoint.
    pub base_url: Url,
    /// Nothing older is asked for; `None` is everything.
    pub start_date: Option<Timestamp>,
    /// How much before the checkpoint is read again, beyond what is read again anyway. Default 0.
    pub lookback_window: Duration,
    /// Default 2.14.
    pub api_version: ApiVersion,
    /// A ceiling below what the response headers allow; `None` leaves it to them.
    pub rate_limit: Option<Rate>,
    /// How old the last refresh may become; `None` is never, zero is every run. Default 7 days.
    pub full_refresh_every: Option<Duration>,
    /// After how long the parts of a conversation are read again although nothing says that they changed; `None` is
    /// never. Default 30 days.
    pub parts_refresh_every: Option<Duration>,
    /// After how long the members of a tag or a segment are read again although their number is the same; zero is in every
    /// run. Default 1 day.
    pub sweep_every: Duration,
    /// How often at most single tables are read, by table; the others, unless they stand inside one of these, are read in
    /// every run that names them.
    pub tables_every: BTreeMap<&'static str, Duration>,
    /// The widest window asked of the activity logs; at least a second. Default 30 days.
    pub activity_logs_time_step: Duration,
}

impl IntercomConnection {
    /// A connection with default options to `region`.
    pub fn new(name: impl Into<String>, token: Secret<String>, region: Region) -> Self {
        Self {
            name: name.into(),
            token,
            region,
            region_is_explicit: false,
            base_url: region.base_url(),
            start_date: None,
            lookback_window: Duration::ZERO,
            api_version: ApiVersion::default(),
            rate_limit: None,
            full_refresh_every: Some(7 * DAY),
            parts_refresh_every: Some(30 * DAY),
            sweep_every: DAY,
            tables_every: BTreeMap::new(),
            activity_logs_time_step: 30 * DAY,
        }
    }

    pub(crate) fn from_settings(name: &str, settings: &Settings<'_>) -> Result<Self> {
        let token = token(settings)?;
        let region = region(settings)?;
        let mut connection = Self::new(name, token, region.unwrap_or_default());
        connection.region_is_explicit = region.is_some();
        if let Some(base_url) = settings.parsed("base_url", parse_base_url)? {
            connection.base_url = base_url;
        }
        if !is_loopback(&connection.base_url) {
            settings.environment.check_proxies()?;
        }
        connection.start_date = settings.parsed("start_date", parse_instant)?;
        if let Some(window) = settings.parsed("lookback_window", parse_duration)? {
            connection.lookback_window = window;
        }
        if let Some(version) = settings.parsed("api_version", ApiVersion::parse)? {
            connection.api_version = version;
        }
        connection.rate_limit = settings.parsed("rate_limit", parse_rate)?;
        if let Some(every) = settings.parsed("full_refresh_every", parse_every)? {
            connection.full_refresh_every = every;
        }
        if let Some(every) = settings.parsed("parts_refresh_every", parse_every)? {
            connection.parts_refresh_every = every;
        }
        if let Some(every) = settings.parsed("sweep_every", parse_duration)? {
            connection.sweep_every = every;
        }
        connection.tables_every = Self::tables_every_from(settings)?;
        if let Some(step) = settings.parsed("activity_logs_time_step", parse_time_step)? {
            connection.activity_logs_time_step = step;
        }
        Ok(connection)
    }

    /// [`Self::tables_every`] alone.
    pub(crate) fn tables_every_from(settings: &Settings<'_>) -> Result<BTreeMap<&'static str, Duration>> {
        Ok(settings.parsed_by_table(file::EVERY, parse_duration)?.into_iter().collect())
    }
}

/// The token, as far as it can be judged without asking: something a header can carry.
fn token(settings: &Settings<'_>) -> Result<Secret<String>> {
    let token = settings.required(ACCESS_TOKEN)?;
    if token.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(settings
            .refused(ACCESS_TOKEN, "holds white space or a control character")
            .with_hint("give the token alone: no `Bearer`, no quotes, no line break"));
    }
    if !token.is_ascii() {
        return Err(settings
            .refused(ACCESS_TOKEN, "holds a character that no access token has")
            .with_hint("copy the token again from Intercom's Developer Hub"));
    }
    Ok(Secret::new(token))
}

fn region(settings: &Settings<'_>) -> Result<Option<Region>> {
    let Some(text) = settings.text("region")? else { return Ok(None) };
    if let Some(region) = Region::parse(&text) {
        return Ok(Some(region));
    }
    let error = settings.refused("region", "expected us, eu or au");
    // One letter of two is half of the word: `uk` is not meant to be `us`.
    let near = nearest(&text, Region::ALL.map(Region::as_str));
    Err(match near.filter(|near| text.chars().count() > 2 || text.eq_ignore_ascii_case(near)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error,
    })
}

/// Reads the address requests go to: https to anywhere, http to this machine only, since the token travels
/// with every request.
fn parse_base_url(text: &str) -> Result<Url, &'static str> {
    let mut url =
        Url::parse(text).map_err(|_| "expected a URL such as https://proxy.example.com/intercom")?;
    if url.host().is_none() {
        return Err("expected a URL with a host");
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err("plain http would show the token to the network; use https"),
        _ => return Err("expected an https URL"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password has no place in this URL");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a query or fragment has no place in this URL");
    }
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn parse_every(text: &str) -> Result<Option<Duration>, Expected> {
    if text == "never" { Ok(None) } else { parse_duration(text).map(Some).map_err(|_| EVERY) }
}

const EVERY: Expected = Expected("never, or a duration such as 7d");

fn parse_time_step(text: &str) -> Result<Duration, Expected> {
    let step = parse_duration(text)?;
    if step < Duration::from_secs(1) { Err(Expected("a duration of at least 1s")) } else { Ok(step) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_its_address() {
        let addresses = Region::ALL.map(|region| (region.to_string(), region.base_url().to_string()));
        assert_eq!(
            addresses,
            [
                ("us", "https://api.intercom.io/"),
                ("eu", "https://api.eu.intercom.io/"),
                ("au", "https://api.au.intercom.io/")
            ]
            .map(|(region, url)| (region.to_owned(), url.to_owned()))
        );
    }

    #[test]
    fn versions_are_ordered_as_they_are_listed() {
        assert!(ApiVersion::ALL.is_sorted());
        assert_eq!(ApiVersion::ALL.map(ApiVersion::as_str).join(" "), "2.11 2.12 2.13 2.14 2.15 2.16");
        assert_eq!(ApiVersion::default().to_string(), "2.14");
    }

    #[test]
    fn addresses_that_may_see_the_token() {
        for (text, expected) in [
            ("https://proxy.example.com", "https://proxy.example.com/"),
            ("https://proxy.example.com/", "https://proxy.example.com/"),
            ("https://proxy.example.com:8443/intercom", "https://proxy.example.com:8443/intercom/"),
            ("https://proxy.example.com/intercom/", "https://proxy.example.com/intercom/"),
            ("https://10.0.0.7", "https://10.0.0.7/"),
            ("http://localhost:8080", "http://localhost:8080/"),
            ("http://LOCALHOST:8080", "http://localhost:8080/"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
            ("http://127.9.8.7", "http://127.9.8.7/"),
            ("http://[::1]:8080", "http://[::1]:8080/"),
        ] {
            assert_eq!(parse_base_url(text).map(String::from), Ok(expected.to_owned()), "{text}");
        }
        assert_eq!(
            parse_base_url("https://p.example/intercom").unwrap().join("contacts/search").unwrap().as_str(),
            "https://p.example/intercom/contacts/search"
        );
    }

    #[test]
    fn addresses_that_may_not() {
        let plain = "plain http would show the token to the network; use https";
        let credentials = "a user name or password has no place in this URL";
        let query = "a query or fragment has no place in this URL";
        for (text, message) in [
            ("api.intercom.io", "expected a URL such as https://proxy.example.com/intercom"),
            ("", "expected a URL such as https://proxy.example.com/intercom"),
            ("ftp://example.com", "expected an https URL"),
            ("file:///etc/passwd", "expected a URL with a host"),
            ("http://api.intercom.io", plain),
            ("http://localhost.example.com", plain),
            ("http://127.0.0.1.example.com", plain),
            ("http://0.0.0.0:8080", plain),
            ("http://10.0.0.7", plain),
            ("http://[::2]", plain),
            ("http://127.0.0.1@example.com", plain),
            ("https://user@example.com", credentials),
            ("https://user:pass@example.com", credentials),
            ("https://:pass@example.com", credentials),
            ("https://example.com/?a=b", query),
            ("https://example.com/?", query),
            ("https://example.com/#a", query),
        ] {
            assert_eq!(parse_base_url(text).map(String::from), Err(message), "{text}");
        }
    }
}
