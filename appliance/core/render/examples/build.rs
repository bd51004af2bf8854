//! Prints what a folder of this machine builds to: `build [--root FOLDER] FOLDER`.
//!
//! The root, which the kustomization cannot leave, is that of the Git repository around the
//! folder; without one it is the current folder if that is above it, and else the folder itself.
//! `--load-restrictor` and its value are taken as kustomize takes them, and change nothing.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for the terminal, which reads files and prints"
)]

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use fyr_model::{File, SourceTree};

fn main() -> ExitCode {
    match run(env::args_os().skip(1)) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<String, Box<dyn Error>> {
    let usage = "usage: build [--root FOLDER] FOLDER";
    let mut root = None;
    let mut folder = None;
    while let Some(argument) = arguments.next() {
        if argument == "--root" {
            root = Some(PathBuf::from(arguments.next().ok_or(usage)?));
        } else if argument == "--load-restrictor" {
            arguments.next().ok_or(usage)?;
        } else if folder.replace(PathBuf::from(argument)).is_some() {
            return Err(usage.into());
        }
    }
    let folder = fs::canonicalize(folder.ok_or(usage)?)?;
    let root = match root {
        Some(root) => fs::canonicalize(root)?,
        None => root_of(&folder)?,
    };
    let mut tree = SourceTree::default();
    read(&root, &root, &mut tree)?;
    let path = text(folder.strip_prefix(&root)?)?;
    Ok(fyr_render::build(&tree, path)?)
}

fn root_of(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let current = env::current_dir()?.canonicalize()?;
    let repository = folder.ancestors().find(|above| above.join(".git").exists());
    let root = match repository {
        Some(root) => root.to_owned(),
        None if folder.starts_with(&current) => current,
        None => folder.to_owned(),
    };
    Ok(root)
}

fn read(root: &Path, folder: &Path, tree: &mut SourceTree) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let relative = text(path.strip_prefix(root)?)?;
        if kind.is_symlink() {
            // One that leaves the root is as if it were not there.
            let _leaves =
                tree.insert(relative, File::Link(text(&fs::read_link(&path)?)?.to_owned()));
        } else if kind.is_file() {
            tree.insert_bytes(relative, fs::read(&path)?)?;
        } else if kind.is_dir() && entry.file_name() != ".git" {
            read(root, &path, tree)?;
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str, Box<dyn Error>> {
    Ok(path.to_str().ok_or_else(|| format!("{} is not text", path.display()))?)
}
