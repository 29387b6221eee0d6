//! The form itself: its groups of fields, its errors, and what somebody else saved meanwhile.

use askama::{Template, filters::HtmlSafe};

use super::{
    data::FormData,
    field::{Field, FieldKind},
};
use crate::web::page::Page;

/// Fields under one legend.
#[derive(Debug, Clone, Default)]
pub struct Group {
    pub legend: String,
    pub hint: Option<String>,
    pub fields: Vec<Field>,
}

/// An error of a field, or of the form as a whole (`target` is then empty).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormError {
    pub target: String,
    pub text: String,
}

/// Somebody else saved the record while this person was typing.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// "Grace Hopper saved this student 2 minutes ago."
    pub sentence: String,
    pub differences: Vec<Difference>,
}

/// A field in both versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub label: String,
    pub yours: String,
    pub saved: String,
}

/// A form, blank, filled in, or submitted. `{{ form }}` writes it.
#[derive(Debug, Clone, Default, Template)]
#[template(path = "kit/form.html")]
pub struct Form {
    pub action: String,
    /// The verb with its object on the button.
    pub submit: String,
    pub cancel: Option<String>,
    /// A second button that posts this name and value: "Save and add another".
    pub also: Option<(&'static str, &'static str, String)>,
    pub groups: Vec<Group>,
    pub conflict: Option<Conflict>,
    pub danger: bool,
    /// Whether leaving with unsaved changes warns.
    pub guarded: bool,
    hidden: Vec<(String, String)>,
    pub(super) data: FormData,
    submitted: bool,
    version: Option<i64>,
    general: Vec<String>,
    pub(super) multipart: bool,
}

impl HtmlSafe for Form {}

impl Form {
    /// A blank form that posts to `action`.
    pub fn new(action: impl Into<String>) -> Self {
        Self { action: action.into(), submit: "Save".to_owned(), guarded: true, ..Self::default() }
    }

    /// The words on the button: a verb with its object.
    pub fn submit(mut self, label: impl Into<String>) -> Self {
        self.submit = label.into();
        self
    }

    pub fn cancel(mut self, href: impl Into<String>) -> Self {
        self.cancel = Some(href.into());
        self
    }

    /// A second way to submit, told by a name and a value.
    pub fn also(mut self, name: &'static str, value: &'static str, label: impl Into<String>) -> Self {
        self.also = Some((name, value, label.into()));
        self
    }

    /// Does not warn on leaving, as for signing in or confirming.
    pub fn unguarded(mut self) -> Self {
        self.guarded = false;
        self
    }

    /// Shows what a record holds.
    pub fn filled(mut self, values: FormData) -> Self {
        self.data = values;
        self
    }

    /// Reads what was posted; fields then record their errors.
    pub fn submitted(mut self, data: &FormData) -> Self {
        self.data = data.clone();
        self.submitted = true;
        self.version = data.get("version").and_then(|version| version.parse().ok());
        self
    }

    /// The version of the record that is shown, for [`posted_version`](Self::posted_version).
    pub fn at_version(mut self, version: impl Into<i64>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// The version the person saw while typing.
    pub fn posted_version(&self) -> Option<i64> {
        self.version
    }

    /// A value that travels along unseen.
    pub fn hidden(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.hidden.push((name.into(), value.into()));
        self
    }

    /// Starts a group; the fields that follow stand under its legend.
    pub fn group(&mut self, legend: impl Into<String>) {
        self.groups.push(Group { legend: legend.into(), ..Group::default() });
    }

    /// Starts a group with a sentence under its legend.
    pub fn group_with(&mut self, legend: impl Into<String>, hint: impl Into<String>) {
        self.groups.push(Group { legend: legend.into(), hint: Some(hint.into()), ..Group::default() });
    }

    /// The value, when the form was submitted and nothing is wrong with it.
    pub fn read<T>(&self, value: impl FnOnce() -> Option<T>) -> Option<T> {
        if self.submitted && !self.is_invalid() { value() } else { None }
    }

    /// Adds an error that only the feature could find. An unknown field makes it the form's.
    pub fn error(&mut self, name: &str, text: impl Into<String>) {
        let text = text.into();
        match self.groups.iter_mut().flat_map(|group| &mut group.fields).find(|field| field.name == name) {
            Some(field) => field.error = Some(text),
            None => self.general.push(text),
        }
    }

    /// Says what somebody else saved meanwhile, and lets the person save over it knowingly:
    /// what they posted stays in the fields, and the form is now at `version`.
    pub fn conflict(&mut self, sentence: impl Into<String>, saved: &FormData, version: impl Into<i64>) {
        let differences = self
            .groups
            .iter()
            .flat_map(|group| &group.fields)
            .filter(|field| !matches!(field.kind, FieldKind::Password | FieldKind::File | FieldKind::Hidden))
            .filter_map(|field| {
                let theirs: Vec<String> = saved.all(field.name).map(str::to_owned).collect();
                let (yours, saved) = (field.words(&field.values), field.words(&theirs));
                (yours != saved).then(|| Difference { label: field.label.clone(), yours, saved })
            })
            .collect();
        self.conflict = Some(Conflict { sentence: sentence.into(), differences });
        self.version = Some(version.into());
    }

    /// All errors, in the order of the fields.
    pub fn errors(&self) -> Vec<FormError> {
        let general = self.general.iter().map(|text| FormError { target: String::new(), text: text.clone() });
        let fields = self.groups.iter().flat_map(|group| &group.fields).filter_map(|field| {
            let text = field.error.clone()?;
            Some(FormError { target: field.target(), text })
        });
        general.chain(fields).collect()
    }

    pub fn is_invalid(&self) -> bool {
        !self.general.is_empty()
            || self.groups.iter().flat_map(|group| &group.fields).any(|field| field.error.is_some())
    }

    pub fn is_submitted(&self) -> bool {
        self.submitted
    }

    /// Whether the second button was the one that was pressed.
    pub fn pressed_also(&self) -> bool {
        self.also.as_ref().is_some_and(|(name, value, _)| self.data.get(name) == Some(value))
    }

    pub(super) fn push(&mut self, field: Field) {
        if self.groups.is_empty() {
            self.groups.push(Group::default());
        }
        if let Some(group) = self.groups.last_mut() {
            group.fields.push(field);
        }
    }

    /// What was typed or is recorded for a field; none when the form knows nothing of it.
    pub(super) fn values_of(&self, field: &Field) -> Option<Vec<String>> {
        let values: Vec<String> = self.data.all(field.name).map(str::to_owned).collect();
        (self.submitted || !values.is_empty()).then_some(values)
    }
}

/// The generic page of a form.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/form_page.html")]
pub struct FormPage {
    pub page: Page,
    pub form: Form,
}

impl FormPage {
    pub fn new(page: Page, form: Form) -> Self {
        Self { page, form }
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::{super::field::ChoiceOf, *};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Status {
        Active,
        Left,
    }

    impl ChoiceOf for Status {
        fn all() -> &'static [Self] {
            &[Self::Active, Self::Left]
        }
        fn value(self) -> &'static str {
            if self == Self::Active { "active" } else { "left" }
        }
        fn label(self) -> &'static str {
            if self == Self::Active { "Active" } else { "Has left" }
        }
    }

    #[derive(Debug, PartialEq)]
    struct Student {
        name: String,
        email: Option<String>,
        born: Option<NaiveDate>,
        seats: i64,
        status: Status,
    }

    fn student(form: &mut Form) -> Option<Student> {
        form.group("Student");
        let name = form.text("name", "Full name").limit(20).required();
        let email = form.email("email", "E-mail").optional();
        let born = form.date("born", "Date of birth").optional();
        let seats = form.number("seats", "Seats").between(1, 30).required();
        let status = form.choose::<Status>("status", "Status");
        form.read(|| Some(Student { name: name?, email, born, seats: seats?, status: status? }))
    }

    fn submit(body: &str) -> (Form, Option<Student>) {
        let mut form = Form::new("/s").submitted(&FormData::parse(body));
        let student = student(&mut form);
        (form, student)
    }

    #[test]
    fn values_are_read_composed_and_trimmed() {
        let (form, read) = submit("name=++Zoe%CC%88+&email=&born=2010-09-05&seats=12&status=left");
        assert!(!form.is_invalid());
        let student = read.expect("a student");
        assert_eq!(student.name, "Zoë");
        assert_eq!((student.email, student.seats, student.status), (None, 12, Status::Left));
    }

    #[test]
    fn every_error_is_told_beside_its_field_and_what_was_typed_stays() {
        let (form, read) = submit("name=%07&email=ada%40&born=2010-02-30&seats=31&status=hacked");
        assert!(read.is_none());
        let texts: Vec<String> = form.errors().into_iter().map(|error| error.text).collect();
        assert_eq!(
            texts,
            [
                "Full name has characters in it that cannot be shown. Type it again instead of pasting it.",
                "Enter an e-mail address in full, for example name@example.org.",
                "Enter date of birth as year, month and day, for example 2010-09-05.",
                "Seats must be between 1 and 30.",
                "Choose status from the list.",
            ]
        );
        assert_eq!(form.groups[0].fields[1].value(), "ada@");
        let (form, _) = submit("name=123456789012345678901&seats=");
        assert_eq!(form.errors()[0].text, "Full name may have up to 20 characters; this has 21. Shorten it.");
        assert_eq!(form.errors()[1].text, "Enter seats.");
    }

    #[test]
    fn a_blank_form_has_no_errors_and_a_filled_one_its_values() {
        let mut form = Form::new("/s").filled(FormData::default().with("name", "Ada").with("seats", 3));
        assert!(student(&mut form).is_none());
        assert!(!form.is_invalid());
        assert_eq!(form.groups[0].fields[3].value(), "3");
    }

    #[test]
    fn a_password_is_kept_as_typed_and_never_shown_again() {
        let mut form = Form::new("/s").submitted(&FormData::parse("password=+pass%09word+"));
        assert_eq!(form.password("password", "Password").required().as_deref(), Some(" pass\tword "));
        assert_eq!(form.groups[0].fields[0].value(), "");
        assert!(!form.to_string().contains("word "));
    }

    #[test]
    fn a_conflict_shows_both_versions_and_moves_on() {
        let (mut form, read) = submit("name=Ada&seats=2&status=left&version=4");
        assert!(read.is_some());
        assert_eq!(form.posted_version(), Some(4));
        let saved = FormData::default().with("name", "Ada").with("seats", 3).with("status", "active");
        form.conflict("Grace saved this student just now.", &saved, 5);
        let conflict = form.conflict.as_ref().expect("a conflict");
        assert_eq!(
            conflict.differences,
            [
                Difference { label: "Seats".into(), yours: "2".into(), saved: "3".into() },
                Difference { label: "Status".into(), yours: "Has left".into(), saved: "Active".into() },
            ]
        );
        assert!(form.to_string().contains("name=\"version\" value=\"5\""));
    }
}
