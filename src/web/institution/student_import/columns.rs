//! The form that says which column of a file holds what.

use super::{Kept, own_path};
use crate::{
    db::Id,
    services::student_import::{DateOrder, Field, Mapping},
    web::{
        auth::InstitutionUser,
        forms::{ChoiceOf, Chosen, Form, FormData},
    },
};

impl ChoiceOf for DateOrder {
    fn all() -> &'static [Self] {
        Self::ALL
    }

    fn value(self) -> &'static str {
        self.as_str()
    }

    fn label(self) -> &'static str {
        match self {
            Self::DayFirst => "3 April (day first)",
            Self::MonthFirst => "4 March (month first)",
        }
    }
}

/// For every field the column that holds it, with what stands in its first rows.
pub(super) fn form(user: &InstitutionUser, kept: &Kept) -> Form {
    let mut form = blank(user, kept.import.id).filled(values(&kept.mapping));
    fields(&mut form, kept);
    form
}

pub(super) fn blank(user: &InstitutionUser, id: Id) -> Form {
    Form::new(format!("{}/columns", own_path(user, id))).submit("Check again").unguarded()
}

fn values(mapping: &Mapping) -> FormData {
    let data = FormData::default().with("dates", mapping.dates);
    let columns = mapping.columns.iter().enumerate();
    columns
        .filter_map(|(column, field)| Some((column, (*field)?)))
        .fold(data, |data, (column, field)| data.with(field.as_str(), column))
}

/// Declares the fields and reads them when they were posted.
pub(super) fn fields(form: &mut Form, kept: &Kept) -> Option<Mapping> {
    form.group_with(
        "Columns",
        "Which column of the file holds what. Columns that are chosen nowhere are left out.",
    );
    let mut columns: Vec<Option<Field>> = vec![None; kept.table.headers.len()];
    let mut twice = Vec::new();
    for field in Field::ALL {
        let choices =
            kept.table.headers.iter().enumerate().map(|(at, heading)| (at.to_string(), heading.clone()));
        let select = form.select(field.as_str(), field.label(), choices);
        let select = match sample(kept, *field) {
            Some(sample) => select.hint(format!("Such as “{sample}”")),
            None => select,
        };
        let chosen = if *field == Field::StudentNumber { select.required() } else { select.optional() };
        let Some(slot) = chosen.and_then(|Chosen(at)| columns.get_mut(at.parse::<usize>().ok()?)) else {
            continue;
        };
        match slot {
            Some(first) => twice.push((*field, *first)),
            None => *slot = Some(*field),
        }
    }
    for (field, first) in twice {
        form.error(
            field.as_str(),
            format!("This column is chosen for “{}” already. Choose another one.", first.label()),
        );
    }
    let dates = form.choose::<DateOrder>("dates", "A date written 03/04/2005 means");
    form.read(|| Some(Mapping { columns, dates: dates? }))
}

/// The first value of the column that holds a field.
fn sample(kept: &Kept, field: Field) -> Option<String> {
    let column = kept.mapping.column(field)?;
    let value = kept.table.rows.iter().map(|row| row.get(column).trim()).find(|cell| !cell.is_empty())?;
    Some(value.chars().take(40).collect())
}
