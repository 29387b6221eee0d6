//! Which column of a file means what: guessed from its heading, corrected by a person.

use serde::{Deserialize, Serialize};

use crate::{
    models::search::fold,
    services::csv_text::{CsvWriter, Table},
    text_enum,
};

text_enum! {
    /// What a column can mean.
    Field {
        /// Identifies the student; the one column that must be there.
        StudentNumber = "student_number",
        /// The whole name, as it is written.
        Name = "name",
        /// First part of the name, where a file keeps it apart.
        GivenName = "given_name",
        /// Last part of the name, where a file keeps it apart.
        FamilyName = "family_name",
        /// How they like to be called.
        PreferredName = "preferred_name",
        /// Date of birth.
        BirthDate = "birth_date",
        /// E-mail address.
        Email = "email",
        /// Telephone number.
        Phone = "phone",
        /// Postal address.
        Address = "address",
        /// One of the words of a student's status.
        Status = "status",
        /// Year of admission.
        AdmissionYear = "admission_year",
        /// Programme of study.
        Programme = "programme",
        /// Free text.
        Notes = "notes",
    }
}

impl Field {
    /// The name of the field for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::StudentNumber => "Student number",
            Self::Name => "Name",
            Self::GivenName => "Given name",
            Self::FamilyName => "Family name",
            Self::PreferredName => "Preferred name",
            Self::BirthDate => "Date of birth",
            Self::Email => "E-mail",
            Self::Phone => "Phone",
            Self::Address => "Address",
            Self::Status => "Status",
            Self::AdmissionYear => "Admission year",
            Self::Programme => "Programme",
            Self::Notes => "Notes",
        }
    }

    /// Headings that mean this field, folded and without anything but letters and digits.
    const fn headings(self) -> &'static [&'static str] {
        match self {
            Self::StudentNumber => &[
                "studentnumber",
                "studentno",
                "studentnr",
                "studentid",
                "number",
                "no",
                "id",
                "matriculationnumber",
                "matric",
                "matricno",
                "matricnumber",
                "admissionno",
                "admissionnumber",
                "registrationnumber",
                "regno",
                "rollno",
                "rollnumber",
                "enrolmentnumber",
                "enrollmentnumber",
                "matrikelnummer",
                "matrikelnr",
                "numeroetudiant",
                "numeroestudiante",
                "matricula",
                "numerodematricula",
                "numerodealumno",
                "numerodeestudiante",
                "matricola",
                "studentnummer",
                "numeralbumu",
                "学号",
                "学籍番号",
                "학번",
            ],
            Self::Name => &[
                "name",
                "fullname",
                "studentname",
                "student",
                "displayname",
                "completename",
                "vollstandigername",
                "nomcomplet",
                "nometprenom",
                "nomprenom",
                "nombrecompleto",
                "nombreyapellidos",
                "nomecompleto",
                "nomecognome",
                "naam",
                "imieinazwisko",
                "姓名",
                "氏名",
                "이름",
                "الاسم",
                "фио",
                "имя",
            ],
            Self::GivenName => &[
                "givenname",
                "givennames",
                "firstname",
                "forename",
                "forenames",
                "vorname",
                "prenom",
                "prenoms",
                "nombre",
                "nombres",
                "nome",
                "voornaam",
                "imie",
                "名",
            ],
            Self::FamilyName => &[
                "familyname",
                "lastname",
                "surname",
                "secondname",
                "nachname",
                "familienname",
                "nom",
                "nomdefamille",
                "apellido",
                "apellidos",
                "sobrenome",
                "cognome",
                "achternaam",
                "nazwisko",
                "姓",
                "фамилия",
            ],
            Self::PreferredName => {
                &["preferredname", "knownas", "nickname", "calledname", "rufname", "prenomusuel"]
            }
            Self::BirthDate => &[
                "birthdate",
                "dateofbirth",
                "dob",
                "birthday",
                "born",
                "geburtsdatum",
                "geburtstag",
                "datedenaissance",
                "fechadenacimiento",
                "fechanacimiento",
                "datadenascimento",
                "datadinascita",
                "geboortedatum",
                "dataurodzenia",
                "生年月日",
                "出生日期",
                "생년월일",
            ],
            Self::Email => &[
                "email",
                "emailaddress",
                "mail",
                "studentemail",
                "emailadresse",
                "courriel",
                "adressemail",
                "correo",
                "correoelectronico",
                "電子メール",
                "メール",
                "邮箱",
                "이메일",
            ],
            Self::Phone => &[
                "phone",
                "phonenumber",
                "telephone",
                "tel",
                "telno",
                "mobile",
                "mobilenumber",
                "mobileno",
                "cell",
                "contactnumber",
                "telefon",
                "telefonnummer",
                "handy",
                "telefono",
                "telefone",
                "celular",
                "電話番号",
                "电话",
                "전화번호",
            ],
            Self::Address => &[
                "address",
                "postaladdress",
                "homeaddress",
                "adresse",
                "anschrift",
                "direccion",
                "endereco",
                "indirizzo",
                "adres",
                "住所",
                "地址",
                "주소",
            ],
            Self::Status => {
                &["status", "state", "enrolmentstatus", "enrollmentstatus", "studentstatus", "estado"]
            }
            Self::AdmissionYear => &[
                "admissionyear",
                "yearofadmission",
                "entryyear",
                "yearofentry",
                "intake",
                "intakeyear",
                "cohort",
                "startyear",
                "enrolmentyear",
                "enrollmentyear",
                "eintrittsjahr",
                "anneedentree",
                "anodeingreso",
                "anodeingresso",
                "入学年度",
                "入学年",
            ],
            Self::Programme => &[
                "programme",
                "program",
                "course",
                "courseofstudy",
                "degree",
                "major",
                "studyprogramme",
                "studiengang",
                "filiere",
                "carrera",
                "curso",
                "専攻",
                "专业",
            ],
            Self::Notes => &[
                "notes",
                "note",
                "remarks",
                "remark",
                "comments",
                "comment",
                "bemerkungen",
                "remarques",
                "observaciones",
                "notas",
            ],
        }
    }

    /// The field that a heading names, if it is a heading we know.
    #[must_use]
    pub fn guess(heading: &str) -> Option<Self> {
        let plain: String = fold(heading).chars().filter(|c| c.is_alphanumeric()).collect();
        Self::ALL.iter().copied().find(|field| field.headings().contains(&plain.as_str()))
    }
}

text_enum! {
    /// How a date like 03/04/2005 is read.
    DateOrder {
        /// 3 April.
        DayFirst = "day_first",
        /// 4 March.
        MonthFirst = "month_first",
    }
}

/// What the columns of one file mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// A field per column of the file, in its order; none for a column that is left out.
    pub columns: Vec<Option<Field>>,
    /// For dates written with slashes.
    pub dates: DateOrder,
}

impl Mapping {
    /// Guesses from the headings, and the order of dates from the dates. A field is given once, to
    /// the first column that looks like it.
    #[must_use]
    pub fn guess(table: &Table) -> Self {
        let mut columns: Vec<Option<Field>> = Vec::with_capacity(table.headers.len());
        for heading in &table.headers {
            let field = Field::guess(heading).filter(|field| !columns.contains(&Some(*field)));
            columns.push(field);
        }
        let dates = columns
            .iter()
            .position(|field| *field == Some(Field::BirthDate))
            .map_or(DateOrder::DayFirst, |column| guess_date_order(table, column));
        Self { columns, dates }
    }

    /// Why the file cannot be read with this mapping, in words; empty when it can.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.column(Field::StudentNumber).is_none() {
            problems
                .push("Say which column holds the student number: students are matched by it.".to_owned());
        }
        for field in Field::ALL {
            if self.columns.iter().filter(|column| **column == Some(*field)).count() > 1 {
                problems.push(format!("Two columns are given as “{}”. Choose one of them.", field.label()));
            }
        }
        problems
    }

    /// The column that holds a field.
    #[must_use]
    pub fn column(&self, field: Field) -> Option<usize> {
        self.columns.iter().position(|column| *column == Some(field))
    }
}

/// A day above 12 gives the order away; without one, the day is first, as in most of the world.
fn guess_date_order(table: &Table, column: usize) -> DateOrder {
    let month_first = table.rows.iter().any(|row| {
        let mut parts = row.get(column).trim().split(['/', '-']);
        let (first, second) = (parts.next().map(str::len), parts.next());
        first.is_some_and(|length| length <= 2)
            && second.and_then(|day| day.parse::<u32>().ok()).is_some_and(|day| day > 12 && day <= 31)
    });
    if month_first { DateOrder::MonthFirst } else { DateOrder::DayFirst }
}

/// A file to fill in: every column by its name, and one example.
#[must_use]
pub fn template() -> Vec<u8> {
    let columns = Field::ALL.iter().filter(|field| !matches!(field, Field::GivenName | Field::FamilyName));
    let example = |field: &Field| match field {
        Field::StudentNumber => "2026-0001",
        Field::Name => "Zoë Example",
        Field::BirthDate => "2007-04-23",
        Field::Email => "zoe@example.edu",
        Field::Phone => "(020) 7946 0000",
        Field::Address => "1 Example Street, Exampleton",
        Field::Status => "active",
        Field::AdmissionYear => "2026",
        Field::Programme => "Mathematics",
        _ => "",
    };
    let mut csv = CsvWriter::new();
    csv.row(columns.clone().map(|field| field.label()));
    csv.row(columns.map(example));
    csv.finish()
}
