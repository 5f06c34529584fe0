//! Error answers in the shape the API documents: `{"type":"error.list","request_id":…,"errors":[…]}`.

use super::json::{Object, Raw, array};

/// A refusal: status, machine-readable code, sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    /// Empty where the API gives none.
    pub(crate) code: String,
    pub(crate) message: String,
    /// Target of a `Link: …; rel="canonical"` header, for merged contacts.
    pub(crate) canonical: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), canonical: None }
    }

    /// 400 `parameter_invalid`: a parameter is there and wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "parameter_invalid", message)
    }

    /// 400 `invalid_field`: no search knows that field.
    pub(crate) fn field(name: &str) -> Self {
        Self::new(400, "invalid_field", format!("{name} is not a valid search field"))
    }

    /// 400 `intercom_version_invalid`: the version has no such thing.
    pub(crate) fn version() -> Self {
        let message = "Requested resource is not available in current API version.";
        Self::new(400, "intercom_version_invalid", message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "not_found", "Resource Not Found")
    }

    /// The answer's body.
    pub(crate) fn body(&self, request_id: &str) -> String {
        let mut error = Object::new();
        if !self.code.is_empty() {
            error.put("code", &self.code);
        }
        error.put("message", &self.message);
        let errors = array([error.done()]);
        Object::new()
            .put("type", "error.list")
            .put("request_id", request_id)
            .put("errors", Raw(&errors))
            .done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_documented_shape() {
        let error = ApiError::new(400, "scroll_exists", "scroll already exists for this workspace");
        assert_eq!(
            error.body("r-1"),
            "{\"type\":\"error.list\",\"request_id\":\"r-1\",\"errors\":[{\"code\":\"scroll_exists\",\
             \"message\":\"scroll already exists for this workspace\"}]}"
        );
    }
}
