//! Which new passwords are good enough: long, and not the first that a guesser tries.
//!
//! No rules on kinds of characters and no forced changes: they make people write `Password2026!`.

use unicode_normalization::UnicodeNormalization as _;

/// The fewest characters of a password that is the only factor.
pub const MIN_CHARS: usize = 15;
/// The most characters, so that nobody sends a book to be hashed.
pub const MAX_CHARS: usize = 256;
/// How many characters must be left when everything easily guessed is taken out.
const MIN_OWN_CHARS: usize = 6;

/// Why a new password is refused, with what to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PasswordProblem {
    #[error(
        "Use at least 15 characters. Four or five words that do not belong together are easy to remember"
    )]
    TooShort,
    #[error("Use at most 256 characters")]
    TooLong,
    #[error(
        "This password is on the lists of common passwords. Choose words that only you would put together"
    )]
    Common,
    #[error("This password repeats itself. Use different words")]
    Repeated,
    #[error("This password follows the keyboard or the alphabet. Use words that do not belong together")]
    Sequence,
    #[error("This password is only digits. Use words as well")]
    DigitsOnly,
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
    let plain = plain(new);
    if !plain.is_empty() && plain.iter().all(char::is_ascii_digit) {
        return Err(PasswordProblem::DigitsOnly);
    }
    let all: Vec<char> = new.to_lowercase().chars().collect();
    // Few letters among many signs say nothing about the whole.
    if repeats(&all) || (plain.len() * 2 >= all.len() && repeats(&plain)) {
        return Err(PasswordProblem::Repeated);
    }
    if follows_a_sequence(&plain) {
        return Err(PasswordProblem::Sequence);
    }
    let text: String = plain.iter().collect();
    if is_common(&text) {
        return Err(PasswordProblem::Common);
    }
    check_own_part(&text, &all, context)
}

/// Takes out what everybody knows and looks whether enough is left.
fn check_own_part(text: &str, all: &[char], context: &[&str]) -> Result<(), PasswordProblem> {
    let known = context_words(context);
    let without_context = without(text, known.iter().map(String::as_str));
    let own = without(&without_context, COMMON_WORDS.iter().copied());
    // Signs count too, where they are not merely between words; digits count little, years and dates that they are.
    let signs = all.iter().filter(|c| !c.is_alphanumeric() && !" -_.,'".contains(**c)).count();
    let digits = own.chars().filter(char::is_ascii_digit).count();
    let left = own.chars().count() - digits + digits / 4 + signs;
    if left >= MIN_OWN_CHARS {
        Ok(())
    } else if without_context.len() < text.len() {
        Err(PasswordProblem::Context)
    } else {
        Err(PasswordProblem::Common)
    }
}

/// Letters and digits only, in lower case, with the usual disguises of letters left as they are.
fn plain(text: &str) -> Vec<char> {
    text.nfkc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

/// The context's words of three letters and more, and each text as a whole, longest first.
fn context_words(context: &[&str]) -> Vec<String> {
    let whole = context.iter().copied().chain(["provost"]);
    let parts =
        whole.flat_map(|text| std::iter::once(text).chain(text.split(|c: char| !c.is_alphanumeric())));
    let mut words: Vec<String> = parts
        .map(|word| plain(word).into_iter().collect())
        .filter(|word: &String| word.chars().count() >= 3)
        .collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words.dedup();
    words
}

/// Replaces by a gap, not by nothing, so that no new word arises where one was taken out.
fn without<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> String {
    words
        .fold(text.to_owned(), |text, word| text.replace(word, " "))
        .split_whitespace()
        .collect::<Vec<_>>()
        .concat()
}

/// One character or one short piece over and over, or hardly any different characters.
fn repeats(chars: &[char]) -> bool {
    let mut different = chars.to_vec();
    different.sort_unstable();
    different.dedup();
    let has_period = |period: usize| chars.iter().zip(&chars[period..]).all(|(a, b)| a == b);
    different.len() < 5 || (1..=10).any(|period| chars.len() >= 2 * period && has_period(period))
}

/// Most steps from one character to the next are neighbours in the alphabet or on a keyboard, or no step at all.
fn follows_a_sequence(chars: &[char]) -> bool {
    let steps = chars.windows(2).filter(|pair| is_neighbour(pair[0], pair[1])).count();
    chars.len() >= 4 && steps * 4 >= (chars.len() - 1) * 3
}

fn is_neighbour(a: char, b: char) -> bool {
    let apart = u32::from(a).abs_diff(u32::from(b));
    apart <= 1 || KEYBOARD_ROWS.iter().any(|row| are_beside(row, a, b))
}

fn are_beside(row: &str, a: char, b: char) -> bool {
    matches!((row.find(a), row.find(b)), (Some(a), Some(b)) if a.abs_diff(b) == 1)
}

/// Rows, and the columns read downwards (`1qaz2wsx`).
const KEYBOARD_ROWS: [&str; 9] = [
    "1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
];

fn is_common(text: &str) -> bool {
    let stem = text.trim_end_matches(|c: char| c.is_ascii_digit());
    COMMON_PHRASES.iter().any(|phrase| *phrase == text || (!stem.is_empty() && *phrase == stem))
}

/// Long passwords that many choose, as letters and digits only, without digits at the end.
const COMMON_PHRASES: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "allyourbasearebelongtous",
    "allyouneedislove",
    "alohamoraalohomora",
    "attackondawntitan",
    "bemyvalentine",
    "biggerisbetter",
    "bismillahirrahmanirrahim",
    "changethispassword",
    "changemechangeme",
    "christopherrobin",
    "correcthorsebatterystaple",
    "correcthorsebatterystaples",
    "dontforgetthis",
    "donttellanyone",
    "expectopatronum",
    "firstpassword",
    "forgetmenotforgetmenot",
    "forgotmypassword",
    "godblessamerica",
    "goodmorningvietnam",
    "hakunamatata",
    "happybirthdaytoyou",
    "harrypotterandthe",
    "hastalavistababy",
    "helloworldhelloworld",
    "howareyoutoday",
    "iamtheadministrator",
    "idontknowmypassword",
    "iforgotmypassword",
    "ihatepasswords",
    "iloveyousomuch",
    "iloveyouforever",
    "iloveyoumorethan",
    "inthenameofallah",
    "ilovemychildren",
    "ilovemyfamily",
    "itsasecretpassword",
    "jesuschristislord",
    "jesuslovesyou",
    "justforfunjustforfun",
    "knowledgeispower",
    "letmeinletmein",
    "letmeinplease",
    "liveandletlive",
    "liverpoolfootballclub",
    "longlivetheking",
    "longlivethequeen",
    "loremipsumdolorsitamet",
    "manchesterunited",
    "maytheforcebewithyou",
    "mypasswordispassword",
    "mypasswordissecret",
    "mysecretpassword",
    "mysupersecretpassword",
    "nevergonnagiveyouup",
    "newpasswordnewpassword",
    "nopasswordrequired",
    "notyourpassword",
    "onceuponatime",
    "onetwothreefour",
    "onetwothreefourfive",
    "opensesameopensesame",
    "passwordpassword",
    "passwordpasswordpassword",
    "passwordispassword",
    "passwordprotected",
    "pleaseletmein",
    "praisethelordjesus",
    "qwertyuiopasdfghjkl",
    "qwertyuiopasdfghjklzxcvbnm",
    "rememberthispassword",
    "schoolpassword",
    "secretpassword",
    "supercalifragilisticexpialidocious",
    "temporarypassword",
    "testpasswordtest",
    "thequickbrownfox",
    "thequickbrownfoxjumpsoverthelazydog",
    "thisisapassword",
    "thisismypassword",
    "thisisnotapassword",
    "thisisasecret",
    "thisisaverylongpassword",
    "tobeornottobe",
    "tobeornottobethatisthequestion",
    "trustnoonetrustno",
    "twinkletwinklelittlestar",
    "universitypassword",
    "verylongpassword",
    "verysecretpassword",
    "welcometothejungle",
    "whatismypassword",
    "whatisthepassword",
    "winteriscoming",
    "youshallnotpass",
    "youwillneverguess",
    "youwillneverguessthis",
];

/// Words that fill many passwords. One in a password is fine, but it does not count.
const COMMON_WORDS: &[&str] = &[
    "administrator",
    "administration",
    "university",
    "institution",
    "registrar",
    "department",
    "universidad",
    "université",
    "universität",
    "passwords",
    "password",
    "passwort",
    "contraseña",
    "motdepasse",
    "p4ssw0rd",
    "pa55word",
    "passw0rd",
    "p455w0rd",
    "academy",
    "college",
    "student",
    "teacher",
    "welcome",
    "changeme",
    "superuser",
    "iloveyou",
    "football",
    "baseball",
    "sunshine",
    "princess",
    "dragon",
    "monkey",
    "master",
    "secret",
    "school",
    "summer",
    "winter",
    "autumn",
    "spring",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "letmein",
    "default",
    "qwerty",
    "azerty",
    "asdfgh",
    "zxcvbn",
    "abc123",
    "admin",
    "login",
    "hello",
    "super",
    "love",
    "test",
    "user",
    "pass",
    "root",
];

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
            "seven purple umbrellas",
            "kein Regen im Oktober-Garten",
            "xK9#mQ2$vL7@pR4!w",
            "f8a1c3e97b2d4056",
            "красная лошадь и чайник",
            "紫色的雨伞在屋顶上唱一首很老的歌",
            "the purple institute elephant",
            "👩🏽‍🏫 teaches 🐘 to sing ♫ loud",
            "🐘♫🚲🌵🎻🦉🥐🪁🧭🍋⛵🪴🎲🧶🛶🐌",
            &"many different words, ".repeat(11),
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(problem("kettle sings a"), Some(PasswordProblem::TooShort));
        assert_eq!(problem("kettle sings at"), None);
        let long = |chars: usize| "many different words, ".chars().cycle().take(chars).collect::<String>();
        assert_eq!(problem(&long(256)), None);
        assert_eq!(problem(&long(257)), Some(PasswordProblem::TooLong));
    }

    #[test]
    fn what_guessers_try_first_is_refused() {
        use PasswordProblem::*;
        for (bad, expected) in [
            ("aaaaaaaaaaaaaaaaaaaa", Repeated),
            ("abababababababab", Repeated),
            ("123 123 123 123 123", DigitsOnly),
            ("kettle kettle kettle", Repeated),
            ("Kettle!Kettle!Kettle!", Repeated),
            ("...............", Repeated),
            ("102030405060708090", DigitsOnly),
            ("4917-3820-1123-5567", DigitsOnly),
            ("abcdefghijklmnop", Sequence),
            ("zyxwvutsrqponmlk", Sequence),
            ("qwertyuiopasdfgh", Sequence),
            ("QWERTZUIOPASDFGHJ", Sequence),
            ("1qaz2wsx3edc4rfv", Sequence),
            ("correct horse battery staple", Common),
            ("CorrectHorseBatteryStaple1", Common),
            ("The Quick Brown Fox", Common),
            ("password-password1", Common),
            ("Password123456789!", Common),
            ("WelcomeSummer2026!!", Common),
            ("admin-secret-2026-07", Common),
            ("ProvostProvost2026", Context),
            ("provost admin 2026!", Context),
            ("Massachusetts2026!", Context),
            ("AdaLovelace-MIT-1", Context),
            ("ada.lovelace@mit.edu", Context),
            ("Institute of Technology", Context),
        ] {
            assert_eq!(problem(bad), Some(expected), "{bad}");
        }
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
