mod cli;
mod support {
    pub(crate) mod binary;
}
