mod intercom;
mod support {
    pub(crate) mod truth;
    pub(crate) mod world;
    pub(crate) mod wrapped;
}
