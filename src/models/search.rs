//! Names in every script, found however they are typed: one folding for both engines.
//!
//! SQLite folds ASCII only and PostgreSQL by its locale, so searched and sorted text is folded
//! here and stored beside the original.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Lower case, without accents and width variants: the form that is searched and sorted by.
#[must_use]
pub fn fold(text: &str) -> String {
    let bare = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    let mut folded = String::with_capacity(text.len());
    for c in bare.nfc() {
        match plain(c) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(c),
        }
    }
    folded
}

/// Letters that Unicode does not take apart, as people type them who do not have them on their keyboard.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ł' => "l",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        'ı' => "i",
        'þ' => "th",
        'ħ' => "h",
        _ => return None,
    })
}

/// A LIKE pattern that finds `text` anywhere in a folded column. Use with `escape('\\')`.
#[must_use]
pub fn contains_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in fold(text.trim()).chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::{contains_pattern, fold};

    #[test]
    fn folding_meets_people_half_way() {
        assert_eq!(fold("Université Évry"), "universite evry");
        assert_eq!(fold("İSTANBUL"), "istanbul");
        assert_eq!(fold("東京大学"), "東京大学");
        assert_eq!(
            fold("Łukasz Søren Đặng Œuvre Ægir Þór Guðrún"),
            "lukasz soren dang oeuvre aegir thor gudrun"
        );
        assert_eq!(
            fold("Straße STRASSE GROẞ Ǿre ǽ Iğdır Ħamrun"),
            "strasse strasse gross ore ae igdir hamrun"
        );
        assert_eq!(fold(&fold("Łódź, Groß-Gerau")), fold("Łódź, Groß-Gerau"));
        assert_eq!(contains_pattern(" 100%_a "), "%100\\%\\_a%");
    }
}
