//! What each field of a student accepts: one rule for the form, the import and whatever comes next.
//!
//! Every function takes what a person typed, not blank, and says in words what to do when it is refused.

use chrono::{Datelike, NaiveDate};

use crate::{
    db::now,
    models::text::{Email, clean_line, clean_multiline},
};

/// Characters that a name may have.
pub const NAME_MAX: usize = 200;
/// Characters that a student number may have.
pub const NUMBER_MAX: usize = 40;
/// Characters that a telephone number may have.
pub const PHONE_MAX: usize = 40;
/// Characters that an address may have.
pub const ADDRESS_MAX: usize = 500;
/// Characters that a programme may have.
pub const PROGRAMME_MAX: usize = 200;
/// Characters that notes may have.
pub const NOTES_MAX: usize = 5_000;
/// The years of admission that are believed.
pub const YEARS: std::ops::RangeInclusive<i32> = 1900..=2100;

/// A text of one line.
///
/// # Errors
/// What to do, in words.
pub fn line(text: &str, max: usize) -> Result<String, String> {
    clean_line(text, max).map_err(|problem| format!("{problem}."))
}

/// A text of several lines.
///
/// # Errors
/// What to do, in words.
pub fn lines(text: &str, max: usize) -> Result<String, String> {
    clean_multiline(text, max).map_err(|problem| format!("{problem}."))
}

/// An e-mail address, kept as it was typed.
///
/// # Errors
/// What to do, in words.
pub fn email(text: &str) -> Result<String, String> {
    Email::parse(text).map(|email| email.as_str().to_owned()).map_err(|error| format!("{error}."))
}

/// A telephone number: digits and what people write between them.
///
/// # Errors
/// What to do, in words.
pub fn phone(text: &str) -> Result<String, String> {
    let text = line(text, PHONE_MAX)?;
    if text.chars().any(char::is_numeric) {
        Ok(text)
    } else {
        Err("Enter a telephone number with its digits, such as +44 20 7946 0000.".into())
    }
}

/// A year of admission.
///
/// # Errors
/// What to do, in words.
pub fn admission_year(text: &str) -> Result<i32, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|year| YEARS.contains(year))
        .ok_or_else(|| "Enter the year with four digits, such as 2026.".into())
}

/// A date of birth: a real day, not in the future.
///
/// # Errors
/// What to do, in words.
pub fn birth_date(date: NaiveDate) -> Result<NaiveDate, String> {
    if date > now().date() {
        return Err("The date of birth is in the future. Check the year.".into());
    }
    if date.year() < 1880 {
        return Err("The date of birth is too long ago. Check the year.".into());
    }
    Ok(date)
}
