//! The form of a student, and its values.

use crate::{
    models::institution::{
        people::PersonFields,
        student_rules as rules,
        students::{StudentFields, StudentStatus},
    },
    web::forms::{ChoiceOf, Form, FormData},
};

impl ChoiceOf for StudentStatus {
    fn all() -> &'static [Self] {
        Self::ALL
    }

    fn value(self) -> &'static str {
        self.as_str()
    }

    fn label(self) -> &'static str {
        Self::label(self)
    }
}

/// Declares the fields and reads them when they were posted.
pub fn fields(form: &mut Form) -> Option<StudentFields> {
    form.group("Student");
    let name = form
        .text("name", "Name")
        .hint("As they write it; it is never split or changed.")
        .limit(rules::NAME_MAX)
        .autocomplete("off")
        .check(one_line(rules::NAME_MAX))
        .required();
    let preferred_name = form
        .text("preferred_name", "Preferred name")
        .hint("What they like to be called.")
        .limit(rules::NAME_MAX)
        .autocomplete("off")
        .check(one_line(rules::NAME_MAX))
        .optional();
    let student_number = form
        .text("student_number", "Student number")
        .hint("No two students have the same. Imports match students by it.")
        .limit(rules::NUMBER_MAX)
        .autocomplete("off")
        .check(one_line(rules::NUMBER_MAX))
        .required();
    let birth_date = form
        .date("birth_date", "Date of birth")
        .autocomplete("off")
        .check(|date| rules::birth_date(*date).map(drop))
        .optional();

    form.group("Contact");
    let email = form
        .email("email", "E-mail")
        .autocomplete("off")
        .check(|text: &String| rules::email(text).map(drop))
        .optional();
    let phone = form
        .tel("phone", "Phone")
        .autocomplete("off")
        .check(|text: &String| rules::phone(text).map(drop))
        .optional();
    let address = form
        .textarea("address", "Address")
        .limit(rules::ADDRESS_MAX)
        .autocomplete("off")
        .check(|text: &String| rules::lines(text, rules::ADDRESS_MAX).map(drop))
        .optional();

    form.group("Studies");
    let status = form.choose::<StudentStatus>("status", "Status");
    let admission_year = form
        .number::<i32>("admission_year", "Admission year")
        .hint("With four digits, such as 2026.")
        .between(*rules::YEARS.start(), *rules::YEARS.end())
        .optional();
    let programme = form
        .text("programme", "Programme")
        .limit(rules::PROGRAMME_MAX)
        .check(one_line(rules::PROGRAMME_MAX))
        .optional();
    let notes = form
        .textarea("notes", "Notes")
        .hint("Everybody who may see this student can read them.")
        .limit(rules::NOTES_MAX)
        .check(|text: &String| rules::lines(text, rules::NOTES_MAX).map(drop))
        .optional();

    form.read(|| {
        let person = PersonFields { name: name?, preferred_name, birth_date, email, phone, address };
        Some(StudentFields {
            student_number: student_number?,
            person,
            status: status?,
            admission_year,
            programme,
            notes,
        })
    })
}

/// What a record holds, under the names of the form.
pub fn values(fields: &StudentFields) -> FormData {
    let pairs = fields.values();
    FormData::from_pairs(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

/// What a new student's form shows before anybody types.
pub fn blank() -> FormData {
    FormData::default().with("status", StudentStatus::Active.as_str())
}

fn one_line(max: usize) -> impl Fn(&String) -> Result<(), String> {
    move |text| rules::line(text, max).map(drop)
}
