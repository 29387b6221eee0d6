//! What a form posted.

use url::form_urlencoded;

/// Names and values in the order they came; a name may come several times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormData(Vec<(String, String)>);

impl FormData {
    /// Reads an `application/x-www-form-urlencoded` body. Line ends become `\n`.
    pub fn parse(body: &str) -> Self {
        Self::from_pairs(form_urlencoded::parse(body.as_bytes()))
    }

    /// Values that were read some other way, or that a record holds.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        let line_ends = |value: String| {
            if value.contains('\r') { value.replace("\r\n", "\n").replace('\r', "\n") } else { value }
        };
        Self(pairs.into_iter().map(|(name, value)| (name.into(), line_ends(value.into()))).collect())
    }

    /// Adds a value; for what a record holds: `data.with("name", &student.name)`.
    pub fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.0.push((name.into(), value.to_string()));
        self
    }

    /// Adds a value when there is one.
    pub fn with_some(self, name: impl Into<String>, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub fn all<'d>(&'d self, name: &'d str) -> impl Iterator<Item = &'d str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}
