//! Documentation and program agree.
