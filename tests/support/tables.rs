//! Tables and rows of destinations, for tests.
