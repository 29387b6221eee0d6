//! The domain of an institution: its public identity, written once in one way.

use std::fmt;
use std::net::IpAddr;

/// The longest name that DNS carries, in characters.
const MAX_CHARS: usize = 253;

/// A domain in its only stored form: ASCII (IDNA), lower case, no trailing dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Domain(String);

/// Why a text is not a domain, in words for the person who typed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DomainError {
    #[error("Enter the domain of the institution, such as example.edu")]
    Empty,
    #[error("Enter only the domain, such as example.edu")]
    NotOnlyADomain,
    #[error("Enter a domain name, such as example.edu, not an IP address")]
    IpAddress,
    #[error("Enter the whole domain with its ending, such as example.edu")]
    OneLabel,
    #[error("The domain is too long: at most 253 characters, and 63 between two dots")]
    TooLong,
    #[error(
        "This is not a valid domain. Use letters, digits and hyphens, with dots between, such as example.edu"
    )]
    Invalid,
    #[error("This is only the ending of a domain. Enter the institution's own domain, such as example.edu")]
    PublicSuffix,
}

impl Domain {
    /// Reads what a person typed. White space around it and one trailing dot are dropped; nothing else is.
    pub fn parse(input: &str) -> Result<Self, DomainError> {
        let ascii = host_to_ascii(input)?;
        // An ending that a registry runs, such as `edu` or `ac.uk`, belongs to nobody. Endings on the list's private
        // part belong to somebody: a university that gives its people names of their own is there too.
        let suffix = psl::suffix(ascii.as_bytes());
        match suffix.filter(|suffix| suffix.as_bytes().len() == ascii.len()) {
            Some(suffix) if suffix.typ() != Some(psl::Type::Private) => Err(DomainError::PublicSuffix),
            _ => Ok(Self(ascii)),
        }
    }

    /// The stored form, in ASCII.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for people to read, in the institution's own script.
    pub fn to_unicode(&self) -> String {
        let (shown, valid) = idna::domain_to_unicode(&self.0);
        if valid.is_ok() { shown } else { self.0.clone() }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Domain {
    type Err = DomainError;

    fn from_str(input: &str) -> Result<Self, DomainError> {
        Self::parse(input)
    }
}

/// The ASCII form of a host name of two labels or more, a public suffix included.
pub(crate) fn host_to_ascii(input: &str) -> Result<String, DomainError> {
    let typed = input.trim();
    let typed = typed.strip_suffix('.').unwrap_or(typed);
    if typed.is_empty() {
        return Err(DomainError::Empty);
    }
    if typed.parse::<IpAddr>().is_ok() || typed.starts_with('[') {
        return Err(DomainError::IpAddress);
    }
    if typed.contains(|c: char| c.is_whitespace() || "/\\:@?#,;".contains(c)) {
        return Err(DomainError::NotOnlyADomain);
    }
    // Longer than any domain could be before encoding: do not even try.
    if typed.len() > 4 * MAX_CHARS {
        return Err(DomainError::TooLong);
    }
    let ascii = idna::domain_to_ascii_strict(typed).map_err(|_| reason(typed))?;
    if ascii.len() > MAX_CHARS {
        return Err(DomainError::TooLong);
    }
    match ascii.rsplit_once('.') {
        None => Err(DomainError::OneLabel),
        Some((_, last)) if last.bytes().all(|b| b.is_ascii_digit()) => Err(DomainError::IpAddress),
        // `0x7f.1` and the like: other ways of writing an address.
        Some((_, last)) if last.starts_with("0x") => Err(DomainError::IpAddress),
        Some(_) => Ok(ascii),
    }
}

/// The idna crate says only "no": look whether length was the reason.
fn reason(typed: &str) -> DomainError {
    let longest = typed.split('.').map(str::len).max().unwrap_or(0);
    if typed.is_ascii() && (typed.len() > MAX_CHARS || longest > 63) {
        DomainError::TooLong
    } else {
        DomainError::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(input: &str) -> String {
        Domain::parse(input).unwrap_or_else(|error| panic!("{input}: {error}")).to_string()
    }

    #[test]
    fn writes_one_domain_in_one_way() {
        assert_eq!(ok("  MIT.edu "), "mit.edu");
        assert_eq!(ok("mit.edu."), "mit.edu");
        assert_eq!(ok("a.b.example.ac.uk"), "a.b.example.ac.uk");
        assert_eq!(ok("29mayis.edu.tr"), "29mayis.edu.tr");
        assert_eq!(ok("Universität-Köln.de"), "xn--universitt-kln-eib50a.de");
        assert_eq!(ok("école.fr"), ok("e\u{301}cole.fr"));
        assert_eq!(ok("大学。中国"), ok("大学.中国"));
        assert_eq!(ok("school.test"), "school.test");
        // Itself on the list of endings, by the university's own wish.
        assert_eq!(ok("ruhr-uni-bochum.de"), "ruhr-uni-bochum.de");
    }

    #[test]
    fn parsing_the_stored_form_changes_nothing() {
        for input in ["MIT.edu", "школа.рф", "大学.中国", "straße.de", "xn--e1afmkfd.xn--p1ai"] {
            let once = ok(input);
            assert_eq!(ok(&once), once);
            assert!(once.is_ascii());
            assert_eq!(ok(&Domain::parse(input).unwrap().to_unicode()), once);
        }
    }

    #[test]
    fn shows_people_their_own_script() {
        assert_eq!(Domain::parse("ШКОЛА.рф").unwrap().to_unicode(), "школа.рф");
    }

    #[test]
    fn refuses_with_the_reason() {
        use DomainError::*;
        let long_label = format!("{}.edu", "a".repeat(64));
        let long_name = format!("{}edu", "abcdefgh.".repeat(30));
        for (input, expected) in [
            ("", Empty),
            ("  .", Empty),
            ("https://mit.edu", NotOnlyADomain),
            ("mit.edu/", NotOnlyADomain),
            ("mit.edu:8080", NotOnlyADomain),
            ("rector@mit.edu", NotOnlyADomain),
            ("my school.edu", NotOnlyADomain),
            ("a.edu, b.edu", NotOnlyADomain),
            ("127.0.0.1", IpAddress),
            ("1.2.3", IpAddress),
            ("::1", IpAddress),
            ("[::1]", IpAddress),
            ("127.0.0.0x1", IpAddress),
            ("localhost", OneLabel),
            ("edu", OneLabel),
            ("ac.uk", PublicSuffix),
            ("edu.tr", PublicSuffix),
            ("mit..edu", Invalid),
            ("mit.edu..", Invalid),
            (".mit.edu", Invalid),
            ("-mit.edu", Invalid),
            ("mit-.edu", Invalid),
            ("a_b.edu", Invalid),
            ("xn--a.edu", Invalid),
            ("mit\u{202e}.edu", Invalid),
            ("../etc.edu", NotOnlyADomain),
            ("a\"b.edu", Invalid),
            (&long_label, TooLong),
            (&long_name, TooLong),
        ] {
            assert_eq!(Domain::parse(input), Err(expected), "{input:?}");
        }
        assert!(Domain::parse(&"ü.".repeat(100_000)).is_err());
    }
}
