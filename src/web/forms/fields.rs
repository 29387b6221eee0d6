//! The kinds of field that a form can have: each declares itself and reads what was posted.

use chrono::{NaiveDate, NaiveTime};

use super::{
    field::{Choice, ChoiceOf, Field, FieldKind},
    form::Form,
    parse::{Chosen, FieldBuilder, Parsed},
};

impl Form {
    pub fn text(&mut self, name: &'static str, label: impl Into<String>) -> FieldBuilder<'_, String> {
        self.field(name, label, FieldKind::Input("text")).limit(200)
    }

    pub fn email(&mut self, name: &'static str, label: impl Into<String>) -> FieldBuilder<'_, String> {
        self.field(name, label, FieldKind::Input("email")).limit(254).autocomplete("email")
    }

    pub fn tel(&mut self, name: &'static str, label: impl Into<String>) -> FieldBuilder<'_, String> {
        self.field(name, label, FieldKind::Input("tel")).limit(40).autocomplete("tel")
    }

    pub fn url(&mut self, name: &'static str, label: impl Into<String>) -> FieldBuilder<'_, String> {
        self.field(name, label, FieldKind::Input("url")).limit(500).autocomplete("url")
    }

    /// Never trimmed, never shown again.
    pub fn password(&mut self, name: &'static str, label: impl Into<String>) -> FieldBuilder<'_, String> {
        self.field(name, label, FieldKind::Password).limit(1000).autocomplete("current-password")
    }

    pub fn textarea(&mut self, name: &'static str, label: impl Into<String>) -> FieldBuilder<'_, String> {
        self.field(name, label, FieldKind::Textarea).limit(5000)
    }

    /// `i64`, `i32` or `f64`.
    pub fn number<T: Parsed>(&mut self, name: &'static str, label: impl Into<String>) -> FieldBuilder<'_, T> {
        self.field(name, label, FieldKind::Number)
    }

    pub fn date(&mut self, name: &'static str, label: impl Into<String>) -> FieldBuilder<'_, NaiveDate> {
        self.field(name, label, FieldKind::Input("date"))
    }

    pub fn time(&mut self, name: &'static str, label: impl Into<String>) -> FieldBuilder<'_, NaiveTime> {
        self.field(name, label, FieldKind::Input("time"))
    }

    /// One of these, by its value ([`Chosen`] holds it).
    pub fn select(
        &mut self,
        name: &'static str,
        label: impl Into<String>,
        choices: impl IntoIterator<Item = impl Into<Choice>>,
    ) -> FieldBuilder<'_, Chosen> {
        let mut field = Field::new(name, label.into(), FieldKind::Select);
        field.choices = choices.into_iter().map(Into::into).collect();
        FieldBuilder::new(self, field)
    }

    /// One value of an enum, required, as radio buttons up to four and as a select above.
    pub fn choose<T: ChoiceOf>(&mut self, name: &'static str, label: impl Into<String>) -> Option<T> {
        let field = self.select(name, label, Choice::all::<T>());
        let chosen = if T::all().len() <= 4 { field.radios().required() } else { field.required() };
        chosen.and_then(|Chosen(value)| T::all().iter().copied().find(|known| known.value() == value))
    }

    /// One value of an enum, or none.
    pub fn choose_optional<T: ChoiceOf>(
        &mut self,
        name: &'static str,
        label: impl Into<String>,
    ) -> Option<T> {
        let chosen = self.select(name, label, Choice::all::<T>()).optional();
        chosen.and_then(|Chosen(value)| T::all().iter().copied().find(|known| known.value() == value))
    }

    /// A box to tick.
    pub fn checkbox(&mut self, name: &'static str, label: impl Into<String>, hint: &str) -> bool {
        let mut field = Field::new(name, label.into(), FieldKind::Checkbox);
        field.hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
        field.optional = true;
        field.values =
            self.data.all(name).map(str::to_owned).filter(|v| v != "false" && !v.is_empty()).collect();
        let ticked = !field.values.is_empty();
        self.push(field);
        ticked
    }

    /// Any of these; values that are not among them are dropped.
    pub fn checkboxes(
        &mut self,
        name: &'static str,
        label: impl Into<String>,
        choices: impl IntoIterator<Item = impl Into<Choice>>,
    ) -> Vec<String> {
        let mut field = Field::new(name, label.into(), FieldKind::Checkboxes);
        field.optional = true;
        field.choices = choices.into_iter().map(Into::into).collect();
        let known = |value: &&str| field.choices.iter().any(|choice| choice.value == *value);
        let values: Vec<String> = self.data.all(name).filter(known).map(str::to_owned).collect();
        field.values.clone_from(&values);
        self.push(field);
        values
    }

    /// A file to send. The handler reads it; the form becomes `multipart/form-data`.
    pub fn file(&mut self, name: &'static str, label: impl Into<String>, accept: &'static str, hint: &str) {
        let mut field = Field::new(name, label.into(), FieldKind::File);
        field.accept = Some(accept);
        field.hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
        self.multipart = true;
        self.push(field);
    }

    fn field<T: Parsed>(
        &mut self,
        name: &'static str,
        label: impl Into<String>,
        kind: FieldKind,
    ) -> FieldBuilder<'_, T> {
        FieldBuilder::new(self, Field::new(name, label.into(), kind))
    }
}
