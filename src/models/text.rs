//! Text as it is let in: one normal form, no hidden characters, within limits, the same on both engines.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::domain::host_to_ascii;

/// Why a text is refused, in words for the person who typed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TextProblem {
    #[error("This is too long: at most {max} characters")]
    TooLong { max: usize },
    #[error("This must be on one line. Remove the line break")]
    LineBreak,
    #[error("This contains a character that cannot be shown (U+{code:04X}). Type the text again without it")]
    Hidden { code: u32 },
}

/// Cleans text of one line: Unicode NFC, trimmed; control characters and direction overrides are refused.
/// Nothing inside is changed otherwise. Text of nothing but invisible characters becomes empty.
pub fn clean_line(input: &str, max_chars: usize) -> Result<String, TextProblem> {
    let text = normal(input, max_chars)?;
    if text.contains(['\n', '\r', '\u{2028}', '\u{2029}']) {
        return Err(TextProblem::LineBreak);
    }
    within(text, max_chars, is_hidden)
}

/// Cleans text of several lines: as [`clean_line`], but line breaks (written as `\n`) and tabs may stay.
pub fn clean_multiline(input: &str, max_chars: usize) -> Result<String, TextProblem> {
    let text = normal(input, max_chars)?.replace("\r\n", "\n").replace('\r', "\n");
    within(text, max_chars, |c| c != '\n' && c != '\t' && is_hidden(c))
}

/// Text that was read as the wrong encoding somewhere holds control characters where Windows-1252 has quotation
/// marks, dashes and the euro. Gives the text as it was meant, or `None` where there is nothing to mend. For
/// imports, which say what they mended; a person who types is told to look.
pub fn mend_windows_1252(input: &str) -> Option<String> {
    let meant = |c: char| match c {
        '\u{80}'..='\u{9F}' => WINDOWS_1252[(u32::from(c) - 0x80) as usize],
        other => other,
    };
    let mended: String = input.chars().map(meant).collect();
    (mended != input).then_some(mended)
}

/// What Windows-1252 has at 80 to 9F. Five places are empty and stay as they are, to be refused.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', //
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

fn normal(input: &str, max_chars: usize) -> Result<String, TextProblem> {
    // A character has up to 4 bytes, and normalising joins at most a few: what is far longer is not even looked at.
    if input.len() > max_chars.saturating_mul(16).saturating_add(1024) {
        return Err(TextProblem::TooLong { max: max_chars });
    }
    Ok(input.trim().nfc().collect())
}

fn within(text: String, max: usize, refused: impl Fn(char) -> bool) -> Result<String, TextProblem> {
    if let Some(found) = text.chars().find(|&c| refused(c)) {
        return Err(TextProblem::Hidden { code: found.into() });
    }
    if text.chars().count() > max {
        return Err(TextProblem::TooLong { max });
    }
    if text.chars().all(is_blank) { Ok(String::new()) } else { Ok(text) }
}

/// Control characters, overrides that make text read otherwise than it is stored, and non-characters.
/// The joiners and direction marks that Persian, Hindi or Hebrew are written with are not among them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{FDD0}'..='\u{FDEF}')
        || matches!(c, '\u{E0000}'..='\u{E001F}')
        || u32::from(c) & 0xFFFE == 0xFFFE
}

/// Characters that show nothing by themselves.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{3164}' | '\u{2800}')
}

/// An e-mail address: kept as it was typed, compared in its normal form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email {
    typed: String,
    at: usize,
    ascii_host: String,
}

/// Why a text is not an e-mail address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EmailError {
    #[error("Enter an e-mail address, such as name@example.edu")]
    Empty,
    #[error("Enter one e-mail address with one @, such as name@example.edu")]
    NotOneAt,
    #[error("The part before the @ is not valid. Enter an address such as name@example.edu")]
    Local,
    #[error("The part after the @ is not a valid domain. Enter an address such as name@example.edu")]
    Host,
    #[error("The e-mail address is too long: at most 254 characters, and 64 before the @")]
    TooLong,
}

impl Email {
    /// Reads an address. White space around it is dropped.
    pub fn parse(input: &str) -> Result<Self, EmailError> {
        if input.len() > 1024 {
            return Err(EmailError::TooLong);
        }
        let typed: String = input.trim().nfc().collect();
        if typed.is_empty() {
            return Err(EmailError::Empty);
        }
        let (local, host) = match typed.split_once('@') {
            Some((local, host)) if !host.contains('@') => (local, host),
            _ => return Err(EmailError::NotOneAt),
        };
        if !local_is_valid(local) {
            return Err(EmailError::Local);
        }
        // `trim` and the trailing dot are a convenience for domains; inside an address they are mistakes.
        if host.starts_with(char::is_whitespace) || host.ends_with('.') {
            return Err(EmailError::Host);
        }
        let ascii_host = host_to_ascii(host).map_err(|_| EmailError::Host)?;
        if local.len() > 64 || local.len() + 1 + ascii_host.len() > 254 {
            return Err(EmailError::TooLong);
        }
        let at = local.len();
        Ok(Self { typed, at, ascii_host })
    }

    /// The address as it was typed.
    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// The form for comparing and indexing: lower case, the domain in ASCII.
    pub fn normalised(&self) -> String {
        let local: String = self.local().to_lowercase().nfc().collect();
        format!("{local}@{}", self.ascii_host)
    }

    /// The form for a mail server: the part before the @ as typed, the domain in ASCII.
    pub fn for_delivery(&self) -> String {
        format!("{}@{}", self.local(), self.ascii_host)
    }

    /// The part before the @, as typed.
    pub fn local(&self) -> &str {
        &self.typed[..self.at]
    }

    /// The domain, in ASCII.
    pub fn host(&self) -> &str {
        &self.ascii_host
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

impl std::str::FromStr for Email {
    type Err = EmailError;

    fn from_str(input: &str) -> Result<Self, EmailError> {
        Self::parse(input)
    }
}

/// Quoted local parts are allowed by the standard and used by nobody.
fn local_is_valid(local: &str) -> bool {
    !local.is_empty()
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| {
            if c.is_ascii() {
                c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
            } else {
                !is_hidden(c) && !is_blank(c)
            }
        })
}

/// A number as people read it: `1234567` becomes "1,234,567".
#[must_use]
pub fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        out.push('\u{2212}');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_trimmed_and_normal_and_otherwise_as_typed() {
        assert_eq!(clean_line("  Zoe\u{308}  A.  ", 10), Ok("Zoë  A.".to_owned()));
        for name in ["李小龍", "محمد", "Мария", "क्षत्रिय", "می\u{200C}خواهم", "O’Brien", "ᏣᎳᎩ", "👩🏽\u{200D}🏫"]
        {
            assert_eq!(clean_line(name, 100).as_deref(), Ok(name));
        }
    }

    #[test]
    fn cleaning_twice_changes_nothing_and_never_lets_a_control_through() {
        for code in 0..=0x10FFFF_u32 {
            let Some(c) = char::from_u32(code) else { continue };
            if let Ok(once) = clean_line(&format!("a{c}b"), 10) {
                assert!(!once.contains(char::is_control), "U+{code:04X}");
                assert_eq!(clean_line(&once, 10), Ok(once.clone()), "U+{code:04X}");
            }
        }
    }

    #[test]
    fn hidden_characters_are_refused() {
        for bad in
            ["a\0b", "a\u{1b}[31mb", "a\u{202e}b", "a\u{2066}b", "a\u{7f}b", "a\u{85}b", "a\tb", "a\u{feff}b"]
        {
            assert!(matches!(clean_line(bad, 100), Err(TextProblem::Hidden { .. })), "{bad:?}");
        }
        assert_eq!(clean_line("a\nb", 9), Err(TextProblem::LineBreak));
        assert_eq!(clean_line("a\u{2028}b", 9), Err(TextProblem::LineBreak));
    }

    #[test]
    fn limits_count_characters_and_huge_input_is_refused_early() {
        assert_eq!(clean_line("ééé", 3).as_deref(), Ok("ééé"));
        assert_eq!(clean_line("e\u{301}e\u{301}e\u{301}", 3).as_deref(), Ok("ééé"));
        assert_eq!(clean_line("éééé", 3), Err(TextProblem::TooLong { max: 3 }));
        assert_eq!(clean_line(&"a".repeat(100_000), 3), Err(TextProblem::TooLong { max: 3 }));
    }

    #[test]
    fn nothing_visible_is_nothing() {
        assert_eq!(clean_line("\u{200B}\u{3164} ", 9).as_deref(), Ok(""));
        assert_eq!(clean_multiline(" \r\n ", 9).as_deref(), Ok(""));
    }

    #[test]
    fn several_lines_keep_their_breaks() {
        assert_eq!(clean_multiline(" a\r\n\r\n b\rc\td ", 20).as_deref(), Ok("a\n\n b\nc\td"));
        assert!(clean_multiline("a\u{202d}b", 20).is_err());
        assert!(clean_multiline("a\0b", 20).is_err());
    }

    #[test]
    fn text_of_a_wrong_encoding_can_be_mended() {
        let mended = mend_windows_1252("Academy \u{93}Karol\u{94} \u{80}5").unwrap();
        assert_eq!(mended, "Academy “Karol” €5");
        assert_eq!(clean_line(&mended, 100).as_deref(), Ok(&*mended));
        assert_eq!(mend_windows_1252("Zoë “李” a\u{81}"), None);
    }

    #[test]
    fn addresses_are_kept_as_typed_and_compared_in_one_form() {
        let email = Email::parse("  Jo.Doe+School@Exämple.EDU ").unwrap();
        assert_eq!(email.to_string(), "Jo.Doe+School@Exämple.EDU");
        assert_eq!(email.normalised(), "jo.doe+school@xn--exmple-cua.edu");
        assert_eq!(email.for_delivery(), "Jo.Doe+School@xn--exmple-cua.edu");
        assert_eq!(email.local(), "Jo.Doe+School");
        let typed_otherwise = Email::parse("jo.doe+school@EXA\u{308}MPLE.edu").unwrap();
        assert_eq!(typed_otherwise.normalised(), email.normalised());
        assert_eq!(Email::parse(&email.normalised()).unwrap().normalised(), email.normalised());
        assert!(Email::parse("用户@例子.中国").is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        use EmailError::*;
        let long = format!("{}@example.edu", "a".repeat(65));
        for (input, expected) in [
            ("", Empty),
            ("name", NotOneAt),
            ("a@b@c.edu", NotOneAt),
            ("@example.edu", Local),
            ("a b@example.edu", Local),
            ("a\r\nBcc: x@example.edu", Local),
            ("<a@example.edu>", Local),
            (".a@example.edu", Local),
            ("a..b@example.edu", Local),
            ("a\"b@example.edu", Local),
            ("a\u{202e}@example.edu", Local),
            ("a@localhost", Host),
            ("a@127.0.0.1", Host),
            ("a@[127.0.0.1]", Host),
            ("a@ example.edu", Host),
            ("a@example.edu.", Host),
            ("a@exa_mple.edu", Host),
            ("a@example.edu, b", Host),
            (&long, TooLong),
        ] {
            assert_eq!(Email::parse(input), Err(expected), "{input:?}");
        }
    }
}
