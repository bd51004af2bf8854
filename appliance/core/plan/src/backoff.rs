//! When to try again: after a heal that did not work, and after a sync that failed.

use std::time::{Duration, SystemTime};

use fyr_model::{Automated, Retry};

use crate::ErrorClass;

/// Waits between heals that fail: none before the first, then 2 s, three times as long each time,
/// at most 5 min. Argo CD's numbers.
const HEAL_FIRST: Duration = Duration::from_secs(2);
const HEAL_FACTOR: u32 = 3;
const HEAL_MAX: Duration = Duration::from_mins(5);

/// Waits between slow retries, for syncs that failed as often as they may: a world or a manifest
/// that was wrong for minutes is asked rarely, and never given up.
const SLOW_FIRST: Duration = Duration::from_mins(5);
const SLOW_MAX: Duration = Duration::from_hours(1);

/// A plan whose base was stale is made anew at once, this often; then it is a failure like others.
const STALE_MAX: u32 = 3;

/// Heals of one application that failed in a row.
///
/// Argo CD counts heals that worked as well. Fyr does not: what is changed by hand twice in a
/// minute is reverted twice at once, and what keeps changing is a fight (see [`crate::Fights`]).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HealBackoff {
    failures: u32,
    ended_at: Option<SystemTime>,
}

impl HealBackoff {
    /// When the next heal may begin; `None` is now.
    pub fn due_at(&self) -> Option<SystemTime> {
        let ended_at = self.ended_at?;
        let factor = HEAL_FACTOR.checked_pow(self.failures.checked_sub(1)?).unwrap_or(u32::MAX);
        Some(ended_at + HEAL_FIRST.saturating_mul(factor).min(HEAL_MAX))
    }

    /// A heal ended.
    pub fn ended(&mut self, succeeded: bool, now: SystemTime) {
        self.failures = if succeeded { 0 } else { self.failures.saturating_add(1) };
        self.ended_at = Some(now);
    }

    /// The desired state is new: earlier failures say nothing any more.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// What to do after a sync that failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextTry {
    /// Try again then.
    At(SystemTime),
    /// Wait for a change of the desired state, or for a person.
    OnChange,
}

/// Decides when a sync that failed is tried again.
///
/// `failures` counts the failed tries in a row including this one, `ended_at` is when it ended,
/// `classes` are the kinds of its errors. Up to the limit of `retry` (5 for an automated sync that
/// says nothing, 0 for one by hand) the waits are those of `retry`; errors of the manifest skip
/// them, since trying again soon changes nothing. After that, automated syncs go on slowly, those
/// with errors of the manifest only with self-healing: Argo CD never tries again (its issue
/// 18442), which leaves applications broken long after the cause is gone.
pub fn next_try(
    retry: Option<&Retry>,
    automated: Option<&Automated>,
    failures: u32,
    classes: &[ErrorClass],
    ended_at: SystemTime,
) -> NextTry {
    let previous = failures.saturating_sub(1);
    if classes.contains(&ErrorClass::Stale) && failures <= STALE_MAX {
        return NextTry::At(ended_at);
    }
    let implied = Retry {
        limit: Some(if automated.is_some() { Retry::AUTOMATED_LIMIT } else { 0 }),
        ..Retry::default()
    };
    let retry = retry.unwrap_or(&implied);
    let outside = classes.is_empty() || classes.iter().any(|class| passes(*class));
    if outside && retry.limit.is_none_or(|limit| failures <= limit) {
        return NextTry::At(ended_at + retry.wait(previous));
    }
    let slow = automated.is_some_and(|automated| outside || automated.self_heal);
    if !slow {
        return NextTry::OnChange;
    }
    let fast = if outside { retry.limit.unwrap_or_default() } else { 0 };
    let doublings = previous.saturating_sub(fast);
    let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
    NextTry::At(ended_at + SLOW_FIRST.saturating_mul(factor).min(SLOW_MAX))
}

/// Whether an error may go away without a change of the manifest.
fn passes(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Invalid
        | ErrorClass::Immutable
        | ErrorClass::Forbidden
        | ErrorClass::Denied => false,
        ErrorClass::NoSuchKind
        | ErrorClass::NoNamespace
        | ErrorClass::Stale
        | ErrorClass::Transient
        | ErrorClass::Unreachable => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: SystemTime = SystemTime::UNIX_EPOCH;

    fn seconds(next: NextTry) -> Option<u64> {
        match next {
            NextTry::At(at) => Some(at.duration_since(END).unwrap().as_secs()),
            NextTry::OnChange => None,
        }
    }

    fn waits(automated: Option<&Automated>, class: ErrorClass) -> Vec<Option<u64>> {
        (1..=8)
            .map(|failures| seconds(next_try(None, automated, failures, &[class], END)))
            .collect()
    }

    #[test]
    fn a_heal_that_works_never_waits_and_one_that_fails_waits_longer_each_time() {
        let mut backoff = HealBackoff::default();
        assert_eq!(backoff.due_at(), None);
        for wait in [2, 6, 18, 54, 162, 300, 300] {
            backoff.ended(false, END);
            assert_eq!(backoff.due_at(), Some(END + Duration::from_secs(wait)));
        }
        backoff.ended(true, END);
        assert_eq!(backoff.due_at(), None);
        backoff.ended(false, END);
        backoff.reset();
        assert_eq!(backoff.due_at(), None);
    }

    #[test]
    fn an_automated_sync_is_tried_five_times_and_then_slowly_for_ever() {
        let automated = Automated::default();
        let expected = [5, 10, 20, 40, 80, 300, 600, 1200].map(Some);
        assert_eq!(waits(Some(&automated), ErrorClass::Transient), expected);
        let last = next_try(None, Some(&automated), u32::MAX, &[ErrorClass::Transient], END);
        assert_eq!(seconds(last), Some(3600));
    }

    #[test]
    fn a_sync_by_hand_is_not_tried_again() {
        assert_eq!(waits(None, ErrorClass::Transient), [None; 8]);
    }

    #[test]
    fn an_error_of_the_manifest_is_tried_again_slowly_and_only_when_self_healing() {
        let plain = Automated::default();
        let healing = Automated { self_heal: true, ..plain };
        assert_eq!(waits(Some(&plain), ErrorClass::Invalid), [None; 8]);
        let slow = [300, 600, 1200, 2400, 3600, 3600, 3600, 3600].map(Some);
        assert_eq!(waits(Some(&healing), ErrorClass::Forbidden), slow);
    }

    #[test]
    fn a_stale_plan_is_made_anew_at_once_but_not_for_ever() {
        assert_eq!(waits(None, ErrorClass::Stale)[..4], [Some(0), Some(0), Some(0), None]);
    }

    #[test]
    fn what_the_manifest_says_about_retries_counts() {
        let retry = Retry { limit: Some(1), factor: 1, ..Retry::default() };
        let next = |failures| {
            seconds(next_try(Some(&retry), None, failures, &[ErrorClass::Transient], END))
        };
        assert_eq!([next(1), next(2)], [Some(5), None]);
        let endless = Retry { limit: None, ..Retry::default() };
        let next = next_try(Some(&endless), None, 1000, &[ErrorClass::Transient], END);
        assert_eq!(seconds(next), Some(180));
    }
}
