//! Fights: something else keeps changing back what we heal.
//!
//! Each heal of an object adds 1 to its heat, which decays with e to the power of minus the minutes
//! gone by. More than 5 is a fight: more than about five heals a minute. The object then rests, for
//! twice as long with every further heal, until it stays healed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use fyr_model::ObjectKey;

/// More heals a minute than a person makes by hand.
const HEAT_MAX: f64 = 5.0;
/// Heat below which an object's past is forgotten: about 4 minutes after a single heal.
const HEAT_MIN: f64 = 0.02;
const REST_FIRST: Duration = Duration::from_secs(15);
const REST_MAX: Duration = Duration::from_mins(15);

#[derive(Clone, Copy, Debug)]
struct Fight {
    heat: f64,
    healed_at: SystemTime,
    /// Heals since the fight began; 0 is peace.
    rounds: u32,
}

/// The heat of the objects of one application. Not stored: after a restart all begin cold.
#[derive(Clone, Debug, Default)]
pub struct Fights {
    objects: BTreeMap<ObjectKey, Fight>,
}

impl Fights {
    /// An object was healed.
    pub fn healed(&mut self, key: &ObjectKey, now: SystemTime) {
        let fight = self.objects.entry(key.clone()).or_insert(Fight {
            heat: 0.0,
            healed_at: now,
            rounds: 0,
        });
        if fight.is_over(now) {
            fight.rounds = 0;
        }
        fight.heat = fight.heat_at(now) + 1.0;
        fight.healed_at = now;
        if fight.rounds > 0 || fight.heat > HEAT_MAX {
            fight.rounds = fight.rounds.saturating_add(1);
        }
    }

    /// Until when an object rests; `None` if it does not.
    pub fn rests_until(&self, key: &ObjectKey, now: SystemTime) -> Option<SystemTime> {
        let fight = self.objects.get(key)?;
        let until = fight.healed_at + fight.rest()?;
        (until > now).then_some(until)
    }

    /// The objects that rest at `now`, each with a sentence that names `manager`, who was last seen
    /// to change it, and the time at which the first of them is due again.
    pub fn resting(
        &self,
        now: SystemTime,
        manager: impl Fn(&ObjectKey) -> Option<String>,
    ) -> (BTreeMap<ObjectKey, String>, Option<SystemTime>) {
        let mut resting = BTreeMap::new();
        let mut first: Option<SystemTime> = None;
        for (key, fight) in &self.objects {
            let Some(until) = self.rests_until(key, now) else { continue };
            first = Some(first.map_or(until, |first| first.min(until)));
            let manager = manager(key).unwrap_or_else(|| "something".to_owned());
            let rest = fight.rest().unwrap_or_default().as_secs();
            let why = format!(
                "{key}: {manager} keeps changing it back, so it is healed at most every {rest} s"
            );
            resting.insert(key.clone(), why);
        }
        (resting, first)
    }

    /// Forgets objects that have been quiet for long, so that the map does not grow for ever.
    pub fn forget_quiet(&mut self, now: SystemTime) {
        self.objects.retain(|_, fight| fight.heat_at(now) > HEAT_MIN || !fight.is_over(now));
    }
}

impl Fight {
    fn heat_at(&self, now: SystemTime) -> f64 {
        let minutes = now.duration_since(self.healed_at).unwrap_or_default().as_secs_f64() / 60.0;
        self.heat * (-minutes).exp()
    }

    fn rest(&self) -> Option<Duration> {
        let doublings = self.rounds.checked_sub(1)?;
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        Some(REST_FIRST.saturating_mul(factor).min(REST_MAX))
    }

    /// A fight is over when the object stayed healed for twice its rest and a minute.
    fn is_over(&self, now: SystemTime) -> bool {
        let quiet = self.rest().unwrap_or_default().saturating_mul(2) + Duration::from_mins(1);
        now.duration_since(self.healed_at).is_ok_and(|gone| gone > quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ObjectKey {
        let [group, kind, namespace, name] = ["", "Service", "shop", "web"].map(str::to_owned);
        ObjectKey { group, kind, namespace, name }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn fighting() -> Fights {
        let mut fights = Fights::default();
        (0..6).for_each(|_| fights.healed(&key(), at(0)));
        fights
    }

    #[test]
    fn five_heals_at_once_or_any_number_of_slow_ones_are_no_fight() {
        let mut fights = Fights::default();
        (0..5).for_each(|_| fights.healed(&key(), at(0)));
        assert_eq!(fights.rests_until(&key(), at(0)), None);
        let mut fights = Fights::default();
        (0..1000).for_each(|step| fights.healed(&key(), at(step * 20)));
        assert_eq!(fights.rests_until(&key(), at(1000 * 20)), None);
    }

    #[test]
    fn a_fight_rests_twice_as_long_each_round_up_to_a_limit() {
        let mut fights = fighting();
        let mut now = at(0);
        for rest in [15, 30, 60, 120, 240, 480, 900, 900] {
            let until = fights.rests_until(&key(), now).unwrap();
            assert_eq!(until, now + Duration::from_secs(rest));
            assert_eq!(fights.rests_until(&key(), until), None);
            now = until;
            fights.healed(&key(), now);
        }
    }

    #[test]
    fn an_object_that_stays_healed_has_peace() {
        let mut fights = fighting();
        fights.healed(&key(), at(200));
        assert_eq!(fights.rests_until(&key(), at(200)), None);
        fights.forget_quiet(at(100_000));
        assert!(fights.objects.is_empty());
    }

    #[test]
    fn a_resting_object_says_who_fights_and_how_long() {
        let (resting, until) = fighting().resting(at(1), |_| Some("kubectl-edit".to_owned()));
        assert_eq!(until, Some(at(15)));
        let why = "Service shop/web: kubectl-edit keeps changing it back, so it is healed at most \
                   every 15 s";
        assert_eq!(resting[&key()], why);
        assert!(fighting().resting(at(15), |_| None).0.is_empty());
    }
}
