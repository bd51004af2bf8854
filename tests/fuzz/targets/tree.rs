//! A small tree of files, built.
#![no_main]

#[path = "../input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| input::tree(bytes));
