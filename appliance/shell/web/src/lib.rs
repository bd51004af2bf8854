//! The API of fyrd.
