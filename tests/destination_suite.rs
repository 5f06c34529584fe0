//! Every promise of a destination, for every destination.
