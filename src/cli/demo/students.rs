//! The students of the demo: invented names in several scripts, put together from lists.

use chrono::{Datelike as _, NaiveDate};

use crate::{
    db::now,
    models::institution::{
        people::PersonFields,
        students::{StudentFields, StudentStatus},
    },
};

/// Given and family names of one language. Their counts share no divisor, so that pairing them in step
/// gives as many different names as their product.
struct Names {
    given: &'static [&'static str],
    family: &'static [&'static str],
    /// What stands between, and whether the family name comes first.
    order: Order,
}

enum Order {
    GivenFamily,
    FamilyGiven(&'static str),
}

/// Who studies and works at an institution.
pub(super) struct Roll {
    pub(super) students: usize,
    /// Before the student numbers.
    prefix: &'static str,
    /// Age when admitted.
    age: i32,
    programmes: &'static [&'static str],
    names: &'static [Names],
    /// The users beside the owner: name, and the part of the address before the @.
    pub(super) registrar: (&'static str, &'static str),
    pub(super) viewer: (&'static str, &'static str),
}

pub(super) const BRIGHTWATER: Roll = Roll {
    students: 600,
    prefix: "BW",
    age: 18,
    programmes: &[
        "Marine Biology, BSc",
        "Civil Engineering, BEng",
        "Comparative Literature, BA",
        "Computer Science, BSc",
        "Economics and Politics, BA",
        "Nursing, BSc",
        "Architecture, MArch",
    ],
    names: &[
        Names {
            given: &["Amelia", "Callum", "Freya", "Rhys", "Saoirse", "Tobias", "Niamh", "Jasper", "Elspeth"],
            family: &[
                "Ashworth",
                "Penrose",
                "O’Malley",
                "Llewellyn",
                "Fairbairn",
                "Thackeray",
                "Quigley",
                "Marlowe",
                "St John",
                "Winterbourne",
            ],
            order: Order::GivenFamily,
        },
        Names {
            given: &["سارة", "عمر", "نور", "يوسف", "مريم", "كريم", "هدى", "طارق", "رنا"],
            family: &[
                "الحداد",
                "النجار",
                "منصور",
                "العمري",
                "الزهراني",
                "شاهين",
                "قاسم",
                "البستاني",
                "حمدان",
                "صالح",
            ],
            order: Order::GivenFamily,
        },
        Names {
            given: &[
                "Ελένη",
                "Νίκος",
                "Σοφία",
                "Γιώργος",
                "Δάφνη",
                "Πέτρος",
                "Χρυσάνθη",
                "Ορέστης",
                "Θάλεια",
            ],
            family: &[
                "Παπαδάκη",
                "Βλάχος",
                "Καραγιάννη",
                "Μακρής",
                "Σταθοπούλου",
                "Λάμπρου",
                "Ρήγας",
                "Ζαφείρης",
                "Δελή",
                "Φωτίου",
            ],
            order: Order::GivenFamily,
        },
        Names {
            given: &["Олена", "Тарас", "Соломія", "Богдан", "Ярина", "Ігор", "Катерина", "Матвій", "Злата"],
            family: &[
                "Кравчук",
                "Шевчишин",
                "Бондар",
                "Їжак",
                "Мельничук",
                "Гайдук",
                "Лисенко",
                "Ткач",
                "Щербак",
                "Верба",
            ],
            order: Order::GivenFamily,
        },
        Names {
            given: &["雨桐", "浩然", "思远", "梓萱", "子墨", "晓雯", "俊熙", "若曦", "文博"],
            family: &["王", "李", "欧阳", "陈", "赵", "周", "林", "黄", "徐", "司马"],
            order: Order::FamilyGiven(""),
        },
        Names {
            given: &["अदिति", "रोहन", "काव्या", "अर्जुन", "मीरा", "विवेक", "इशिता", "निखिल", "तारा"],
            family: &["शर्मा", "देशपांडे", "गुप्ता", "मिश्रा", "जोशी", "चौधरी", "भट्ट", "त्रिपाठी", "सेन", "पाटिल"],
            order: Order::GivenFamily,
        },
        Names {
            given: &[
                "Thị Hương",
                "Minh Đức",
                "Thu Hà",
                "Quốc Bảo",
                "Ngọc Ánh",
                "Văn Hải",
                "Khánh Linh",
                "Gia Huy",
                "Mỹ Duyên",
            ],
            family: &["Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi", "Đỗ", "Ngô"],
            order: Order::FamilyGiven(" "),
        },
        Names {
            given: &[
                "Ọlábísí",
                "Chidubem",
                "Adéọlá",
                "Ngozi",
                "Túndé",
                "Ifẹ́olúwa",
                "Kelechi",
                "Yéwándé",
                "Obinna",
            ],
            family: &[
                "Adébáyọ̀",
                "Okafor",
                "Ọdúnsì",
                "Eze",
                "Akínlàdé",
                "Nwosu",
                "Ògúnbíyì",
                "Umeh",
                "Fálọlá",
                "Ike",
            ],
            order: Order::GivenFamily,
        },
        Names {
            given: &["Zoë", "Çağla", "Łukasz", "Ingeborg", "Şebnem", "Bartłomiej", "Þórdís", "Åse", "Jiří"],
            family: &[
                "Yıldırım",
                "Wójcik",
                "Sørensen",
                "Dvořáková",
                "Gunnarsdóttir",
                "Nuñez",
                "Kőszegi",
                "Ğülay",
                "Brâncoveanu",
                "Öztürk",
            ],
            order: Order::GivenFamily,
        },
    ],
    registrar: ("Dewi Pritchard", "dewi.pritchard"),
    viewer: ("Hanna Lindqvist", "hanna.lindqvist"),
};

pub(super) const AURORA: Roll = Roll {
    students: 240,
    prefix: "A-",
    age: 15,
    programmes: &[
        "Bachillerato en ciencias",
        "Bachillerato en humanidades",
        "Técnico en turismo",
        "Técnico en energías renovables",
    ],
    names: &[Names {
        given: &[
            "María José",
            "Íñigo",
            "Ximena",
            "Emiliano",
            "Renata",
            "Andrés",
            "Valeria",
            "Joaquín",
            "Itzel",
            "Sebastián",
            "Citlali",
            "Nicolás",
            "Araceli",
            "Matías",
            "Guadalupe",
        ],
        family: &[
            "Peña Robles",
            "Núñez Castro",
            "Yáñez Ortega",
            "Cárdenas Vega",
            "Muñoz Rivera",
            "Zúñiga Pardo",
            "Ibarra León",
            "Güemes Rosas",
            "Téllez Marín",
            "Bañuelos Soto",
            "Olvera Ríos",
            "Quiñones Paz",
            "Arámbula Cruz",
            "Montaño Gil",
            "Saldívar Nava",
            "Echeverría Sol",
        ],
        order: Order::GivenFamily,
    }],
    registrar: ("Rodrigo Téllez Marín", "rodrigo.tellez"),
    viewer: ("Beatriz Olvera", "beatriz.olvera"),
};

pub(super) const SAKURAGAOKA: Roll = Roll {
    students: 120,
    prefix: "桜",
    age: 12,
    programmes: &["普通科", "国際科", "美術科"],
    names: &[Names {
        given: &["美咲", "蓮", "結衣", "悠真", "陽菜", "大翔", "さくら", "颯太", "莉子", "湊", "ひなた"],
        family: &[
            "佐々木",
            "小野寺",
            "長谷川",
            "宮﨑",
            "五十嵐",
            "大槻",
            "早乙女",
            "東雲",
            "日向",
            "桐谷",
            "髙橋",
            "森",
        ],
        order: Order::FamilyGiven(" "),
    }],
    registrar: ("早乙女 健", "saotome"),
    viewer: ("東雲 由美", "shinonome"),
};

impl Roll {
    /// Every student of the roll, always the same ones.
    pub(super) fn fields(&self, domain: &str) -> Vec<StudentFields> {
        (0..self.students).map(|index| self.student(index, domain)).collect()
    }

    /// One student more, or one of them again.
    pub(super) fn student(&self, index: usize, domain: &str) -> StudentFields {
        let step = i32::try_from(index).unwrap_or(0);
        let this_year = now().year();
        let year = this_year - step % 5;
        let number = format!("{}{}{:04}", self.prefix, year % 100, index + 1);
        let birth = NaiveDate::from_ymd_opt(
            year - self.age - step % 2,
            1 + u32::try_from(step * 5 % 12).unwrap_or(0),
            1 + u32::try_from(step * 11 % 28).unwrap_or(0),
        );
        let email = (index % 4 != 3).then(|| format!("s{}{:04}@{domain}", year % 100, index + 1));
        StudentFields {
            student_number: number,
            person: PersonFields {
                name: self.name(index),
                preferred_name: None,
                birth_date: birth,
                email,
                phone: None,
                address: None,
            },
            status: status(step, this_year - year),
            admission_year: Some(year),
            programme: Some(self.programmes[index % self.programmes.len()].into()),
            notes: (index % 40 == 7)
                .then(|| "Lent the laptop from the library until the end of term.".into()),
        }
    }

    fn name(&self, index: usize) -> String {
        let names = &self.names[index % self.names.len()];
        let turn = index / self.names.len();
        let (given, family) =
            (names.given[turn % names.given.len()], names.family[turn % names.family.len()]);
        match names.order {
            Order::GivenFamily => format!("{given} {family}"),
            Order::FamilyGiven(between) => format!("{family}{between}{given}"),
        }
    }
}

/// Most study; of the oldest year most have finished; a few are away, gone or still to come.
fn status(step: i32, years: i32) -> StudentStatus {
    match (step % 23, years) {
        (5, _) => StudentStatus::OnLeave,
        (11, _) => StudentStatus::Left,
        (17, 0) => StudentStatus::Expected,
        (_, 4) if step % 3 != 0 => StudentStatus::Graduated,
        _ => StudentStatus::Active,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{AURORA, BRIGHTWATER, SAKURAGAOKA};

    #[test]
    fn no_two_students_share_a_name_or_number() {
        for roll in [&BRIGHTWATER, &AURORA, &SAKURAGAOKA] {
            let students = roll.fields("x.example");
            let names: HashSet<_> = students.iter().map(|student| &student.person.name).collect();
            let numbers: HashSet<_> = students.iter().map(|student| &student.student_number).collect();
            assert_eq!((names.len(), numbers.len()), (roll.students, roll.students));
        }
    }
}
