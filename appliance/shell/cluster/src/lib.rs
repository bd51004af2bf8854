//! A managed cluster: discover, watch, apply, delete.
