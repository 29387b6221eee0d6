//! The institutions of the demo. All of them are invented; `.example` belongs to nobody.

use super::students::{AURORA, BRIGHTWATER, Roll, SAKURAGAOKA};
use crate::models::platform::institutions::Kind;

/// An institution and what becomes of it.
pub(super) struct Sample {
    pub(super) domain: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) country: &'static str,
    pub(super) time_zone: &'static str,
    /// Its first admin, and the part of their address before the @.
    pub(super) admin: (&'static str, &'static str),
    pub(super) fate: Fate,
}

/// How an institution stands when the demo begins.
pub(super) enum Fate {
    /// In use, with users of each role and students.
    Populated(&'static Roll),
    /// Set up, and nobody has begun yet.
    Active,
    Pending,
    Failed,
    Suspended(&'static str),
    Rejected(&'static str),
}

const fn sample(
    (domain, name, kind): (&'static str, &'static str, Kind),
    (country, time_zone): (&'static str, &'static str),
    admin: (&'static str, &'static str),
    fate: Fate,
) -> Sample {
    Sample { domain, name, kind, country, time_zone, admin, fate }
}

/// In the order in which they are set up. The first must succeed: the one that fails needs what it leaves.
pub(super) const SAMPLES: [Sample; 13] = [
    sample(
        ("brightwater.example", "Brightwater University", Kind::University),
        ("GB", "Europe/London"),
        ("Imogen Hartley", "imogen.hartley"),
        Fate::Populated(&BRIGHTWATER),
    ),
    sample(
        ("trois-rivages.example", "Université des Trois-Rivages", Kind::University),
        ("SN", "Africa/Dakar"),
        ("Aïssatou Ndoye", "aissatou.ndoye"),
        Fate::Failed,
    ),
    sample(
        ("aurora-del-sur.example", "Colegio Aurora del Sur", Kind::College),
        ("MX", "America/Mexico_City"),
        ("Ximena Ibáñez Luna", "ximena.ibanez"),
        Fate::Populated(&AURORA),
    ),
    sample(
        ("桜ヶ丘.example", "桜ヶ丘みらい学園", Kind::School),
        ("JP", "Asia/Tokyo"),
        ("藤森 千尋", "fujimori"),
        Fate::Populated(&SAKURAGAOKA),
    ),
    sample(
        ("lindenhof.example", "Berufskolleg am Lindenhof", Kind::TrainingCentre),
        ("DE", "Europe/Berlin"),
        ("Jürgen Weißmüller", "weissmueller"),
        Fate::Active,
    ),
    sample(
        ("wahat.example", "جامعة واحة الشمال", Kind::University),
        ("JO", "Asia/Amman"),
        ("ليلى الخطيب", "layla"),
        Fate::Active,
    ),
    sample(
        ("wiosenna.example", "Akademia Wiosenna w Łęgach", Kind::College),
        ("PL", "Europe/Warsaw"),
        ("Grażyna Śliwińska", "grazyna.sliwinska"),
        Fate::Suspended("The annual fee has been unpaid since March; two reminders were not answered."),
    ),
    sample(
        ("neelgagan.example", "नीलगगन विद्यापीठ", Kind::School),
        ("IN", "Asia/Kolkata"),
        ("अनन्या कुलकर्णी", "ananya"),
        Fate::Pending,
    ),
    sample(
        ("severny-mayak.example", "Лицей «Северный маяк»", Kind::School),
        ("KZ", "Asia/Almaty"),
        ("Айгерим Сейткали", "aigerim"),
        Fate::Pending,
    ),
    sample(
        ("harmattan-tech.example", "Harmattan Technical Institute", Kind::TrainingCentre),
        ("GH", "Africa/Accra"),
        ("Kwabena Asante-Boadu", "k.asanteboadu"),
        Fate::Pending,
    ),
    sample(
        ("songrim.example", "솔숲예술고등학교", Kind::School),
        ("KR", "Asia/Seoul"),
        ("윤서아", "yun.seoa"),
        Fate::Pending,
    ),
    sample(
        ("te-awa.example", "Te Kura o Te Awa", Kind::School),
        ("NZ", "Pacific/Auckland"),
        ("Mārama Tūhoe-Reid", "marama"),
        Fate::Pending,
    ),
    sample(
        ("degrees-in-a-day.example", "Degrees In A Day", Kind::Other),
        ("US", "America/New_York"),
        ("Chip Sterling", "sales"),
        Fate::Rejected("It sells certificates and teaches nobody."),
    ),
];
