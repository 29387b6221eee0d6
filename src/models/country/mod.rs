//! Countries by their ISO 3166-1 codes, found by the many names that lists use for them.

mod names;

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use names::{COUNTRIES, OTHER_NAMES};

/// A country or territory of ISO 3166-1, or Kosovo under its usual code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Country(&'static (&'static str, &'static str));

/// The text is neither a code nor a known name of a country.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("This country is not known. Choose one from the list, or write its English name or two-letter code")]
pub struct UnknownCountry;

impl Country {
    /// All countries in the order of their names.
    pub fn all() -> impl Iterator<Item = Self> {
        COUNTRIES.iter().map(Self)
    }

    /// Finds a country by its two-letter code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::all().find(|country| country.code().eq_ignore_ascii_case(code.trim()))
    }

    /// Finds a country by its code, its name, or another name in use, whatever the case, accents and commas.
    pub fn parse(text: &str) -> Result<Self, UnknownCountry> {
        let wanted = key(text);
        let other = OTHER_NAMES.iter().find(|(name, _)| key(name) == wanted);
        Self::from_code(text)
            .or_else(|| Self::all().find(|country| key(country.name()) == wanted))
            .or_else(|| other.and_then(|(_, code)| Self::from_code(code)))
            .ok_or(UnknownCountry)
    }

    /// SQL that puts codes in a column into the order of the countries' names; unknown codes come last.
    #[must_use]
    pub fn order_by_name(column: &str) -> String {
        let ranks =
            Self::all().enumerate().map(|(rank, country)| format!(" WHEN '{}' THEN {rank}", country.code()));
        format!("CASE {column}{} ELSE 999 END", ranks.collect::<String>())
    }

    /// The two-letter code, in capitals.
    pub fn code(self) -> &'static str {
        self.0.0
    }

    /// The short name in English.
    pub fn name(self) -> &'static str {
        self.0.1
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is left of a name for comparing: words without accents, articles and order, so that
/// “Korea, Republic of” is “Republic of Korea”.
fn key(name: &str) -> String {
    let plain: String = name.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
    let plain = plain.replace('&', " and ").replace(['\'', '’', '.'], "");
    let words = plain.split(|c: char| !c.is_alphanumeric());
    let mut words: Vec<&str> = words.filter(|word| !matches!(*word, "" | "the" | "of" | "and")).collect();
    words.sort_unstable();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn code(text: &str) -> &'static str {
        Country::parse(text).unwrap_or_else(|_| panic!("{text}")).code()
    }

    #[test]
    fn the_list_is_whole_and_has_nothing_twice() {
        // 249 of the standard, and Kosovo.
        assert_eq!(Country::all().count(), 250);
        let codes: HashSet<_> = Country::all().map(Country::code).collect();
        let names: HashSet<_> = Country::all().map(|country| key(country.name())).collect();
        assert_eq!((codes.len(), names.len()), (250, 250));
        assert!(codes.iter().all(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())));
    }

    #[test]
    fn is_in_the_order_that_people_look_in() {
        let plain = |country: Country| -> String {
            country.name().nfd().filter(|c| !is_combining_mark(*c)).collect::<String>().to_lowercase()
        };
        let names: Vec<_> = Country::all().map(plain).collect();
        assert!(names.is_sorted(), "{:?}", names.windows(2).find(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn every_other_name_leads_to_one_country_and_hides_no_name() {
        for (name, expected) in OTHER_NAMES {
            assert_eq!(code(name), *expected, "{name}");
        }
        for country in Country::all() {
            assert_eq!(Country::parse(country.name()), Ok(country));
            assert_eq!(Country::parse(country.code()), Ok(country));
        }
    }

    #[test]
    fn spellings_vary() {
        for (name, expected) in [
            ("Turkiye", "TR"),
            ("turkey ", "TR"),
            ("Cote d'Ivoire", "CI"),
            ("Bolivia, Plurinational State of", "BO"),
            ("The Bahamas", "BS"),
            ("Bosnia & Herzegovina", "BA"),
            ("Republic of Korea", "KR"),
            ("gb", "GB"),
            ("Congo", "CG"),
            ("The Democratic Republic of Congo", "CD"),
        ] {
            assert_eq!(code(name), expected, "{name}");
        }
        for unknown in ["", " ", "Atlantis", "the", "ZZ", "Guinea Ecuatorial"] {
            assert_eq!(Country::parse(unknown), Err(UnknownCountry), "{unknown}");
        }
    }
}
