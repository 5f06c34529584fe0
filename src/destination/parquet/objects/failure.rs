//! What is said when an object store refuses.

use object_store::Error as StoreError;

use crate::config::Service;
use crate::error::{Error, ErrorKind};

/// Longest text of a store that is repeated, in characters.
const LONGEST: usize = 300;

/// An object with which something could not be done.
pub(super) fn refused(service: Service, what: &str, shown: &str, error: &StoreError) -> Error {
    let said = without_secrets(error);
    let hint = hint(service, error, &said);
    let error = Error::new(ErrorKind::Destination, format!("{shown} cannot be {what}")).with_source(said);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn hint(service: Service, error: &StoreError, said: &str) -> Option<String> {
    let holds = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if holds(&["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"]) {
        return Some("make the bucket first; ingest only makes what is in it".to_owned());
    }
    if holds(&["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"]) {
        return Some("the bucket is in another region: set region, or AWS_REGION".to_owned());
    }
    let is_without_key = holds(&["169.254.169.254", "metadata.google.internal", "169.254.170.2"]);
    match error {
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            Some(how_to_get_in(service))
        }
        _ if is_without_key => Some(how_to_get_in(service)),
        _ => None,
    }
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

/// What the store says, in one line, without what stands in the query of a URL: it may be a signature.
pub(super) fn without_secrets(error: &StoreError) -> String {
    let mut text = String::new();
    for word in error.to_string().split_whitespace() {
        let bare = if word.contains("://") { word.split('?').next().unwrap_or_default() } else { word };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(bare);
    }
    if text.chars().count() > LONGEST {
        text = text.chars().take(LONGEST).chain(['…']).collect();
    }
    text
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
        assert!(without_secrets(&generic(&"x".repeat(9999))).chars().count() <= LONGEST + 1);
    }

    #[test]
    fn what_helps_is_said() {
        for (error, expected) in [
            (generic("404: <Code>NoSuchBucket</Code>"), Some("make the bucket first")),
            (generic("301: PermanentRedirect"), Some("another region")),
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
