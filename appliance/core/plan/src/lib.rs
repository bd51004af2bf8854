//! Decides what to change on a cluster, and says how an application stands.
