//! Mirrors against real repositories made by git.
//!
//! The program has its own `main` because a mirror starts this very executable as its worker.

#![expect(clippy::unwrap_used, reason = "clippy does not see that all of this is tests")]

mod fetching;
mod fixture;
mod maintaining;
mod reading;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

macro_rules! trials {
    ($($module:ident: [$($name:ident),* $(,)?]),* $(,)?) => {
        vec![$($(trial(
            concat!(stringify!($module), "::", stringify!($name)),
            $module::$name,
        )),*),*]
    };
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(fyr_git::WORKER_ARGUMENT) {
        return fyr_git::worker_main();
    }
    let trials = trials![
        fetching: [
            a_first_fetch_brings_branches_and_tags_and_a_second_nothing,
            listing_writes_nothing_to_the_mirror,
            a_force_push_is_followed,
            a_branch_that_takes_the_place_of_a_folder_is_followed,
            what_is_deleted_at_the_host_is_forgotten,
            a_branch_and_a_tag_of_one_name_stay_two,
            another_default_branch_is_a_change,
            an_empty_repository_is_fetched_and_filled_later,
            what_the_caller_knows_decides_what_changed,
            references_are_there_without_the_git_host,
            a_repository_with_sha256_ids_is_fetched_and_read,
            a_missing_repository_is_told_from_a_broken_one,
            limits_on_references_packs_and_objects_hold,
            a_host_that_never_answers_is_given_up_at_the_deadline,
            a_call_that_is_dropped_takes_its_worker_along,
            a_host_that_never_answers_keeps_nobody_from_pinning_and_reading,
            two_fetches_at_once_both_find_the_same,
            a_fetch_killed_at_any_moment_is_finished_by_the_next,
            what_a_killed_writer_left_is_no_obstacle,
            a_damaged_mirror_says_so_and_starts_afresh_once_discarded,
            a_worker_that_no_daemon_started_does_nothing,
        ],
        reading: [
            a_tree_is_read_with_links_and_submodules_and_without_what_is_too_large,
            a_scope_reads_only_what_is_in_it,
            a_link_that_leaves_the_repository_spoils_nothing_but_itself,
            limits_on_files_bytes_and_depth_hold,
            names_that_no_file_may_have_are_refused,
            a_tree_that_multiplies_itself_ends_at_the_limit,
            an_object_that_is_not_what_its_id_says_is_found_out,
            a_truncated_pack_ends_the_worker_and_not_the_daemon,
            a_commit_is_described_on_one_line,
            the_beginning_of_an_id_finds_its_commit,
            what_is_no_commit_is_told_apart_from_what_is_not_there,
        ],
        maintaining: [
            forty_fetches_become_one_pack_and_a_pinned_commit_stays,
            few_packs_are_left_alone,
            pins_survive_fetches_and_are_listed_by_name,
            a_pin_needs_a_name_and_a_commit,
        ],
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test whose panics are its failures, on a runtime of its own.
fn trial(name: &str, test: fn(fixture::Fixture) -> fixture::Run) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(test(fixture::Fixture::new()));
        Ok(())
    })
}
