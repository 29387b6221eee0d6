//! One field as it is drawn.

/// An option of a select, a radio group or a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub label: String,
    pub hint: Option<String>,
}

impl Choice {
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// All values of an enum that knows its words.
    pub fn all<T: ChoiceOf>() -> Vec<Self> {
        T::all().iter().map(|value| Self::new(value.value(), value.label())).collect()
    }
}

impl<V: Into<String>, L: Into<String>> From<(V, L)> for Choice {
    fn from((value, label): (V, L)) -> Self {
        Self::new(value, label)
    }
}

/// An enum that a person can choose from.
pub trait ChoiceOf: Copy + 'static {
    fn all() -> &'static [Self];
    /// The word in the form and in the address.
    fn value(self) -> &'static str;
    /// The word a person reads.
    fn label(self) -> &'static str;
}

/// How a field is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// An `<input>` of this type: text, email, tel, url, date.
    Input(&'static str),
    Number,
    Password,
    Textarea,
    Select,
    Radio,
    Checkboxes,
    File,
}

/// A field as the template draws it. Features make it by [`super::Form`]'s methods.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: &'static str,
    pub label: String,
    pub hint: Option<String>,
    pub kind: FieldKind,
    pub values: Vec<String>,
    pub error: Option<String>,
    pub optional: bool,
    pub choices: Vec<Choice>,
    pub autocomplete: Option<&'static str>,
    pub inputmode: Option<&'static str>,
    pub maxlength: Option<usize>,
    pub min: Option<String>,
    pub max: Option<String>,
    pub accept: Option<&'static str>,
}

impl Field {
    pub(super) fn new(name: &'static str, label: String, kind: FieldKind) -> Self {
        Self {
            name,
            label,
            hint: None,
            kind,
            values: Vec::new(),
            error: None,
            optional: false,
            choices: Vec::new(),
            autocomplete: None,
            inputmode: None,
            maxlength: None,
            min: None,
            max: None,
            accept: None,
        }
    }

    /// The value to show again; never a password.
    pub fn value(&self) -> &str {
        match self.kind {
            FieldKind::Password | FieldKind::File => "",
            _ => self.values.first().map_or("", String::as_str),
        }
    }

    pub fn id(&self) -> String {
        format!("f-{}", self.name)
    }

    /// A group of boxes has no element of its own name; its first box stands for it.
    pub fn target(&self) -> String {
        match self.kind {
            FieldKind::Radio | FieldKind::Checkboxes => format!("f-{}-1", self.name),
            _ => self.id(),
        }
    }

    pub fn has(&self, value: &str) -> bool {
        self.values.iter().any(|known| known == value)
    }

    /// What `aria-describedby` points to.
    pub fn described_by(&self) -> Option<String> {
        let hint = self.hint.as_ref().map(|_| format!("{}-hint", self.id()));
        let error = self.error.as_ref().map(|_| format!("{}-error", self.id()));
        let parts: Vec<String> = hint.into_iter().chain(error).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// The words a person chose or typed, for showing two versions side by side.
    pub(super) fn words(&self, values: &[String]) -> String {
        let word = |value: &String| {
            let known = self.choices.iter().find(|choice| choice.value == *value);
            known.map_or_else(|| value.clone(), |choice| choice.label.clone())
        };
        values.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}
