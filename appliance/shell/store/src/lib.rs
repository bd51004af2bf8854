//! fyrd's own state in SQLite: inventory, history, operations.
