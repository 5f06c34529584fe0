//! The way into an object store.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use crate::config::{ObjectStoreConfig, Service};
use crate::error::{Error, ErrorKind, Result};

/// A request may take so long, the longest being those that send a part of a file.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A client for the bucket. Nothing is sent yet.
pub(super) fn connect(config: &ObjectStoreConfig) -> Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(10), ..BackoffConfig::default() },
        max_retries: 8,
        retry_timeout: config.patience,
    };
    let client = ClientOptions::new().with_timeout(TIMEOUT).with_user_agent(http_user_agent());
    let options = config.options.iter().map(|(name, value)| (name.as_str(), value.expose().as_str()));
    let bucket = config.bucket.as_str();
    let built: Result<Arc<dyn ObjectStore>, object_store::Error> = match config.service {
        Service::S3 => {
            let builder = AmazonS3Builder::new().with_client_options(client).with_retry(retry);
            let builder = options.fold(builder, |builder, (name, value)| match name.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            });
            builder.with_bucket_name(bucket).build().map(|store| Arc::new(store) as _)
        }
        Service::Gs => {
            let builder = GoogleCloudStorageBuilder::new().with_client_options(client).with_retry(retry);
            let builder = options.fold(builder, |builder, (name, value)| match name.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            });
            builder.with_bucket_name(bucket).build().map(|store| Arc::new(store) as _)
        }
        Service::Az => {
            let builder = MicrosoftAzureBuilder::new().with_client_options(client).with_retry(retry);
            let builder = options.fold(builder, |builder, (name, value)| match name.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            });
            builder.with_container_name(bucket).build().map(|store| Arc::new(store) as _)
        }
    };
    built.map_err(|error| {
        Error::new(ErrorKind::Config, format!("{} cannot be reached as configured", config.url()))
            .with_source(super::failure::without_secrets(&error))
            .with_hint(super::failure::how_to_get_in(config.service))
    })
}

fn http_user_agent() -> http::HeaderValue {
    http::HeaderValue::from_static(concat!("ingest/", env!("CARGO_PKG_VERSION")))
}
