//! What several test modules share.

pub(crate) mod binary;
pub(crate) mod tables;
pub(crate) mod world;
