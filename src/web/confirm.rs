//! A page of its own before anything grave: what will happen, in numbers, and the button to do it.

use actix_web::{HttpResponse, http::StatusCode};
use askama::Template;

use super::{
    forms::{Choice, Chosen, Form, FormData},
    page::Page,
    respond::{RenderError, html_with_status},
    words::grouped,
};

/// What is about to happen. [`ConfirmPage`] shows it and reads the answer.
#[derive(Debug, Clone, Default)]
pub struct Confirm {
    pub sentences: Vec<String>,
    pub counts: Vec<(String, String)>,
    /// What can be done about it afterwards: "You can reactivate it at any time."
    pub undo: Option<String>,
    reason: Option<Reason>,
    typed: Option<String>,
    choice: Option<(&'static str, String, Vec<Choice>)>,
    pub form: Form,
}

#[derive(Debug, Clone)]
struct Reason {
    label: String,
    hint: String,
    required: bool,
}

/// The person's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    pub reason: Option<String>,
    /// What was chosen, where something is to be chosen.
    pub chosen: Option<String>,
}

impl Confirm {
    /// `button` is a verb with its object: "Suspend institution".
    pub fn new(action: impl Into<String>, button: impl Into<String>) -> Self {
        Self { form: Form::new(action).submit(button).unguarded(), ..Self::default() }
    }

    /// One sentence on what will happen.
    pub fn says(mut self, sentence: impl Into<String>) -> Self {
        self.sentences.push(sentence.into());
        self
    }

    /// How much it concerns: `.count("students", 312)`.
    pub fn count(mut self, label: impl Into<String>, n: i64) -> Self {
        self.counts.push((label.into(), grouped(n)));
        self
    }

    /// How it can be taken back, or that it cannot.
    pub fn undo(mut self, sentence: impl Into<String>) -> Self {
        self.undo = Some(sentence.into());
        self
    }

    /// Asks why; `hint` says who will read it.
    pub fn reason(mut self, label: impl Into<String>, hint: impl Into<String>, required: bool) -> Self {
        self.reason = Some(Reason { label: label.into(), hint: hint.into(), required });
        self
    }

    /// For the gravest: the person types this text.
    pub fn typed(mut self, expected: impl Into<String>) -> Self {
        self.typed = Some(expected.into());
        self
    }

    /// Asks for one of these.
    pub fn choose(mut self, name: &'static str, label: impl Into<String>, choices: Vec<Choice>) -> Self {
        self.choice = Some((name, label.into(), choices));
        self
    }

    pub fn danger(mut self) -> Self {
        self.form.danger = true;
        self
    }

    pub fn cancel(mut self, href: impl Into<String>) -> Self {
        self.form = self.form.cancel(href);
        self
    }

    /// A value that travels along, as a bulk selection: `for (n, v) in selection.hidden()`.
    pub fn hidden(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.form = self.form.hidden(name, value);
        self
    }

    /// Values that travel along.
    pub fn hidden_all(mut self, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        for (name, value) in pairs {
            self = self.hidden(name, value);
        }
        self
    }

    /// Reads the posted answer; without one, show the page again with 422.
    pub fn read(&mut self, data: &FormData) -> Option<Confirmed> {
        self.form = std::mem::take(&mut self.form).submitted(data);
        self.fields()
    }

    /// Declares the fields, once, and reads them when they were posted.
    fn fields(&mut self) -> Option<Confirmed> {
        self.form.groups.clear();
        let (mut reason, mut chosen) = (None, None);
        if let Some((name, label, choices)) = &self.choice {
            let choice: Option<Chosen> = self.form.select(name, label.as_str(), choices.clone()).required();
            chosen = choice.map(|Chosen(value)| value);
        }
        if let Some(ask) = &self.reason {
            let field = self.form.textarea("reason", ask.label.as_str()).limit(1000).hint(ask.hint.as_str());
            reason = if ask.required {
                field.missing("Say why; it is kept in the history.").required()
            } else {
                field.optional()
            };
        }
        if let Some(expected) = &self.typed {
            let wrong = format!("This does not match. Type {expected} exactly as shown.");
            self.form
                .text("confirmation", format!("Type {expected} to confirm"))
                .autocomplete("off")
                .missing(format!("Type {expected} to confirm."))
                .check(|typed: &String| if typed == expected { Ok(()) } else { Err(wrong.clone()) })
                .required();
        }
        self.form.read(|| Some(Confirmed { reason, chosen }))
    }
}

/// The page that asks.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/confirm_page.html")]
pub struct ConfirmPage {
    pub page: Page,
    pub confirm: Confirm,
}

impl ConfirmPage {
    pub fn new(page: Page, mut confirm: Confirm) -> Self {
        if !confirm.form.is_submitted() {
            confirm.fields();
        }
        Self { page, confirm }
    }

    /// Reads the posted answer. Where it lacks something, the page that asks again, with what was typed.
    ///
    /// # Errors
    /// Where that page cannot be rendered.
    pub fn answer(mut self, data: &FormData) -> Result<Result<Confirmed, HttpResponse>, RenderError> {
        match self.confirm.read(data) {
            Some(answer) => Ok(Ok(answer)),
            None => html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &self).map(Err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_needs_its_name_typed_and_a_reason() {
        let ask = || {
            Confirm::new("/platform/institutions/mit.edu/deletion", "Delete institution")
                .reason("Reason", "Kept in the audit log.", true)
                .typed("mit.edu")
        };
        let mut wrong = ask();
        assert_eq!(wrong.read(&FormData::parse("reason=&confirmation=MIT")), None);
        assert_eq!(wrong.form.errors().len(), 2);
        let answer = ask().read(&FormData::parse("reason=They+left&confirmation=mit.edu"));
        assert_eq!(answer, Some(Confirmed { reason: Some("They left".to_owned()), chosen: None }));
        let nothing = Confirmed { reason: None, chosen: None };
        assert_eq!(Confirm::new("/x", "Go").read(&FormData::default()), Some(nothing));
    }
}
