//! The HTTP clients of the process: which servers they believe, and what is said where they believe none.
//!
//! All of them are made here, whether they ask Intercom or an object store: none follows a redirect, and what stays on
//! this machine needs neither certificates nor a proxy.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use reqwest::{Client, ClientBuilder};
use url::Url;

use crate::config::{Environment, is_loopback};
use crate::error::{Error, ErrorKind};

/// What helps where no CA certificates are to be found.
const INSTALL: &str =
    "install them (on Debian the package ca-certificates), or let SSL_CERT_FILE name a file of them";
/// What helps where variables lead to none.
const NAME_OTHERS: &str =
    "let SSL_CERT_FILE name a file of CA certificates in PEM format, or unset it and SSL_CERT_DIR";
/// What helps against an authority that nobody here knows.
const UNKNOWN_AUTHORITY: &str = "if its certificate is signed by an authority of your own, such as that of a proxy, let \
                                 SSL_CERT_FILE name a file that holds the authority's certificate; else install the usual \
                                 ones (on Debian the package ca-certificates)";
/// What helps against a certificate that is of a known authority and is wrong.
const WRONG_CERTIFICATE: &str =
    "check the address and the clock of this machine; or somebody stands in between";

/// Which way a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Plain HTTP to this machine itself.
    Inside,
    /// HTTPS to this machine itself.
    Within,
    /// Anywhere else, through a proxy if the environment names one.
    Outside,
}

impl Way {
    /// The way to a URL.
    pub(crate) fn to(url: &Url) -> Self {
        match is_loopback(url) {
            true if url.scheme() == "http" => Self::Inside,
            true => Self::Within,
            false => Self::Outside,
        }
    }

    /// A client that follows no redirects. [`prepared`] makes it ready, and reads the certificates of the system if the
    /// way needs them.
    pub(crate) fn builder(self) -> ClientBuilder {
        let builder = Client::builder().redirect(reqwest::redirect::Policy::none());
        match self {
            Self::Inside => builder.no_proxy().tls_certs_only([]),
            Self::Within => builder.no_proxy(),
            Self::Outside => builder,
        }
    }
}

/// The client; a `Config` error where it would believe no server, since there are no certificates.
pub(crate) fn prepared(builder: ClientBuilder) -> Result<Client, Error> {
    builder.build().map_err(|error| {
        if root(&error).contains("No CA certificates") {
            return without_certificates(&Environment::of_process());
        }
        Error::new(ErrorKind::Network, "cannot prepare the HTTP client").with_source(error)
    })
}

/// The last of a chain of causes: what the operating system or the protocol said, without URLs.
pub(crate) fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// What the words of the TLS library mean if they are about the certificate of a server: whether its authority is
/// merely not known here, and what to do.
pub(crate) fn distrust(words: &str) -> Option<(ErrorKind, &'static str)> {
    if !words.contains("invalid peer certificate") {
        return None;
    }
    Some(if words.contains("UnknownIssuer") {
        (ErrorKind::Config, UNKNOWN_AUTHORITY)
    } else {
        (ErrorKind::Network, WRONG_CERTIFICATE)
    })
}

/// Says why there are no certificates, by the variables that say where they are.
fn without_certificates(environment: &Environment) -> Error {
    let (file, folders) = (environment.raw("SSL_CERT_FILE"), environment.raw("SSL_CERT_DIR"));
    let mut reasons = Vec::new();
    reasons.extend(file.map(|file| format!("SSL_CERT_FILE {}", lacking(file))));
    reasons.extend(folders.map(|_| "SSL_CERT_DIR names no folder with certificates".to_owned()));
    let (reason, hint) = if reasons.is_empty() {
        ("this machine has no CA certificates".to_owned(), INSTALL)
    } else {
        (reasons.join(", and "), NAME_OTHERS)
    };
    Error::new(ErrorKind::Config, format!("no server can be trusted: {reason}")).with_hint(hint)
}

/// What is wrong with a file that should hold certificates.
fn lacking(file: &OsStr) -> String {
    if file.is_empty() {
        return "is empty".to_owned();
    }
    let path = Path::new(file);
    let what = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => "which is a directory",
        Ok(_) if std::fs::File::open(path).is_err() => "which cannot be read",
        Ok(_) => "which holds no certificate in PEM format",
        Err(error) if error.kind() == io::ErrorKind::NotFound => "which does not exist",
        Err(_) => "which cannot be read",
    };
    format!("names {}, {what}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_to_this_machine_stays_inside() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", Way::Inside),
            ("http://localhost/x", Way::Inside),
            ("http://[::1]:1", Way::Inside),
            ("https://127.0.0.1", Way::Within),
            ("https://api.intercom.io", Way::Outside),
            ("http://localhost.example.com", Way::Outside),
            ("http://minio:9000", Way::Outside),
        ] {
            assert_eq!(Way::to(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("empty"), "").unwrap();
        let missing = path("missing");
        for (variables, expected, hint) in [
            (vec![], "this machine has no CA certificates".to_owned(), INSTALL),
            (
                vec![("SSL_CERT_FILE", missing.clone())],
                format!("SSL_CERT_FILE names {missing}, which does not exist"),
                NAME_OTHERS,
            ),
            (
                vec![("SSL_CERT_FILE", path("empty"))],
                format!("SSL_CERT_FILE names {}, which holds no certificate in PEM format", path("empty")),
                NAME_OTHERS,
            ),
            (
                vec![("SSL_CERT_FILE", path(""))],
                format!("SSL_CERT_FILE names {}, which is a directory", path("")),
                NAME_OTHERS,
            ),
            (
                vec![("SSL_CERT_FILE", String::new()), ("SSL_CERT_DIR", missing.clone())],
                "SSL_CERT_FILE is empty, and SSL_CERT_DIR names no folder with certificates".to_owned(),
                NAME_OTHERS,
            ),
        ] {
            let error = without_certificates(&Environment::from_pairs(variables));
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(error.to_string(), format!("no server can be trusted: {expected}"));
            assert_eq!(error.hint(), Some(hint));
        }
    }

    #[test]
    fn words_about_certificates_are_told_from_others() {
        for (words, expected) in [
            ("invalid peer certificate: UnknownIssuer", Some(ErrorKind::Config)),
            ("invalid peer certificate: certificate expired", Some(ErrorKind::Network)),
            ("invalid peer certificate: NotValidForName", Some(ErrorKind::Network)),
            ("Connection refused (os error 111)", None),
            ("received fatal alert: HandshakeFailure", None),
        ] {
            assert_eq!(distrust(words).map(|(kind, _)| kind), expected, "{words}");
        }
    }
}
