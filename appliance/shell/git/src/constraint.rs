//! Version constraints as `targetRevision` takes them: the syntax of Masterminds/semver, which
//! Argo CD uses.
//!
//! `||` is or; a comma or a space is and; `1.2 - 1.4` is a range; `x`, `X`, `*` and a missing part
//! are wildcards. A version with a pre-release only matches beside a bound that has one (`>=1-0`).

use semver::{Prerelease, Version};

/// A parsed constraint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Constraint {
    /// One of these has to match; in each, all bounds have to.
    alternatives: Vec<Vec<Bound>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Bound {
    operator: Operator,
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: Prerelease,
}

/// Longest first, so that `>=` is not read as `>`.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl Constraint {
    /// Parses a constraint; `None` if the text is none, or is a single plain version, which names
    /// one tag and constrains nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || parse_version(text).is_some() {
            return None;
        }
        let alternatives = text.split("||").map(parse_all).collect::<Option<_>>()?;
        Some(Self { alternatives })
    }

    /// Whether `version` satisfies the constraint.
    pub(crate) fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|bounds| {
            let takes_pre = bounds.iter().any(|bound| !bound.pre.is_empty());
            (version.pre.is_empty() || takes_pre)
                && bounds.iter().all(|bound| bound.matches(version))
        })
    }
}

/// Reads a tag as a version: an optional `v`, and missing parts are zero.
pub(crate) fn parse_version(text: &str) -> Option<Version> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let core_end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, suffix) = text.split_at(core_end);
    let padding = match core.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => "",
    };
    Version::parse(&format!("{core}{padding}{suffix}")).ok()
}

fn parse_all(text: &str) -> Option<Vec<Bound>> {
    let words: Vec<&str> = text.split([',', ' ', '\t']).filter(|word| !word.is_empty()).collect();
    if let [low, "-", high] = words.as_slice() {
        let low = Bound::parse(Operator::GreaterOrEqual, low)?;
        return Some(vec![low, Bound::parse(Operator::LessOrEqual, high)?]);
    }
    let mut bounds = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let found = OPERATORS.iter().find(|(sign, _)| word.starts_with(sign));
        let (sign, operator) = found.copied().unwrap_or(("", Operator::Equal));
        let rest = &word[sign.len()..];
        // `>= 1.2` is written with a space as often as without.
        let version = if rest.is_empty() { words.next()? } else { rest };
        bounds.push(Bound::parse(operator, version)?);
    }
    (!bounds.is_empty()).then_some(bounds)
}

impl Bound {
    fn parse(operator: Operator, text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _build)| version);
        let (core, pre) = text.split_once('-').unwrap_or((text, ""));
        let mut parts = core.split('.');
        let mut part = || -> Option<Option<u64>> {
            match parts.next() {
                None | Some("x" | "X" | "*") => Some(None),
                Some(number) => number.parse().ok().map(Some),
            }
        };
        let (major, minor, patch) = (part()?, part()?, part()?);
        let minor = major.and(minor);
        let bound = Self {
            operator,
            major,
            minor,
            patch: minor.and(patch),
            pre: Prerelease::new(pre).ok()?,
        };
        parts.next().is_none().then_some(bound)
    }

    /// The lowest version that the written parts allow.
    fn floor(&self) -> Version {
        let or_zero = |part: Option<u64>| part.unwrap_or(0);
        let mut floor = Version::new(or_zero(self.major), or_zero(self.minor), or_zero(self.patch));
        floor.pre = self.pre.clone();
        floor
    }

    /// Whether all written parts of the core are those of `version`.
    fn same_core(&self, version: &Version) -> bool {
        let agrees = |part: Option<u64>, of: u64| part.is_none_or(|part| part == of);
        agrees(self.major, version.major)
            && agrees(self.minor, version.minor)
            && agrees(self.patch, version.patch)
    }

    fn matches(&self, version: &Version) -> bool {
        let floor = self.floor();
        // Build metadata has no order.
        let order = version.cmp_precedence(&floor);
        let partial = self.patch.is_none();
        match self.operator {
            Operator::Equal if partial => order.is_ge() && self.same_core(version),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual if partial => !self.same_core(version),
            Operator::NotEqual => order.is_ne(),
            Operator::Greater if partial => order.is_gt() && !self.same_core(version),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Less => order.is_lt() && self.major.is_some(),
            Operator::LessOrEqual if partial => order.is_lt() || self.same_core(version),
            Operator::LessOrEqual => order.is_le(),
            Operator::Tilde => {
                let minor = Self { patch: None, ..self.clone() };
                order.is_ge() && minor.same_core(version)
            }
            Operator::Caret => order.is_ge() && self.caret_scope().same_core(version),
        }
    }

    /// The parts a caret holds fast: up to and including the first that is not zero.
    fn caret_scope(&self) -> Self {
        let scope = Self { pre: Prerelease::EMPTY, ..self.clone() };
        match (self.major, self.minor, self.patch) {
            (Some(0), Some(0), Some(_)) => scope,
            (Some(0), Some(_), _) => Self { patch: None, ..scope },
            _ => Self { minor: None, patch: None, ..scope },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The versions of `candidates` that match.
    fn matching<'a>(constraint: &str, candidates: &[&'a str]) -> Vec<&'a str> {
        let parsed = Constraint::parse(constraint).expect(constraint);
        let takes = |text: &&&str| parsed.matches(&parse_version(text).expect("a version"));
        candidates.iter().filter(takes).copied().collect()
    }

    #[test]
    fn every_operator_takes_and_refuses_what_masterminds_does() {
        let versions =
            ["0.0.3", "0.2.5", "1.0.0", "1.2.0", "1.2.9", "1.3.0", "2.0.0", "2.1.0", "3.0.0"];
        for (constraint, expected) in [
            ("*", &versions[..]),
            ("1.x", &["1.0.0", "1.2.0", "1.2.9", "1.3.0"]),
            ("1.2.*", &["1.2.0", "1.2.9"]),
            ("=1.2", &["1.2.0", "1.2.9"]),
            ("=1.2.0", &["1.2.0"]),
            ("!=1", &["0.0.3", "0.2.5", "2.0.0", "2.1.0", "3.0.0"]),
            (">1", &["2.0.0", "2.1.0", "3.0.0"]),
            (">1.2", &["1.3.0", "2.0.0", "2.1.0", "3.0.0"]),
            (">= 2.1", &["2.1.0", "3.0.0"]),
            ("<1", &["0.0.3", "0.2.5"]),
            ("<=1", &["0.0.3", "0.2.5", "1.0.0", "1.2.0", "1.2.9", "1.3.0"]),
            ("~1", &["1.0.0", "1.2.0", "1.2.9", "1.3.0"]),
            ("~1.2", &["1.2.0", "1.2.9"]),
            ("~1.2.5", &["1.2.9"]),
            ("^1.2", &["1.2.0", "1.2.9", "1.3.0"]),
            ("^0.2.3", &["0.2.5"]),
            ("^0.0.3", &["0.0.3"]),
            ("^0", &["0.0.3", "0.2.5"]),
            (">=1, <2", &["1.0.0", "1.2.0", "1.2.9", "1.3.0"]),
            (">=1.2.1 <2", &["1.2.9", "1.3.0"]),
            ("1.2 - 1.3", &["1.2.0", "1.2.9", "1.3.0"]),
            ("~1.2 || >=3", &["1.2.0", "1.2.9", "3.0.0"]),
        ] {
            assert_eq!(matching(constraint, &versions), expected, "{constraint}");
        }
    }

    #[test]
    fn prereleases_match_only_beside_a_bound_that_has_one() {
        let versions = ["1.0.0-rc.1", "1.0.0", "1.1.0-beta", "2.0.0-alpha"];
        assert_eq!(matching("*", &versions), ["1.0.0"]);
        assert_eq!(matching("*-0", &versions), versions);
        assert_eq!(matching("^1.0.0-rc.1", &versions), ["1.0.0-rc.1", "1.0.0", "1.1.0-beta"]);
        assert_eq!(matching(">=1.1.0-a", &versions), ["1.1.0-beta", "2.0.0-alpha"]);
    }

    #[test]
    fn plain_versions_and_names_are_no_constraints() {
        for text in
            ["", "1.2.3", "v1.2", "2", "main", "feature/x", "release-1.x", "1.2.3.4", "abc1234"]
        {
            assert!(Constraint::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn tags_are_read_with_and_without_v_and_short() {
        assert_eq!(parse_version("v1.2"), parse_version("1.2.0"));
        assert_eq!(parse_version("v1.2-rc1"), parse_version("1.2.0-rc1"));
        for text in ["", "v", "release-1", "1.2.3.4", "1.02"] {
            assert!(parse_version(text).is_none(), "{text}");
        }
    }
}
