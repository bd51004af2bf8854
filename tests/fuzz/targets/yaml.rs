//! Any bytes, read as YAML in every place where the renderer reads YAML.
#![no_main]

#[path = "../input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| input::yaml(bytes));
