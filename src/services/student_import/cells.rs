//! One cell of a file, read as the field it holds.

use chrono::NaiveDate;

use super::columns::{DateOrder, Field};
use crate::models::{
    institution::{
        student_rules as rules,
        students::{StudentFields, StudentStatus},
    },
    search::fold,
};

/// Puts a cell that is not blank into `fields`. Parts of a name are put together by the caller.
///
/// # Errors
/// What to do about the value, in words.
pub(super) fn put(
    fields: &mut StudentFields,
    field: Field,
    cell: &str,
    dates: DateOrder,
) -> Result<(), String> {
    let person = &mut fields.person;
    match field {
        Field::StudentNumber => fields.student_number = rules::line(cell, rules::NUMBER_MAX)?,
        Field::Name => {
            // A cell of invisible characters alone is as good as blank.
            if let Some(name) = filled(rules::line(cell, rules::NAME_MAX)?) {
                person.name = name;
            }
        }
        Field::GivenName | Field::FamilyName => {}
        Field::PreferredName => person.preferred_name = filled(rules::line(cell, rules::NAME_MAX)?),
        Field::BirthDate => person.birth_date = Some(birth_date(cell, dates)?),
        Field::Email => person.email = Some(rules::email(cell)?),
        Field::Phone => person.phone = Some(rules::phone(cell)?),
        Field::Address => person.address = filled(rules::lines(cell, rules::ADDRESS_MAX)?),
        Field::Status => fields.status = status(cell)?,
        Field::AdmissionYear => fields.admission_year = Some(rules::admission_year(cell)?),
        Field::Programme => fields.programme = filled(rules::line(cell, rules::PROGRAMME_MAX)?),
        Field::Notes => fields.notes = filled(rules::lines(cell, rules::NOTES_MAX)?),
    }
    Ok(())
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn status(cell: &str) -> Result<StudentStatus, String> {
    let plain: String = fold(cell).chars().filter(|c| c.is_alphanumeric()).collect();
    match plain.as_str() {
        "expected" | "admitted" | "accepted" | "future" => Ok(StudentStatus::Expected),
        "active" | "enrolled" | "current" | "registered" | "full" => Ok(StudentStatus::Active),
        "onleave" | "leave" | "suspended" | "paused" => Ok(StudentStatus::OnLeave),
        "graduated" | "graduate" | "alumni" | "alumnus" | "alumna" | "completed" => {
            Ok(StudentStatus::Graduated)
        }
        "left" | "withdrawn" | "dropped" | "droppedout" | "transferred" => Ok(StudentStatus::Left),
        _ => Err("Write one of: expected, active, on leave, graduated, left.".into()),
    }
}

fn birth_date(cell: &str, order: DateOrder) -> Result<NaiveDate, String> {
    const ADVICE: &str = "Write the date as year-month-day, such as 2007-04-23.";
    // Spreadsheets add a midnight to dates.
    let text = cell.trim();
    let text = text.split_once([' ', 'T']).map_or(text, |(date, _)| date);
    let numbers: Option<Vec<u32>> = text.split(['-', '/', '.']).map(|part| part.parse().ok()).collect();
    let Some([first, second, third]) = numbers.as_deref().and_then(|parts| <[u32; 3]>::try_from(parts).ok())
    else {
        return Err(ADVICE.into());
    };
    let (year, month, day) = if first > 99 {
        (first, second, third)
    } else if third < 1000 {
        return Err("Write the year with four digits, such as 2007-04-23.".into());
    } else if order == DateOrder::MonthFirst && !text.contains('.') {
        (third, first, second)
    } else {
        (third, second, first)
    };
    let date = i32::try_from(year).ok().and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
    date.ok_or_else(|| format!("There is no such day. {ADVICE}")).and_then(rules::birth_date)
}

#[cfg(test)]
mod tests {
    use super::{DateOrder, birth_date, status};
    use crate::models::institution::students::StudentStatus;

    #[test]
    fn dates_are_read_as_people_write_them() {
        let read = |text, order| birth_date(text, order).map(|date| date.to_string());
        for text in ["2007-04-03", "2007/4/3", "3.4.2007", "03/04/2007", "2007-04-03 00:00:00"] {
            assert_eq!(read(text, DateOrder::DayFirst).as_deref(), Ok("2007-04-03"), "{text}");
        }
        assert_eq!(read("03/04/2007", DateOrder::MonthFirst).as_deref(), Ok("2007-03-04"));
        assert_eq!(read("3.4.2007", DateOrder::MonthFirst).as_deref(), Ok("2007-04-03"));
        for text in ["yesterday", "31/02/2007", "03/04/07", "2999-01-01", "39000"] {
            assert!(read(text, DateOrder::DayFirst).is_err(), "{text}");
        }
    }

    #[test]
    fn status_words_have_synonyms() {
        assert_eq!(status("On Leave"), Ok(StudentStatus::OnLeave));
        assert_eq!(status("ENROLLED"), Ok(StudentStatus::Active));
        assert!(status("??").is_err());
    }
}
