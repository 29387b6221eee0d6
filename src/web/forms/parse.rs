//! From what was typed to what is meant, with an error in plain words for each way it can fail.

use std::fmt::Display;

use chrono::NaiveDate;
use unicode_normalization::UnicodeNormalization;

use super::{
    field::{Choice, Field, FieldKind},
    form::Form,
};

/// A type a field can be read as.
pub trait Parsed: Sized {
    /// The value of a non-empty text, or what the person should do about it.
    fn parse(field: &Field, raw: &str) -> Result<Self, String>;
}

impl Parsed for String {
    fn parse(field: &Field, raw: &str) -> Result<Self, String> {
        let text = if field.kind == FieldKind::Password { raw.to_owned() } else { clean_text(field, raw)? };
        let length = text.chars().count();
        let label = &field.label;
        match field.maxlength {
            Some(max) if length > max => {
                Err(format!("{label} may have up to {max} characters; this has {length}. Shorten it."))
            }
            _ if field.kind == FieldKind::Input("email") && !valid_email(&text) => {
                Err("Enter an e-mail address in full, for example name@example.org.".to_owned())
            }
            _ if field.kind == FieldKind::Input("url") && !web_address(&text) => {
                Err("Enter a web address in full, for example https://example.org.".to_owned())
            }
            _ if field.kind == FieldKind::Input("tel") && !phone_number(&text) => {
                Err("Enter a phone number with digits, for example +49 30 1234567.".to_owned())
            }
            _ => Ok(text),
        }
    }
}

/// One of the field's choices, by its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen(pub String);

impl Parsed for Chosen {
    fn parse(field: &Field, raw: &str) -> Result<Self, String> {
        let known = field.choices.iter().any(|choice| choice.value == raw);
        if known {
            Ok(Self(raw.to_owned()))
        } else {
            Err(format!("Choose {} from the list.", lower(&field.label)))
        }
    }
}

impl Parsed for i64 {
    fn parse(field: &Field, raw: &str) -> Result<Self, String> {
        let digits: String = raw.chars().filter(|c| !c.is_whitespace()).collect();
        digits
            .parse()
            .map_err(|_| format!("Enter {} as a whole number, for example 12.", lower(&field.label)))
    }
}

impl Parsed for i32 {
    fn parse(field: &Field, raw: &str) -> Result<Self, String> {
        let number = i64::parse(field, raw)?;
        Self::try_from(number).map_err(|_| format!("{} is too large.", field.label))
    }
}

impl Parsed for f64 {
    fn parse(field: &Field, raw: &str) -> Result<Self, String> {
        let error = || format!("Enter {} as a number, for example 12.5.", lower(&field.label));
        let number: Self = raw.trim().replace(',', ".").parse().map_err(|_| error())?;
        if number.is_finite() { Ok(number) } else { Err(error()) }
    }
}

impl Parsed for NaiveDate {
    fn parse(field: &Field, raw: &str) -> Result<Self, String> {
        raw.trim().parse().map_err(|_| {
            format!("Enter {} as year, month and day, for example 2010-09-05.", lower(&field.label))
        })
    }
}

type Check<'f, T> = Box<dyn Fn(&T) -> Result<(), String> + 'f>;

/// A field on its way into the form: [`required`](Self::required) or
/// [`optional`](Self::optional) puts it there and answers its value.
#[must_use = "a field is only part of the form after `.required()` or `.optional()`"]
pub struct FieldBuilder<'f, T> {
    form: &'f mut Form,
    field: Field,
    min: Option<T>,
    max: Option<T>,
    checks: Vec<Check<'f, T>>,
    missing: Option<String>,
}

impl<'f, T: Parsed> FieldBuilder<'f, T> {
    pub(super) fn new(form: &'f mut Form, field: Field) -> Self {
        Self { form, field, min: None, max: None, checks: Vec::new(), missing: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.field.hint = Some(hint.into());
        self
    }

    pub fn autocomplete(mut self, token: &'static str) -> Self {
        self.field.autocomplete = Some(token);
        self
    }

    pub fn inputmode(mut self, mode: &'static str) -> Self {
        self.field.inputmode = Some(mode);
        self
    }

    /// At most so many characters.
    pub fn limit(mut self, characters: usize) -> Self {
        self.field.maxlength = Some(characters);
        self
    }

    /// Shows choices as radio buttons: for two to five of them.
    pub fn radios(mut self) -> Self {
        self.field.kind = FieldKind::Radio;
        self
    }

    /// What stands in the field until somebody fills it in.
    pub fn value(mut self, value: impl ToString) -> Self {
        self.field.values = vec![value.to_string()];
        self
    }

    /// What to say when it is left empty.
    pub fn missing(mut self, sentence: impl Into<String>) -> Self {
        self.missing = Some(sentence.into());
        self
    }

    /// A rule of the feature's own; the error says what to do.
    pub fn check(mut self, rule: impl Fn(&T) -> Result<(), String> + 'f) -> Self {
        self.checks.push(Box::new(rule));
        self
    }

    /// The value, or an error that asks for it.
    pub fn required(self) -> Option<T>
    where
        T: PartialOrd + Display,
    {
        self.finish()
    }

    /// The value, when there is one.
    pub fn optional(mut self) -> Option<T>
    where
        T: PartialOrd + Display,
    {
        self.field.optional = true;
        self.finish()
    }

    fn finish(mut self) -> Option<T>
    where
        T: PartialOrd + Display,
    {
        self.field.min = self.min.as_ref().map(ToString::to_string);
        self.field.max = self.max.as_ref().map(ToString::to_string);
        let raw = self.form.values_of(&self.field);
        if let Some(raw) = raw {
            self.field.values = raw;
        }
        let read = if self.form.is_submitted() { self.value_read() } else { Ok(None) };
        if let Err(error) = &read {
            self.field.error = Some(error.clone());
        }
        self.form.push(self.field);
        read.ok().flatten()
    }

    fn value_read(&self) -> Result<Option<T>, String>
    where
        T: PartialOrd + Display,
    {
        let raw = self.field.values.first().map_or("", String::as_str);
        let empty =
            if self.field.kind == FieldKind::Password { raw.is_empty() } else { raw.trim().is_empty() };
        if empty {
            return if self.field.optional { Ok(None) } else { Err(self.asking()) };
        }
        let value = T::parse(&self.field, raw)?;
        self.in_bounds(&value)?;
        self.checks.iter().try_for_each(|check| check(&value))?;
        Ok(Some(value))
    }

    fn in_bounds(&self, value: &T) -> Result<(), String>
    where
        T: PartialOrd + Display,
    {
        let label = &self.field.label;
        match (&self.min, &self.max) {
            (Some(min), Some(max)) if value < min || value > max => {
                Err(format!("{label} must be between {min} and {max}."))
            }
            _ => Ok(()),
        }
    }

    fn asking(&self) -> String {
        if let Some(sentence) = &self.missing {
            return sentence.clone();
        }
        let verb = match self.field.kind {
            FieldKind::Select | FieldKind::Radio | FieldKind::File => "Choose",
            _ => "Enter",
        };
        format!("{verb} {}.", lower(&self.field.label))
    }
}

impl<T: Parsed + PartialOrd + Display> FieldBuilder<'_, T> {
    pub fn between(mut self, min: T, max: T) -> Self {
        self.min = Some(min);
        self.max = Some(max);
        self
    }
}

impl Display for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialOrd for Chosen {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.0.cmp(&other.0))
    }
}

impl FieldBuilder<'_, Chosen> {
    /// More to choose from, as an option that the current record alone may keep.
    pub fn choice(mut self, choice: impl Into<Choice>) -> Self {
        self.field.choices.push(choice.into());
        self
    }
}

/// Text as it is kept: composed (NFC), trimmed, without control characters.
pub fn clean_text(field: &Field, raw: &str) -> Result<String, String> {
    let text: String = raw.nfc().collect();
    let several_lines = field.kind == FieldKind::Textarea;
    let odd = text.chars().any(|c| c.is_control() && !(several_lines && matches!(c, '\n' | '\t')));
    if odd {
        return Err(format!(
            "{} has characters in it that cannot be shown. Type it again instead of pasting it.",
            field.label
        ));
    }
    Ok(text.trim().to_owned())
}

/// Whether a text can be an e-mail address; that it works only a message to it can show.
pub fn valid_email(text: &str) -> bool {
    let Some((user, host)) = text.rsplit_once('@') else { return false };
    let labels_fit =
        host.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    text.chars().count() <= 254
        && !user.is_empty()
        && user.chars().count() <= 64
        && host.contains('.')
        && labels_fit
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "<>()[]\\,;:\"".contains(c))
        && !user.contains('@')
        && !user.starts_with('.')
        && !user.ends_with('.')
        && !user.contains("..")
}

fn web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|h| h.contains('.'))
    })
}

fn phone_number(text: &str) -> bool {
    text.chars().filter(char::is_ascii_digit).count() >= 3
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " +-()./#*,;".contains(c))
}

/// A label inside a sentence: "Full name" becomes "full name", "ISBN" stays.
fn lower(label: &str) -> String {
    let mut chars = label.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => label.to_owned(),
    }
}
