//! Which records a bulk action is meant for.

use super::{query::ListQuery, spec::ListSpec};
use crate::web::forms::FormData;

/// The most records that can be ticked: a page's worth, and some room.
const MOST_TICKED: usize = 1000;

/// What the person chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BulkSelection {
    /// The records ticked on the page.
    Ids(Vec<String>),
    /// All that match, which were `expected` when the person looked.
    Matching { query: ListQuery, expected: i64 },
}

impl BulkSelection {
    /// Reads what the bulk bar posted; nothing when nothing was chosen.
    pub fn parse(spec: &ListSpec, data: &FormData) -> Option<Self> {
        if data.get("scope") == Some("matching") {
            let query = ListQuery::parse(spec, data.get("matching").unwrap_or_default());
            let expected = data.get("expected")?.parse().ok().filter(|n| *n > 0)?;
            return Some(Self::Matching { query, expected });
        }
        let mut ids: Vec<String> = data.all("id").take(MOST_TICKED).map(str::to_owned).collect();
        ids.sort_unstable();
        ids.dedup();
        (!ids.is_empty()).then_some(Self::Ids(ids))
    }

    /// The list as the person saw it when they chose.
    pub fn way_back(spec: &ListSpec, data: &FormData) -> String {
        ListQuery::parse(spec, data.get("matching").unwrap_or_default()).href(&spec.path)
    }

    /// How many records the person thinks of.
    pub fn count(&self) -> i64 {
        match self {
            Self::Ids(ids) => i64::try_from(ids.len()).unwrap_or(i64::MAX),
            Self::Matching { expected, .. } => *expected,
        }
    }

    /// Whether other records match now than the person saw; they should look again.
    pub fn outdated(&self, matching_now: i64) -> bool {
        matches!(self, Self::Matching { expected, .. } if *expected != matching_now)
    }

    /// The same selection for a confirmation to carry along.
    pub fn hidden(&self) -> Vec<(String, String)> {
        match self {
            Self::Ids(ids) => ids.iter().map(|id| ("id".to_owned(), id.clone())).collect(),
            Self::Matching { query, expected } => vec![
                ("scope".to_owned(), "matching".to_owned()),
                ("matching".to_owned(), query.narrowing_string()),
                ("expected".to_owned(), expected.to_string()),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{
        list::{Column, Filter},
        words::Noun,
    };

    #[test]
    fn ticked_and_matching_survive_a_confirmation() {
        let spec = ListSpec::new("/s", Noun::new("student", "students"), &[Column::new("name", "Name")])
            .filter(Filter::one_of("status", "Status", [("active", "Active")]));
        let parse = |raw: &str| BulkSelection::parse(&spec, &FormData::parse(raw));

        assert_eq!(parse("scope=page"), None);
        assert_eq!(parse("scope=matching&matching=&expected=0"), None);
        let ticked = parse("id=b&id=a&id=b").expect("a selection");
        assert_eq!(ticked, BulkSelection::Ids(vec!["a".into(), "b".into()]));

        let matching =
            parse("id=a&scope=matching&matching=status%3Dactive&expected=412").expect("a selection");
        assert_eq!(matching.count(), 412);
        assert!(matching.outdated(413));
        let again = FormData::from_pairs(matching.hidden());
        assert_eq!(BulkSelection::parse(&spec, &again), Some(matching));
    }
}
