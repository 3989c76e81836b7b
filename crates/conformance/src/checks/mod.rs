//! The checks, one file per group.

mod capturing;
mod damage;
mod description;
mod limits;
mod listing;
mod object_lists;
mod object_verdicts;
mod objects;
mod offers;
mod opening;
mod probing;
mod reading;
mod removing;
mod storing;
mod trees;
mod verdicts;

use crate::suite::Check;

/// All checks, in the order in which they are run.
pub(crate) const ALL: &[&[Check]] = &[
    description::CHECKS,
    opening::CHECKS,
    storing::CHECKS,
    trees::CHECKS,
    offers::CHECKS,
    verdicts::CHECKS,
    reading::CHECKS,
    listing::CHECKS,
    removing::CHECKS,
    damage::CHECKS,
    probing::CHECKS,
    limits::CHECKS,
    capturing::CHECKS,
    objects::CHECKS,
    object_lists::CHECKS,
    object_verdicts::CHECKS,
];

/// The checks of a group: the function that tries a rule has the name of the check.
macro_rules! checks {
    ($group:ident: $($name:literal $try_it:ident, $rule:literal, $expected:literal;)*) => {
        pub(super) const CHECKS: &[$crate::suite::Check] = &[$(
            $crate::suite::Check {
                name: $name,
                group: $crate::suite::Group::$group,
                rule: $rule,
                expected: $expected,
                try_it: |lab| Box::pin($try_it(lab)),
            },
        )*];
    };
}

use checks;
