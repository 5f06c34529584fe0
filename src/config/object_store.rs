//! Lakes in object stores: `s3://bucket/folder` and the like, and what is needed to get in.

use std::path::Path;
use std::time::Duration;

use url::Url;

use super::environment::Environment;
use super::proxy;
use super::secret::Secret;
use super::settings::Settings;
use super::values::Expected;
use crate::error::{Error, ErrorKind, Result};

/// How long a request is tried again that fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// When the lock of a run is nobody's that no longer says it is there.
const LOCK_EXPIRY: Duration = Duration::from_secs(90);

/// Keys of a connection whose values are secrets.
pub(crate) const SECRETS: [&str; 4] = ["secret_access_key", "session_token", "account_key", "sas_token"];

/// Whose interface a store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Amazon S3, and everything that speaks like it.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
}

impl Service {
    const ALL: [Self; 3] = [Self::S3, Self::Gs, Self::Az];

    /// How its URLs begin.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3://",
            Self::Gs => "gs://",
            Self::Az => "az://",
        }
    }

    /// How variables begin that say something about it.
    fn variables(self) -> &'static str {
        match self {
            Self::S3 => "AWS_",
            Self::Gs => "GOOGLE_",
            Self::Az => "AZURE_",
        }
    }

    /// The keys of a connection, each with the option that it sets, and the options from the environment that it
    /// overrules beside that.
    fn keys(self) -> &'static [(&'static str, &'static str, &'static [&'static str])] {
        match self {
            Self::S3 => &[
                ("endpoint", "aws_endpoint", &["aws_endpoint_url", "aws_endpoint_url_s3"]),
                ("region", "aws_region", &["aws_default_region"]),
                ("path_style", "aws_virtual_hosted_style_request", &[]),
                ("access_key_id", "aws_access_key_id", &["aws_secret_access_key", "aws_session_token"]),
                ("secret_access_key", "aws_secret_access_key", &[]),
                ("session_token", "aws_session_token", &[]),
            ],
            Self::Gs => &[
                ("endpoint", "google_base_url", &[]),
                (
                    "service_account",
                    "google_service_account",
                    &[
                        "google_service_account_path",
                        "google_service_account_key",
                        "google_application_credentials",
                    ],
                ),
            ],
            Self::Az => &[
                ("endpoint", "azure_endpoint", &["azure_storage_endpoint"]),
                ("account", "azure_storage_account_name", &[]),
                (
                    "account_key",
                    "azure_storage_account_key",
                    &["azure_storage_access_key", "azure_storage_sas_token", "azure_storage_sas_key"],
                ),
                (
                    "sas_token",
                    "azure_storage_sas_token",
                    &["azure_storage_sas_key", "azure_storage_account_key", "azure_storage_access_key"],
                ),
            ],
        }
    }
}

/// Every key of a lake's connection; the first two are all that one in a folder has.
pub(crate) const LAKE_KEYS: [&str; 12] = [
    "name",
    "path",
    "endpoint",
    "region",
    "path_style",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "service_account",
    "account",
    "account_key",
    "sas_token",
];

/// Those that are about an object store.
pub(crate) fn store_keys() -> impl Iterator<Item = &'static str> {
    LAKE_KEYS.into_iter().skip(2)
}

/// A lake in an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectStoreConfig {
    /// The configured name, or the URL as typed.
    pub name: String,
    /// Whose interface it has.
    pub service: Service,
    /// The bucket, or container.
    pub bucket: String,
    /// The folder in it that holds one folder per connection, without slashes at its ends; may be empty.
    pub folder: String,
    /// Options by the names that the `object_store` crate knows them by; of two of one name the later counts.
    pub options: Vec<(String, Secret<String>)>,
    /// How long a request is tried again that fails.
    pub patience: Duration,
    /// When the lock of a run is nobody's that no longer says it is there.
    pub lock_expiry: Duration,
}

impl ObjectStoreConfig {
    /// Reads `s3://bucket/folder`; `None` if it does not begin like an object store's URL. What is said of a wrong one
    /// does not repeat it.
    pub fn parse(name: &str, url: &str, environment: &Environment) -> Option<Result<Self, Expected>> {
        let service = Service::ALL.into_iter().find(|service| url.starts_with(service.scheme()))?;
        let place = url.strip_prefix(service.scheme()).unwrap_or_default();
        let place = place.strip_suffix('/').unwrap_or(place);
        let (bucket, folder) = place.split_once('/').unwrap_or((place, ""));
        let is_part =
            |part: &str| !matches!(part, "" | "." | "..") && !part.contains(|c: char| c.is_control());
        let is_sound = is_part(bucket)
            && !bucket.contains(['?', '#', '@', ':', ' '])
            && (folder.is_empty() || folder.split('/').all(is_part));
        if !is_sound {
            return Some(Err(Expected("a bucket and a folder in it, such as s3://bucket/lake")));
        }
        let mut config = Self {
            name: name.to_owned(),
            service,
            bucket: bucket.to_owned(),
            folder: folder.to_owned(),
            options: Vec::new(),
            patience: PATIENCE,
            lock_expiry: LOCK_EXPIRY,
        };
        config.take_environment(environment);
        Some(Ok(config))
    }

    fn take_environment(&mut self, environment: &Environment) {
        let variables = environment.starting_with(self.service.variables());
        let options = variables.filter(|(_, value)| !value.is_empty());
        self.options =
            options.map(|(name, value)| (name.to_lowercase(), Secret::new(value.to_owned()))).collect();
        self.settle();
    }

    /// What the keys of a connection say counts for more than the environment; paths in it are relative to `base`.
    pub(crate) fn with_settings(mut self, settings: &Settings<'_>, base: &Path) -> Result<Self> {
        let keys = self.service.keys();
        for key in store_keys().filter(|key| !keys.iter().any(|(known, ..)| known == key)) {
            if settings.text(key)?.is_some() {
                return Err(settings.refused(key, format!("means nothing for {}", self.service.scheme())));
            }
        }
        if settings.text("endpoint")?.is_some_and(|endpoint| holds_credentials(&endpoint)) {
            return Err(settings.refused("endpoint", CREDENTIALS));
        }
        let path_style = settings.parsed("path_style", parse_switch)?;
        for (key, option, overruled) in keys {
            let Some(value) = settings.text(key)? else { continue };
            let value = match *key {
                "service_account" => settings.required_path(key, base)?.to_string_lossy().into_owned(),
                "path_style" => (path_style == Some(false)).to_string(),
                _ => value,
            };
            self.options.retain(|(name, _)| name != option && !overruled.contains(&name.as_str()));
            self.options.push(((*option).to_owned(), Secret::new(value)));
        }
        for (key, other) in [("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")] {
            if settings.text(key)?.is_some() && settings.text(other)?.is_none() {
                return Err(settings.refused(key, format!("needs {other} beside it")));
            }
        }
        self.settle();
        Ok(self)
    }

    /// Fails if the environment holds something that must not be used: an endpoint with a password, which would stand in
    /// every URL, or a proxy that is none. Names the variable and nothing of its value.
    pub(crate) fn check(&self, environment: &Environment) -> Result<()> {
        let refused = |option: &str, why: String| {
            Error::new(ErrorKind::Config, why)
                .within(format!("environment variable {}", option.to_uppercase()))
        };
        for (name, value) in &self.options {
            let is_place = name.contains("endpoint") || name.contains("base_url");
            if is_place && holds_credentials(value.expose()) {
                return Err(refused(name, CREDENTIALS.to_owned()));
            }
            if name.ends_with("proxy_url") {
                proxy::check(value.expose()).map_err(|expected| refused(name, expected.to_string()))?;
            }
        }
        let endpoint = self.endpoint().and_then(|(_, endpoint)| Url::parse(endpoint).ok());
        if endpoint.is_some_and(|endpoint| proxy::is_loopback(&endpoint)) {
            return Ok(());
        }
        environment.check_proxies()
    }

    /// What follows from the options together: whoever writes `http://` means it, and an endpoint whose host is to
    /// begin with the bucket is given without it.
    fn settle(&mut self) {
        let Some((name, endpoint)) = self.endpoint().map(|(name, value)| (name.to_owned(), value.to_owned()))
        else {
            return;
        };
        if endpoint.starts_with("http://") {
            let prefix = self.service.variables().to_lowercase();
            self.options.push((format!("{prefix}allow_http"), Secret::new("true".to_owned())));
        }
        let switch = self.options.iter().rev().find(|(name, _)| name == "aws_virtual_hosted_style_request");
        if switch.is_some_and(|(_, value)| value.expose() == "true") {
            let endpoint = within_host(&endpoint, &self.bucket);
            self.options.push((name, Secret::new(endpoint)));
        }
    }

    /// The option that says where the store is, and what it says; of several the one that counts.
    fn endpoint(&self) -> Option<(&str, &str)> {
        let named = |is_it: fn(&str) -> bool| self.options.iter().rev().find(move |(name, _)| is_it(name));
        let found = named(|name| name == "aws_endpoint_url_s3")
            .or_else(|| {
                named(|name| name.contains("endpoint") && !name.contains("sts") && !name.contains("metadata"))
            })
            .or_else(|| named(|name| name == "google_base_url"));
        found.map(|(name, value)| (name.as_str(), value.expose().as_str()))
    }

    /// Whether both are the same place.
    pub fn is_where(&self, other: &Self) -> bool {
        let endpoint = |config: &Self| config.endpoint().map(|(_, value)| value.to_owned());
        self.url() == other.url() && endpoint(self) == endpoint(other)
    }

    /// Where it is: `s3://bucket/folder`.
    pub fn url(&self) -> String {
        let url = format!("{}{}/{}", self.service.scheme(), self.bucket, self.folder);
        url.trim_end_matches('/').to_owned()
    }
}

/// What is said of an endpoint that holds some.
const CREDENTIALS: &str = "a user name or password has no place in this URL; keys have options of their own";

/// Whether something stands before the host of a URL, with or without a scheme.
fn holds_credentials(url: &str) -> bool {
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    place.split(['/', '?', '#']).next().unwrap_or_default().contains('@')
}

/// An endpoint whose host begins with the bucket.
fn within_host(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) if !host.starts_with(&format!("{bucket}.")) => {
            format!("{scheme}://{bucket}.{host}")
        }
        _ => endpoint.to_owned(),
    }
}

fn parse_switch(text: &str) -> Result<bool, Expected> {
    text.parse().map_err(|_| Expected("true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, variables: &[(&str, &str)]) -> Option<Result<ObjectStoreConfig, Expected>> {
        ObjectStoreConfig::parse("lake", url, &Environment::from_pairs(variables.iter().copied()))
    }

    #[test]
    fn urls_name_a_bucket_and_a_folder() {
        for (url, service, bucket, folder, shown) in [
            ("s3://b", Service::S3, "b", "", "s3://b"),
            ("s3://b/", Service::S3, "b", "", "s3://b"),
            ("s3://my.bucket/a/b/", Service::S3, "my.bucket", "a/b", "s3://my.bucket/a/b"),
            ("gs://b/ä lake", Service::Gs, "b", "ä lake", "gs://b/ä lake"),
            ("az://container/x", Service::Az, "container", "x", "az://container/x"),
        ] {
            let config = parse(url, &[]).unwrap().unwrap();
            assert_eq!(
                (config.service, config.bucket.as_str(), config.folder.as_str()),
                (service, bucket, folder)
            );
            assert_eq!(config.url(), shown);
        }
        for url in [
            "s3://",
            "s3:///x",
            "s3://b//x",
            "s3://b/./x",
            "s3://b/../x",
            "s3://u:p@b/x",
            "s3://b?x",
            "gs://b/x//",
        ] {
            assert!(parse(url, &[]).unwrap().is_err(), "{url}");
        }
        for url in ["lake", "s3:b", "S3://b", "https://b", "file:///x"] {
            assert!(parse(url, &[]).is_none(), "{url}");
        }
    }

    #[test]
    fn the_environment_says_how_to_get_in() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SESSION_TOKEN", ""),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000"),
            ("GOOGLE_SERVICE_ACCOUNT", "x.json"),
            ("HOME", "/"),
        ];
        let options = |url: &str| {
            let options = parse(url, &variables).unwrap().unwrap().options;
            options.into_iter().map(|(name, value)| format!("{name}={}", value.expose())).collect::<Vec<_>>()
        };
        assert_eq!(
            options("s3://b"),
            ["aws_access_key_id=key", "aws_endpoint_url=http://127.0.0.1:9000", "aws_allow_http=true"]
        );
        assert_eq!(options("gs://b"), ["google_service_account=x.json"]);
        assert!(options("az://b").is_empty());
    }

    #[test]
    fn what_must_not_be_used_of_the_environment_is_named_without_its_value() {
        const CREDENTIALS: &str = "a user name or password has no place in this URL";
        let proxy = ("HTTPS_PROXY", "ftp://s3cret");
        for (url, variables, expected) in [
            ("s3://b", vec![("AWS_ENDPOINT_URL", "http://ada:s3cret@127.0.0.1:9000")], Some(CREDENTIALS)),
            ("s3://b", vec![("AWS_ENDPOINT_URL_S3", "s3cret@127.0.0.1:9000/x")], Some(CREDENTIALS)),
            ("s3://b", vec![("AWS_METADATA_ENDPOINT", "http://:s3cret@h")], Some(CREDENTIALS)),
            ("gs://b", vec![("GOOGLE_BASE_URL", "https://s3cret@host?x")], Some(CREDENTIALS)),
            ("az://b", vec![("AZURE_STORAGE_ENDPOINT", "https://ada:s3cret@host")], Some(CREDENTIALS)),
            ("s3://b", vec![("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/a@b"), proxy], None),
            ("s3://b", vec![("AWS_SECRET_ACCESS_KEY", "s3cret@x")], None),
            ("s3://b", vec![("AWS_PROXY_URL", "http://ada:s3cret@proxy:port")], Some("expected the address")),
            ("s3://b", vec![("AWS_PROXY_URL", "http://ada:s3cret@proxy:8080")], None),
            ("s3://b", vec![proxy], Some("expected the address of a proxy")),
            ("s3://b", vec![("AWS_ENDPOINT_URL", "http://minio:9000"), proxy], Some("expected the address")),
        ] {
            let environment = Environment::from_pairs(variables.iter().copied());
            let config = ObjectStoreConfig::parse("lake", url, &environment).unwrap().unwrap();
            match (config.check(&environment), expected) {
                (Ok(()), None) => {}
                (Err(error), Some(expected)) => {
                    let (variable, _) = variables[variables.len() - 1];
                    let text = format!("environment variable {variable}: {expected}");
                    assert!(error.to_string().starts_with(&text), "{error}");
                    assert!(!error.render().contains("s3cret"), "{error}");
                }
                (got, expected) => panic!("{variables:?}: {got:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn a_bucket_may_be_part_of_the_host() {
        assert_eq!(within_host("https://s3.example:9000", "b"), "https://b.s3.example:9000");
        assert_eq!(within_host("https://b.s3.example", "b"), "https://b.s3.example");
        assert_eq!(within_host("nonsense", "b"), "nonsense");
        for (variables, expected) in [
            (vec![("AWS_ENDPOINT_URL", "https://s3.example")], None),
            (
                vec![
                    ("AWS_ENDPOINT_URL", "https://s3.example"),
                    ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true"),
                ],
                Some("https://b.s3.example"),
            ),
        ] {
            let config = parse("s3://b/x", &variables).unwrap().unwrap();
            let endpoint = config.endpoint().unwrap().1;
            assert_eq!(endpoint, expected.unwrap_or("https://s3.example"));
        }
    }
}
