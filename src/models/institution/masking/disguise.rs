//! Who somebody becomes: decided by a keyed hash of what is masked, so that the same stays the same, and nothing leads
//! back once the key is gone.

use chrono::{NaiveDate, TimeDelta};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::models::search::fold;

/// Where masked people have their mail: a domain that exists nowhere and never will.
pub const MAIL_DOMAIN: &str = "sandbox.invalid";

const GIVEN: [&str; 32] = [
    "Alba", "Bela", "Ciro", "Dora", "Emil", "Fina", "Gero", "Hela", "Ilka", "Jano", "Kira", "Leon", "Mila",
    "Nilo", "Orla", "Pavel", "Runa", "Sami", "Tilda", "Ugo", "Vera", "Wim", "Xenia", "Yara", "Zeno", "Arlo",
    "Britt", "Cosma", "Darin", "Elif", "Faro", "Gala",
];
const SYLLABLES: [&str; 32] = [
    "ba", "bel", "bro", "da", "del", "dor", "fa", "fen", "gar", "go", "hal", "hem", "ka", "kel", "kor", "la",
    "len", "lo", "ma", "mer", "mon", "na", "nel", "or", "ra", "ren", "ros", "sa", "sel", "ta", "ten", "vor",
];
const ENDINGS: [&str; 8] = ["berg", "dal", "en", "er", "holt", "is", "mar", "son"];
const STREETS: [&str; 8] = ["Birch", "Cedar", "Elm", "Harbour", "Lark", "Mill", "Orchard", "Willow"];

/// A disguise for everybody; another key is another one.
pub struct Disguise(Zeroizing<[u8; 32]>);

impl Disguise {
    /// By this key, which must be random and is kept nowhere.
    #[must_use]
    pub fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    fn number(&self, kind: &str, text: &str) -> u64 {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&*self.0).unwrap_or_else(|_| unreachable!());
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// Somebody else's name.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        let mut digits = Digits(self.number("name", &fold(name.trim())));
        let given = digits.pick(&GIVEN);
        let family = [digits.pick(&SYLLABLES), digits.pick(&SYLLABLES), digits.pick(&ENDINGS)].concat();
        let (first, rest) = family.split_at(1);
        format!("{given} {}{rest}", first.to_uppercase())
    }

    /// What somebody else is called.
    #[must_use]
    pub fn given(&self, name: &str) -> String {
        Digits(self.number("given", &fold(name.trim()))).pick(&GIVEN).to_owned()
    }

    /// An address that no mail reaches.
    #[must_use]
    pub fn email(&self, email: &str) -> String {
        format!("{:016x}@{MAIL_DOMAIN}", self.number("email", &email.trim().to_lowercase()))
    }

    /// A telephone number of no country.
    #[must_use]
    pub fn phone(&self, phone: &str) -> String {
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        format!("+000 {:09}", self.number("phone", &digits) % 1_000_000_000)
    }

    /// An address that is nowhere.
    #[must_use]
    pub fn address(&self, address: &str) -> String {
        let mut digits = Digits(self.number("address", &fold(address.trim())));
        let street = digits.pick(&STREETS);
        format!("{} {street} Street, Nowhere", digits.below(999) + 1)
    }

    /// A day within the year before.
    #[must_use]
    pub fn date(&self, date: NaiveDate) -> NaiveDate {
        let days = self.number("date", &date.to_string()) % 365 + 1;
        let back = TimeDelta::days(i64::try_from(days).unwrap_or(1));
        date.checked_sub_signed(back).unwrap_or(date)
    }

    /// Instead of whatever somebody wrote.
    #[must_use]
    pub fn text(&self) -> String {
        "Masked.".to_owned()
    }
}

/// A number that is used up digit by digit.
struct Digits(u64);

impl Digits {
    fn below(&mut self, count: u64) -> u64 {
        let digit = self.0 % count;
        self.0 /= count;
        digit
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        let index = self.below(words.len() as u64);
        usize::try_from(index).ok().and_then(|index| words.get(index)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disguise(byte: u8) -> Disguise {
        Disguise::new(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn the_same_stays_the_same_and_another_key_is_another_disguise() {
        let one = disguise(1);
        assert_eq!(one.name("Zoé Dubois"), one.name(" zoe  dubois".replace("  ", " ").as_str()));
        assert_ne!(one.name("Zoé Dubois"), one.name("Zoé Dubosc"));
        assert_ne!(one.name("Zoé Dubois"), disguise(2).name("Zoé Dubois"));
        assert_eq!(one.email("Ada@Uni.Example"), one.email("ada@uni.example "));
        assert!(one.email("ada@uni.example").ends_with("@sandbox.invalid"));
        assert_eq!(one.phone("+44 20 7946 0000"), one.phone("+442079460000"));
        let born = NaiveDate::from_ymd_opt(2001, 2, 28).expect("a day");
        assert!(one.date(born) < born && (born - one.date(born)).num_days() <= 365);
        assert_eq!(one.date(born), one.date(born));
    }

    #[test]
    fn a_masked_value_is_one_that_can_be_entered() {
        use crate::models::institution::student_rules;
        let one = disguise(7);
        assert!(student_rules::email(&one.email("x@y.example")).is_ok());
        assert!(student_rules::phone(&one.phone("12345")).is_ok());
        assert!(student_rules::lines(&one.address("Rue 3"), student_rules::ADDRESS_MAX).is_ok());
        assert!(student_rules::line(&one.name("A"), student_rules::NAME_MAX).is_ok());
    }
}
