//! The way into an object store.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::PaginatedListStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::failure::{how_to_get_in, secrets_of, without_secrets};
use super::transport::Connector;
use crate::config::{ObjectStoreConfig, Service};
use crate::error::{Error, ErrorKind, Result};
use crate::printable;

/// A request may take so long, the longest being those that send a part of a file.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A client for a bucket.
pub(super) struct Connected {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The same, for what is listed page by page.
    pub(super) pages: Arc<dyn PaginatedListStore>,
}

/// A client for the bucket. Nothing is sent yet. From now on what opens it is never printed.
pub(super) fn connect(config: &ObjectStoreConfig) -> Result<Connected> {
    for (name, value) in &config.options {
        for secret in secrets_of(name, value.expose()) {
            printable::keep_secret(&secret);
        }
    }
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(10), ..BackoffConfig::default() },
        max_retries: 8,
        retry_timeout: config.patience,
    };
    let client = ClientOptions::new().with_timeout(TIMEOUT);
    let options = config.options.iter().map(|(name, value)| (name.as_str(), value.expose().as_str()));
    let bucket = config.bucket.as_str();
    // The builders look alike and have no trait in common.
    macro_rules! built {
        ($builder:expr, $named:ident) => {{
            let builder =
                $builder.with_client_options(client).with_http_connector(Connector).with_retry(retry);
            let builder = options.fold(builder, |builder, (name, value)| match name.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            });
            builder.$named(bucket).build().map(|store| {
                let store = Arc::new(store);
                let (pages, store) = (Arc::clone(&store), store);
                Connected { store, pages }
            })
        }};
    }
    let built = match config.service {
        Service::S3 => built!(AmazonS3Builder::new(), with_bucket_name),
        Service::Gs => built!(GoogleCloudStorageBuilder::new(), with_bucket_name),
        Service::Az => built!(MicrosoftAzureBuilder::new(), with_container_name),
    };
    built.map_err(|error| {
        Error::new(ErrorKind::Config, format!("{} cannot be reached as configured", config.url()))
            .with_source(without_secrets(&error))
            .with_hint(how_to_get_in(config.service))
    })
}
