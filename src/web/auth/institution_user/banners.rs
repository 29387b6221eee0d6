//! What stands above every page of an institution where something is not as usual.

use chrono::TimeDelta;

use super::{
    InstitutionUser,
    refusals::{MOVING, READ_ONLY},
};
use crate::{
    models::platform::{announcements::Level, subscriptions::Standing, tenant_databases::WriteBlock},
    services::sandboxes,
    web::{
        auth::identity,
        page::{Banner, NoticeKind},
        words::Noun,
    },
};

const DAY: Noun = Noun::new("day", "days");

impl InstitutionUser {
    /// The one banner of a page.
    pub(super) fn above(&self) -> Option<Banner> {
        self.marked(self.moving_banner().or_else(|| self.support_banner()).or_else(|| self.banner()))
    }

    /// A sandbox says on each page that it is one, whatever else there is to say.
    fn marked(&self, banner: Option<Banner>) -> Option<Banner> {
        let Some(sandbox) = &self.sandbox else { return banner };
        let sentence = sandboxes::sentence(sandbox);
        Some(match banner {
            Some(banner) => Banner { text: format!("{sentence} {}", banner.text), ..banner },
            None => Banner::new(NoticeKind::Warning, sentence),
        })
    }

    fn moving_banner(&self) -> Option<Banner> {
        self.write_block.map(|WriteBlock::Move| Banner::new(NoticeKind::Warning, MOVING))
    }

    fn support_banner(&self) -> Option<Banner> {
        let access = self.support.as_ref()?;
        let text = format!(
            "Support access until {}: you see what a viewer sees, and {} can read that you were here. Reason: {}",
            self.clock.exact(access.expires_at),
            self.institution.name,
            access.reason
        );
        let place = format!("/platform/institutions/{}", self.institution.domain);
        Some(Banner::new(NoticeKind::Warning, text).link("Back to the platform", place))
    }

    /// What is not as usual, the gravest only: what is owed before what is announced, but for work on the platform.
    fn banner(&self) -> Option<Banner> {
        let announced = self.announced();
        match announced {
            Some((Level::Maintenance, banner)) => Some(banner),
            other => match (self.terms_banner(), other) {
                (Some(own), Some((Level::Warning, said))) if own.kind == NoticeKind::Info => Some(said),
                (own, other) => own.or(other.map(|(_, banner)| banner)),
            },
        }
    }

    fn terms_banner(&self) -> Option<Banner> {
        let now = crate::db::now();
        let (kind, text) = match self.terms.standing(now) {
            Standing::Good => return None,
            Standing::Trial(end) => trial_words(end - now)?,
            Standing::Grace(until) => {
                let why = if self.terms.was_trial() { "The trial" } else { "The subscription" };
                let until = self.clock.exact(until);
                let text = format!(
                    "{why} has ended. Records can be changed until {until}, and only read after that. Ask the \
                     platform's administrators how to go on."
                );
                (NoticeKind::Warning, text)
            }
            Standing::ReadOnly => (NoticeKind::Error, format!("{READ_ONLY} Exports work.")),
        };
        Some(Banner::new(kind, text))
    }

    /// The gravest announcement that is meant for this institution and not put away.
    fn announced(&self) -> Option<(Level, Banner)> {
        if self.announcements.is_empty() {
            return None;
        }
        let (now, dismissed) = (crate::db::now(), identity::dismissed(&self.session));
        let open = self.announcements.iter().filter(|known| {
            known.holds(now) && known.concerns(&self.institution) && !dismissed.contains(&known.id)
        });
        let gravest = open.max_by_key(|known| known.level)?;
        let kind = if gravest.level == Level::Info { NoticeKind::Info } else { NoticeKind::Warning };
        let banner = Banner::new(kind, gravest.text.as_str());
        let banner = if gravest.dismissible == 1 {
            banner.dismiss(format!("/announcements/{}/dismissal", gravest.id))
        } else {
            banner
        };
        Some((gravest.level, banner))
    }
}

/// What is said of a trial that lasts so much longer; nothing while the end is far off.
fn trial_words(left: TimeDelta) -> Option<(NoticeKind, String)> {
    // `num_days` cuts towards zero: the first day after the end would be 0 as well.
    if left <= TimeDelta::zero() {
        let text = "The trial has ended. Ask the platform's administrators how to go on.";
        return Some((NoticeKind::Warning, text.to_owned()));
    }
    match left.num_days() {
        0 => Some((NoticeKind::Warning, "The trial ends within a day.".to_owned())),
        days @ 1..=7 => Some((NoticeKind::Info, format!("The trial ends in {}.", DAY.count(days)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_is_over_is_said_to_be_over() {
        let said = |hours| trial_words(TimeDelta::hours(hours)).map(|(_, text)| text);
        assert_eq!(said(24 * 9), None);
        assert_eq!(said(25).as_deref(), Some("The trial ends in 1 day."));
        assert_eq!(said(3).as_deref(), Some("The trial ends within a day."));
        for hours in [0, -1, -23, -48] {
            assert!(said(hours).is_some_and(|text| text.contains("has ended")), "{hours} hours");
        }
    }
}
