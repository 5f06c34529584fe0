//! Values there and back.
