//! What an institution's owners are told of the terms on which it is here.

use super::{MailTexts, Recipient, line, reason_given};
use crate::services::mail::Message;

impl MailTexts {
    /// Some days before a trial or a paid time ends.
    pub fn ends_soon(
        &self,
        to: Recipient<'_>,
        institution: &str,
        what: &str,
        days: i64,
        link: &str,
    ) -> Message {
        let institution = line(institution);
        let when = if days == 1 { "within a day".to_owned() } else { format!("in {days} days") };
        self.message(
            to,
            format!("The {what} of {institution} ends {when}"),
            &[
                &format!("The {what} of {institution} ends {when}. Nothing is deleted then, and nothing is switched off at once."),
                &format!("To go on, answer the people who run {}. Your records are here:\n{link}", self.platform),
            ],
        )
    }

    /// When a trial or a paid time is over, or was ended.
    pub fn grace_begins(
        &self,
        to: Recipient<'_>,
        institution: &str,
        reason: &str,
        until: &str,
        link: &str,
    ) -> Message {
        let institution = line(institution);
        self.message(
            to,
            format!("{institution} can be changed until {until}"),
            &[
                &reason_given(reason),
                &format!(
                    "Until {until} everything at {institution} works as before. After that, records can be read and \
                     exported, and no longer changed."
                ),
                &format!("To go on, ask the people who run {}. Your records are here:\n{link}", self.platform),
            ],
        )
    }

    /// When records can be read only from now on.
    pub fn read_only_now(&self, to: Recipient<'_>, institution: &str, link: &str) -> Message {
        let institution = line(institution);
        self.message(
            to,
            format!("{institution} is read-only now"),
            &[
                &format!("The records of {institution} can be read and exported, and no longer changed. Nothing is deleted."),
                &format!("To go on, ask the people who run {}. Your records are here:\n{link}", self.platform),
            ],
        )
    }
}
