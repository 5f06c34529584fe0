//! How requests get to an object store: keys never follow a redirect, what stays on this machine needs no certificates,
//! and no answer is read without end.

use std::fmt::{self, Debug};
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::StatusCode;
use http::header::LOCATION;
use http_body_util::{BodyExt, Limited};
use object_store::ClientConfigKey as Key;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use reqwest::{Client, NoProxy, Proxy};
use url::Url;

use crate::config::parse_duration;
use crate::error::{Error, ErrorKind, Result};
use crate::trust::{Way, distrust, prepared, root};

/// Bytes of an answer that lists objects: a thousand names, or five thousand, with what is said of each.
const LARGEST_LIST: usize = 32 << 20;
/// Bytes of any other answer; parts of files are far smaller.
const LARGEST: usize = 512 << 20;
/// How long a connection may take to be made unless an option says otherwise.
const CONNECT: Duration = Duration::from_secs(5);

/// Makes the transport of a store.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Transport { options: options.clone(), clients: Default::default() }))
    }
}

/// Clients for the ways to go, each made when it is needed first.
struct Transport {
    options: ClientOptions,
    clients: [OnceLock<Result<Client>>; 3],
}

impl Transport {
    fn client(&self, way: Way) -> Result<&Client> {
        let client = self.clients[way as usize].get_or_init(|| client(way, &self.options));
        client.as_ref().map_err(Error::clone)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let url = Url::parse(&request.uri().to_string())
            .map_err(|_| given_up(Error::new(ErrorKind::Config, "endpoint: expected a URL")))?;
        // Whoever names a proxy for the store alone means it.
        let has_own_proxy = self.options.get_config_value(&Key::ProxyUrl).is_some();
        let way = if has_own_proxy { Way::Outside } else { Way::to(&url) };
        let client = self.client(way).map_err(given_up)?;
        let largest = largest(&url);
        let answer = HttpService::call(client, request).await.map_err(told_from_distrust)?;
        if let Some(elsewhere) = elsewhere(&answer, &url) {
            return Err(given_up(elsewhere));
        }
        let (head, body) = answer.into_parts();
        let too_long = move || {
            let message = format!("the store answers with more than {} MiB", largest >> 20);
            given_up(Error::new(ErrorKind::Destination, message))
        };
        let body = Limited::new(body, largest)
            .map_err(move |error| error.downcast::<HttpError>().map_or_else(|_| too_long(), |error| *error));
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}

impl HttpService for Transport {
    fn call<'s, 'f>(&'s self, request: HttpRequest) -> BoxFuture<'f, Result<HttpResponse, HttpError>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(self.send(request))
    }
}

impl Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options may hold the password of a proxy.
        f.write_str("Transport")
    }
}

/// The error of this program that a store's error comes from, if it does.
pub(super) fn own(error: &object_store::Error) -> Option<&Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(own) = found.downcast_ref() {
            return Some(own);
        }
        cause = found.source();
    }
    None
}

/// An error that no other attempt would cure.
fn given_up(error: Error) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

/// Another handshake shows the same certificate; other errors may be gone at the next attempt.
fn told_from_distrust(error: HttpError) -> HttpError {
    let words = root(&error);
    match distrust(&words) {
        Some((kind, hint)) => {
            let kind = if kind == ErrorKind::Config { kind } else { ErrorKind::Destination };
            let message = format!("the store cannot be trusted ({words})");
            given_up(Error::new(kind, message).with_hint(hint))
        }
        None => error,
    }
}

/// What it means that an answer sends the request to another place. It is not followed: parts of the key would go along.
fn elsewhere(answer: &HttpResponse, asked: &Url) -> Option<Error> {
    let status = answer.status();
    let place = answer.headers().get(LOCATION)?;
    if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
        return None;
    }
    let place = place.to_str().ok().and_then(|place| asked.join(place).ok());
    // Further parts of it may hold a signature.
    let place = place.map(|place| place.origin().ascii_serialization());
    let place = place.map(|place| format!(" to {place}")).unwrap_or_default();
    let message = format!(
        "the store sends the request elsewhere{place} (answer {}), and keys never follow",
        status.as_u16()
    );
    Some(Error::new(ErrorKind::Destination, message).with_hint(
        "let endpoint say where the store is, and region where the bucket is; if they do, something stands in between",
    ))
}

/// Bytes of the answer to a request at most.
fn largest(url: &Url) -> usize {
    let lists =
        url.query_pairs().any(|(name, value)| name == "list-type" || (name == "comp" && value == "list"));
    if lists { LARGEST_LIST } else { LARGEST }
}

/// A client with the options that were given for the store.
fn client(way: Way, options: &ClientOptions) -> Result<Client> {
    let text = |key: Key| options.get_config_value(&key);
    let is_on = |key: Key| {
        text(key)
            .is_some_and(|text| matches!(text.to_lowercase().as_str(), "1" | "true" | "on" | "yes" | "y"))
    };
    let refused = |key: Key, why: &str| {
        Error::new(ErrorKind::Config, format!("option {} of the object store: {why}", key.as_ref()))
    };
    let duration = |key: Key| {
        let parsed = text(key).map(|text| parse_duration(&text));
        parsed.transpose().map_err(|expected| refused(key, &expected.to_string()))
    };
    let mut builder = way
        .builder()
        // What is packed on the way has another length than the object.
        .no_gzip()
        .http1_only()
        .https_only(!is_on(Key::AllowHttp))
        .connect_timeout(duration(Key::ConnectTimeout)?.unwrap_or(CONNECT))
        .user_agent(concat!("ingest/", env!("CARGO_PKG_VERSION")));
    if let Some(timeout) = duration(Key::Timeout)? {
        builder = builder.timeout(timeout);
    }
    if let Some(timeout) = duration(Key::ReadTimeout)? {
        builder = builder.read_timeout(timeout);
    }
    if is_on(Key::AllowInvalidCertificates) {
        builder = builder.danger_accept_invalid_certs(true);
    }
    if let Some(url) = text(Key::ProxyUrl) {
        let proxy =
            Proxy::all(&url).map_err(|_| refused(Key::ProxyUrl, "expected the address of a proxy"))?;
        let excluded = text(Key::ProxyExcludes).and_then(|hosts| NoProxy::from_string(&hosts));
        builder = builder.proxy(proxy.no_proxy(excluded));
    }
    if let Some(certificate) = text(Key::ProxyCaCertificate) {
        let certificate = reqwest::tls::Certificate::from_pem(certificate.as_bytes())
            .map_err(|_| refused(Key::ProxyCaCertificate, "expected a certificate in PEM format"))?;
        builder = builder.tls_certs_merge([certificate]);
    }
    prepared(builder)
}
