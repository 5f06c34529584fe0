//! What is said when an object store refuses.

use std::borrow::Cow;

use object_store::Error as StoreError;
use url::Url;

use super::transport::own;
use crate::config::Service;
use crate::error::{Error, ErrorKind};
use crate::printable;

/// Longest text of a store that is repeated, in characters.
const LONGEST: usize = 300;

/// An object with which something could not be done.
pub(super) fn refused(service: Service, what: &str, shown: &str, error: &StoreError) -> Error {
    if let Some(own) = own(error) {
        return own.clone().within(format!("{shown} cannot be {what}"));
    }
    let said = without_secrets(error);
    let refused = Error::new(ErrorKind::Destination, format!("{shown} cannot be {what}")).with_source(said);
    match hint(service, error) {
        Some(hint) => refused.with_hint(hint),
        None => refused,
    }
}

/// Whether it says that there is no bucket, where an object was asked for.
pub(super) fn is_without_bucket(error: &StoreError) -> bool {
    let text = error.to_string();
    ["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"]
        .iter()
        .any(|words| text.contains(words))
}

fn hint(service: Service, error: &StoreError) -> Option<String> {
    let text = error.to_string();
    let holds = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if is_without_bucket(error) {
        return Some("make the bucket first; ingest only makes what is in it".to_owned());
    }
    let of_another_region = [
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraint",
        "redirect without LOCATION",
    ];
    if holds(&of_another_region) {
        return Some("the bucket is in another region: set region, or AWS_REGION".to_owned());
    }
    let is_refused =
        matches!(error, StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. });
    // Where machines ask for the keys of their role.
    let is_without_key = holds(&["169.254.169.254", "metadata.google.internal", "169.254.170.2"]);
    (is_refused || is_without_key).then(|| how_to_get_in(service))
}

/// Where credentials are looked for.
pub(super) fn how_to_get_in(service: Service) -> String {
    let (keys, variables) = match service {
        Service::S3 => (
            "access_key_id and secret_access_key",
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (profiles are not read)",
        ),
        Service::Gs => ("service_account", "GOOGLE_APPLICATION_CREDENTIALS"),
        Service::Az => (
            "account, and account_key or sas_token",
            "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
        ),
    };
    format!(
        "give {keys} in connections.yml, or export {variables}; they need to read, write, list and delete"
    )
}

/// What the store says, in one line: without what stands in the query of a URL, which may be a signature, or before its
/// host, which may be a password, and of an answer in XML only its code and its message, since some repeat what they were sent.
pub(super) fn without_secrets(error: &StoreError) -> String {
    let text = error.to_string();
    let (said, answer) = text.split_at(text.find("<?xml").or(text.find("<Error>")).unwrap_or(text.len()));
    let mut words: Vec<Cow<'_, str>> = said.split_whitespace().map(without_keys).collect();
    words.extend(["Code", "Message"].iter().filter_map(|tag| within(answer, tag).map(Cow::from)));
    printable::cleaned(&words.join(" "), LONGEST)
}

/// A URL without its query, and without a name and a password before its host; any other word as it is.
fn without_keys(word: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = word.split_once("://") else { return word.into() };
    let place = rest.split('?').next().unwrap_or_default();
    let end = place.find('/').unwrap_or(place.len());
    match place.split_at(end) {
        (host, path) if host.contains('@') => {
            let host = host.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}").into()
        }
        _ => word.split('?').next().unwrap_or_default().into(),
    }
}

/// What must not be printed of an option that opens a store: keys and tokens, signatures, and passwords in URLs, as they
/// are written and as they are meant.
pub(super) fn secrets_of(name: &str, value: &str) -> Vec<String> {
    let is_place = ["_file", "_path", "_uri", "_id"].iter().any(|ending| name.ends_with(ending));
    let is_secret = ["secret", "token", "sas", "password"].iter().any(|word| name.contains(word))
        || ["_key", "_key_base64"].iter().any(|ending| name.ends_with(ending));
    let mut secrets = Vec::new();
    if is_secret && !is_place {
        secrets.push(value.to_owned());
        let signature = value.trim_start_matches('?').split('&').find_map(|part| part.strip_prefix("sig="));
        secrets.extend(signature.map(str::to_owned));
    }
    if let Some(password) = Url::parse(value).ok().as_ref().and_then(Url::password) {
        secrets.push(password.to_owned());
    }
    let meant = |written: &String| {
        let as_query = written.replace('+', "%2B");
        let pairs = url::form_urlencoded::parse(as_query.as_bytes());
        pairs.map(|(name, _)| name.into_owned()).next().filter(|meant| meant != written)
    };
    let meant: Vec<String> =
        secrets.iter().filter(|secret| !secret.contains(['&', '='])).filter_map(meant).collect();
    secrets.extend(meant);
    secrets
}

/// What stands in the first element of this name.
fn within<'t>(xml: &'t str, tag: &str) -> Option<&'t str> {
    let (_, rest) = xml.split_once(&format!("<{tag}>"))?;
    Some(rest.split_once(&format!("</{tag}>"))?.0.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> StoreError {
        StoreError::Generic { store: "S3", source: text.to_owned().into() }
    }

    #[test]
    fn signatures_are_not_repeated() {
        let error =
            generic("error performing GET https://a.example/c/x?sv=1&sig=SECRET in 3s:\n  no  answer");
        let said = without_secrets(&error);
        assert_eq!(said, "Generic S3 error: error performing GET https://a.example/c/x in 3s: no answer");
        let error = generic(
            "status 400: <?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>It is over.</Message>\
             <Token-0>SECRET</Token-0></Error>",
        );
        assert_eq!(without_secrets(&error), "Generic S3 error: status 400: ExpiredToken It is over.");
        let error = generic("error performing GET http://ada:s3cret@host:9000/c/x?sig=SECRET in 3s");
        assert_eq!(
            without_secrets(&error),
            "Generic S3 error: error performing GET http://host:9000/c/x in 3s"
        );
        assert!(without_secrets(&generic(&"x".repeat(9999))).chars().count() <= LONGEST + 1);
    }

    #[test]
    fn passwords_in_urls_are_not_repeated() {
        for (word, expected) in [
            ("https://u:pass@a.example/c/x?sig=y", "https://a.example/c/x"),
            ("(http://u:p@ss@a.example:9000", "(http://a.example:9000"),
            ("https://a.example/c/@x?y", "https://a.example/c/@x"),
            ("u:pass@a.example", "u:pass@a.example"),
            ("plain?", "plain?"),
        ] {
            assert_eq!(without_keys(word), expected);
        }
    }

    #[test]
    fn options_that_hold_secrets() {
        for (name, value, expected) in [
            ("aws_secret_access_key", "abc+/d", vec!["abc+/d"]),
            ("aws_session_token", "abc", vec!["abc"]),
            ("azure_storage_account_key", "abc==", vec!["abc=="]),
            ("azure_storage_sas_token", "?sv=1&sig=a%2Bb%3D", vec!["?sv=1&sig=a%2Bb%3D", "a%2Bb%3D", "a+b="]),
            ("aws_endpoint", "https://user:p%40ss@a.example", vec!["p%40ss", "p@ss"]),
            ("aws_access_key_id", "abc", vec![]),
            ("aws_web_identity_token_file", "/var/token", vec![]),
            ("google_service_account", "x.json", vec![]),
            ("aws_region", "eu-west-1", vec![]),
        ] {
            assert_eq!(secrets_of(name, value), expected, "{name}");
        }
    }

    #[test]
    fn what_helps_is_said() {
        for (error, expected) in [
            (generic("404: <Code>NoSuchBucket</Code>"), Some("make the bucket first")),
            (generic("301: PermanentRedirect"), Some("another region")),
            (generic("Received redirect without LOCATION, this normally"), Some("another region")),
            (
                generic("error performing PUT http://169.254.169.254/latest/api/token"),
                Some("AWS_ACCESS_KEY_ID"),
            ),
            (
                StoreError::PermissionDenied { path: "x".into(), source: "403".into() },
                Some("give access_key_id and secret_access_key"),
            ),
            (generic("500"), None),
        ] {
            let error = refused(Service::S3, "read", "s3://b/x", &error);
            assert_eq!(error.to_string(), "s3://b/x cannot be read");
            assert_eq!(error.hint().is_some(), expected.is_some());
            assert!(error.hint().unwrap_or_default().contains(expected.unwrap_or_default()), "{error:?}");
        }
    }
}
