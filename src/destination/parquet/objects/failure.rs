//! What is said when an object store refuses.

use std::borrow::Cow;

use object_store::Error as StoreError;

use super::transport::own;
use crate::config::Service;
use crate::error::{Error, ErrorKind};

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
    let mut words: Vec<Cow<'_, str>> = said.split_whitespace().map(place_alone).collect();
    words.extend(["Code", "Message"].iter().filter_map(|tag| within(answer, tag).map(Cow::from)));
    let line = words.join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST).chain(['…']).collect()
}

/// A word, of which only scheme, host and path are left if it is a URL.
fn place_alone(word: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = word.split_once("://") else { return word.into() };
    let place = rest.split('?').next().unwrap_or_default();
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}").into(),
        None => format!("{scheme}://{place}").into(),
    }
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
