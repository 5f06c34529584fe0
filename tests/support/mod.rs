//! What several test modules share.

pub(crate) mod binary;
pub(crate) mod object_store;
pub(crate) mod odd_server;
pub(crate) mod secret_server;
pub(crate) mod tables;
pub(crate) mod truth;
pub(crate) mod world;
pub(crate) mod wrapped;
