//! How much of what a plan allows is used, as facts on a page.

use super::{
    badge::{Badge, Tone},
    cell::Cell,
    record::Section,
};
use crate::models::{Limits, Resource, Usage};

/// "Limits used": for each thing how much there is, of how much.
pub fn section(limits: &Limits, usage: &Usage) -> Section {
    let section = Section::new("Limits used").fact("Plan", limits.plan.as_str());
    Resource::ALL.iter().fold(section, |section, resource| {
        let used = usage.of(*resource);
        let cell = match limits.of(*resource) {
            None => Cell::text(format!("{}, without limit", resource.amount(used))),
            Some(most) => {
                let share = i128::from(used) * 100 / i128::from(most.max(1));
                let words = format!("{} of {} ({share} %)", resource.amount(used), resource.amount(most));
                if used >= most {
                    Cell::badge(Badge::new(Tone::Bad, "Full")).note(words)
                } else if limits.is_near(*resource, used) {
                    Cell::badge(Badge::new(Tone::Held, "Nearly full")).note(words)
                } else {
                    Cell::text(words)
                }
            }
        };
        section.fact(resource.label(), cell)
    })
}
