//! Which new passwords are good enough: long, and not the first that a guesser tries.
//!
//! No rules on kinds of characters and no forced changes: they make people write `Password2026!`. How many tries a
//! guesser needs is what `zxcvbn` estimates, from lists of leaked passwords, words, names, keyboards and dates.

use zxcvbn::{Entropy, Match, Score, matching::patterns::MatchPattern, zxcvbn};

use crate::models::search::fold;

/// The fewest characters of a password that is the only factor.
pub const MIN_CHARS: usize = 15;
/// The most characters, so that nobody sends a book to be hashed.
pub const MAX_CHARS: usize = 256;
/// How much of a password is looked at: estimating takes far more than twice as long for twice the length, and the
/// estimator's search for repetitions gives up with a panic on very long texts.
const ESTIMATED_CHARS: usize = 64;
/// More than ten thousand million tries, in the estimator's own scale.
const ENOUGH: Score = Score::Four;

/// What this product's guessers try.
const PRODUCT: [&str; 4] = ["provost", "registrar", "university", "institution"];
/// Phrases that are famous as a whole; word by word they look good.
const FAMOUS: [&str; 4] =
    ["correcthorsebatterystaple", "thequickbrownfox", "tobeornottobe", "maytheforcebewithyou"];

/// Why a new password is refused, with what to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PasswordProblem {
    #[error(
        "Use at least 15 characters. Four or five words that do not belong together are easy to remember"
    )]
    TooShort,
    #[error("Use at most 256 characters")]
    TooLong,
    #[error("This password is made of a few common words or patterns. Add words that do not belong to them")]
    Common,
    #[error("This password repeats itself. Use different words")]
    Repeated,
    #[error("This password follows the keyboard or the alphabet. Use words that do not belong together")]
    Sequence,
    #[error("This password is mostly made of your name, your institution or this product. Use other words")]
    Context,
}

/// Checks a new password. `context` is what a guesser knows: names of the institution, the person, the address.
pub fn check_password(new: &str, context: &[&str]) -> Result<(), PasswordProblem> {
    let chars = new.chars().count();
    if chars < MIN_CHARS {
        return Err(PasswordProblem::TooShort);
    }
    if chars > MAX_CHARS {
        return Err(PasswordProblem::TooLong);
    }
    let known = known(context);
    let guesses: Vec<&str> = known.iter().map(String::as_str).chain(FAMOUS).collect();
    let weak = forms(new).iter().map(|form| zxcvbn(form, &guesses)).find(|found| found.score() < ENOUGH);
    weak.map_or(Ok(()), |weak| Err(reason(&weak, &known)))
}

/// The password as typed, and its bare letters and digits: signs between words, accents and capitals are what every
/// guesser varies. Where signs are most of it, they are what it is made of.
fn forms(password: &str) -> Vec<String> {
    let typed: String = password.chars().take(ESTIMATED_CHARS).collect();
    let folded = fold(&typed);
    let bare = folded.chars().filter(|c| !c.is_whitespace() && !c.is_ascii_punctuation());
    // Folding takes some signs apart into several.
    let bare: String = bare.take(ESTIMATED_CHARS).collect();
    if bare.chars().count() * 2 < typed.chars().count() { vec![typed] } else { vec![typed, bare] }
}

/// The context's texts as a whole and word by word, from three letters on.
fn known(context: &[&str]) -> Vec<String> {
    let parts = |text: &'_ str| -> Vec<String> {
        let whole: String = fold(text).chars().take(2 * ESTIMATED_CHARS).collect();
        let words = whole.split(|c: char| !c.is_alphanumeric());
        words.clone().map(str::to_owned).chain([words.collect()]).collect()
    };
    let all = context.iter().copied().chain(PRODUCT).flat_map(parts);
    all.filter(|word| word.chars().count() >= 3).collect()
}

/// What makes it weak: something known, or what its largest part is.
fn reason(weak: &Entropy, known: &[String]) -> PasswordProblem {
    let is_known = |part: &Match| match &part.pattern {
        MatchPattern::Dictionary(word) => known.contains(&word.matched_word),
        _ => false,
    };
    if weak.sequence().iter().any(is_known) {
        return PasswordProblem::Context;
    }
    match weak.sequence().iter().max_by_key(|part| part.token.len()).map(|part| &part.pattern) {
        Some(MatchPattern::Repeat(_)) => PasswordProblem::Repeated,
        Some(MatchPattern::Sequence(_) | MatchPattern::Spatial(_)) => PasswordProblem::Sequence,
        _ => PasswordProblem::Common,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: [&str; 4] =
        ["Massachusetts Institute of Technology", "mit.edu", "Ada Lovelace", "ada.lovelace"];

    fn problem(password: &str) -> Option<PasswordProblem> {
        check_password(password, &CONTEXT).err()
    }

    #[test]
    fn good_passwords_pass_whatever_they_are_made_of() {
        for good in [
            "brown kettle sings at noon",
            "seven purple umbrellas yawn",
            "kein Regen im Oktober-Garten",
            "xK9#mQ2$vL7@pR4!w",
            "f8a1c3e97b2d4056",
            "красная лошадь и чайник",
            "紫色的雨伞在屋顶上唱一首很老的歌",
            "the purple institute elephant",
            "👩🏽‍🏫 teaches 🐘 to sing ♫ loud",
            "🐘♫🚲🌵🎻🦉🥐🪁🧭🍋⛵🪴🎲🧶🛶🐌",
            &(0..250_u8).map(|n| char::from(b'a' + (n % 16) * 7 % 26 + n % 5 % 2)).collect::<String>(),
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(problem("żółw kettle fóx"), None);
        assert_eq!(problem("żółw kettle fó"), Some(PasswordProblem::TooShort));
        let text = "one long sentence about kettles, umbrellas and the purple sea that no guesser tries; ";
        let long = |chars: usize| text.chars().cycle().take(chars).collect::<String>();
        assert_eq!(problem(&long(256)), None);
        assert_eq!(problem(&long(257)), Some(PasswordProblem::TooLong));
    }

    #[test]
    fn what_guessers_try_first_is_refused() {
        use PasswordProblem::*;
        for (bad, expected) in [
            ("aaaaaaaaaaaaaaaaaaaa", Repeated),
            ("abababababababab", Repeated),
            ("123 123 123 123 123", Repeated),
            ("kettle kettle kettle", Repeated),
            ("Kettle!Kettle!Kettle!", Repeated),
            ("...............", Repeated),
            ("123456789012345678", Sequence),
            ("abcdefghijklmnop", Sequence),
            ("zyxwvutsrqponmlk", Sequence),
            ("qwertyuiopasdfgh", Common),
            ("QWERTZUIOPASDFGHJ", Common),
            ("1qaz2wsx3edc4rfv", Common),
            ("correct horse battery staple", Common),
            ("CorrectHorseBatteryStaple1", Common),
            ("The Quick Brown Fox", Common),
            ("password-password1", Common),
            ("WelcomeSummer2026!!", Common),
            ("admin-secret-2026-07", Common),
            ("ProvostProvost2026", Repeated),
            ("provost admin 2026!", Context),
            ("Massachusetts2026!", Context),
            ("AdaLovelace-MIT-1", Context),
            ("ada.lovelace@mit.edu", Context),
            ("Institute of Technology", Context),
        ] {
            assert_eq!(problem(bad), Some(expected), "{bad}");
        }
        // Two readings are as likely, and the estimator takes now one and now the other.
        assert!(matches!(problem("Password123456789!"), Some(Common | Sequence)));
    }

    /// Nobody may keep a worker busy with a password that is hard to estimate.
    #[test]
    fn the_worst_texts_are_answered_quickly() {
        let begin = std::time::Instant::now();
        let signs = "4@8({[<369!1/|7$5%2".chars().cycle();
        for text in [
            signs.take(256).collect::<String>(),
            "a".repeat(256),
            "ab".repeat(128),
            format!("{}b{}", "a".repeat(31), "a".repeat(200)),
            (0..256_u32).map(|n| char::from_u32(0x4E00 + n * 7 % 251).unwrap()).collect(),
            "01011970".repeat(32),
            "\u{130}\u{fb03}".repeat(128),
        ] {
            let _ = check_password(&text, &[&"word ".repeat(10_000), &text]);
        }
        assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    }

    #[test]
    fn any_text_gets_an_answer() {
        for text in ["", " ", "               ", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "ﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀ"]
        {
            assert!(problem(text).is_some(), "{text:?}");
            let _ = check_password(text, &["", " ", "é", "\0"]);
        }
    }
}
