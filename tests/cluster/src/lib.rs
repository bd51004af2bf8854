//! Real control planes, Git servers and faults for the tests.
