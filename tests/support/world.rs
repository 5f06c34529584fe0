//! Sandboxes and runs against them.
