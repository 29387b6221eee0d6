//! What people may enter of a plan: amounts of money, keys, features, and how large a limit can be.

/// As limits of storage are entered.
pub const GIGABYTE: i64 = 1_000_000_000;
/// Characters of a name.
pub const LONGEST_NAME: usize = 60;
/// The largest limit of users or students.
pub const MOST_HELD: i64 = 1_000_000_000;
/// The largest limit of storage.
pub const MOST_GIGABYTES: i64 = 1_000_000;
/// The last place in lists.
pub const LAST_POSITION: i32 = 10_000;

/// A key, for scripts.
///
/// # Errors
/// What to enter instead.
pub fn key(key: &str) -> Result<(), String> {
    let fits = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.len() <= 40
        && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if fits { Ok(()) } else { Err("Use small letters, digits and _, beginning with a letter.".to_owned()) }
}

/// A currency, by ISO 4217.
///
/// # Errors
/// What to enter instead.
pub fn currency(code: &str) -> Result<(), String> {
    let fits = code.len() == 3 && code.chars().all(|c| c.is_ascii_uppercase());
    if fits { Ok(()) } else { Err("Enter three capital letters, for example EUR.".to_owned()) }
}

/// Keys of features, each once and in order.
///
/// # Errors
/// What to enter instead.
pub fn features(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ' ';
    if !text.chars().all(fits) {
        return Err("Use small letters, digits and _ only.".to_owned());
    }
    let mut features: Vec<&str> = text.split_whitespace().collect();
    features.sort_unstable();
    features.dedup();
    Ok(features.join(" "))
}

/// "EUR 49.00".
#[must_use]
pub fn money(minor: i64, currency: &str) -> String {
    format!("{currency} {}", decimal(minor, currency))
}

/// Digits after the point, by ISO 4217.
fn digits(currency: &str) -> usize {
    match currency {
        "JPY" | "KRW" | "VND" | "CLP" | "ISK" | "UGX" | "XAF" | "XOF" | "XPF" | "PYG" | "RWF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// "49.00".
#[must_use]
pub fn decimal(minor: i64, currency: &str) -> String {
    let digits = digits(currency);
    let text = format!("{minor:0width$}", width = digits + 1);
    let (whole, rest) = text.split_at(text.len() - digits);
    if rest.is_empty() { whole.to_owned() } else { format!("{whole}.{rest}") }
}

/// "49.5" in cents: 4950.
///
/// # Errors
/// What to enter instead, for what is no amount, or has more digits than the currency.
pub fn minor(text: &str, currency: &str) -> Result<i64, String> {
    let wrong = || "Enter an amount, for example 49.00.".to_owned();
    let digits = digits(currency);
    let text = text.trim().replace(',', ".");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let plain = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || rest.len() > digits || !plain(whole) || !plain(rest) {
        return Err(wrong());
    }
    format!("{whole}{rest:0<digits$}").parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_in_the_digits_of_their_currency() {
        for (text, currency, cents) in
            [("49", "EUR", 4900), ("49,5", "EUR", 4950), ("0.05", "USD", 5), ("500", "JPY", 500)]
        {
            assert_eq!(minor(text, currency), Ok(cents), "{text}");
        }
        for (text, currency) in [("", "EUR"), ("-1", "EUR"), ("1.234", "EUR"), ("1.5", "JPY"), ("x", "EUR")] {
            assert!(minor(text, currency).is_err(), "{text}");
        }
        assert_eq!(money(5, "EUR"), "EUR 0.05");
        assert_eq!(money(1500, "JPY"), "JPY 1500");
        assert_eq!(money(1500, "KWD"), "KWD 1.500");
    }
}
