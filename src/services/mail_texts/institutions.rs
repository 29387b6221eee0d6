//! What an institution's owners are told of it as a whole: suspended, archived, to be deleted.

use super::{MailTexts, Recipient, line, reason_given};
use crate::services::mail::Message;

impl MailTexts {
    /// When an institution was suspended.
    pub fn institution_suspended(&self, to: Recipient<'_>, institution: &str, reason: &str) -> Message {
        self.message(
            to,
            format!("{} is suspended", line(institution)),
            &[
                &format!(
                    "{} is suspended. Until it is reactivated, nobody there can sign in.",
                    line(institution)
                ),
                &reason_given(reason),
                &format!(
                    "All records are kept. Questions are answered by the people who run {}.",
                    self.platform
                ),
            ],
        )
    }

    /// When a suspended institution works again.
    pub fn institution_reactivated(
        &self,
        to: Recipient<'_>,
        institution: &str,
        sign_in_link: &str,
    ) -> Message {
        self.message(
            to,
            format!("{} is active again", line(institution)),
            &[
                &format!("{} is active again, with all its records.", line(institution)),
                &format!("Sign in as before:\n{sign_in_link}"),
            ],
        )
    }

    /// When an institution was archived.
    pub fn institution_archived(
        &self,
        to: Recipient<'_>,
        institution: &str,
        reason: &str,
        link: &str,
    ) -> Message {
        let institution = line(institution);
        self.message(
            to,
            format!("{institution} is archived"),
            &[
                &format!("{institution} is archived on {}: nobody can sign in any more.", self.platform),
                &reason_given(reason),
                "Its records are kept in a backup that was proved to be whole. The institution can be brought back \
                 with all of them.",
                &format!("To ask for that, turn to the people who run it:\n{link}"),
            ],
        )
    }

    /// When somebody asked that an institution be deleted.
    pub fn deletion_asked(
        &self,
        to: Recipient<'_>,
        institution: &str,
        reason: &str,
        when: Option<&str>,
        link: &str,
    ) -> Message {
        let institution = line(institution);
        let (on, rest) = match when {
            Some(when) => (
                format!(" on {when}"),
                format!("Until then it can be taken back, and the data can be taken along:\n{link}"),
            ),
            None => (String::new(), format!("Until then it can be taken back:\n{link}")),
        };
        self.message(
            to,
            format!("{institution} is to be deleted{on}"),
            &[
                &format!(
                    "Once a second administrator agrees, {institution} is deleted from {}{on}, with all its records \
                     and backups. That cannot be undone.",
                    self.platform
                ),
                &reason_given(reason),
                &rest,
            ],
        )
    }

    /// Some days before an institution is deleted.
    pub fn deletion_soon(
        &self,
        to: Recipient<'_>,
        institution: &str,
        days: i64,
        when: &str,
        link: &str,
    ) -> Message {
        let institution = line(institution);
        let left = if days == 1 { "within a day".to_owned() } else { format!("in {days} days") };
        self.message(
            to,
            format!("{institution} is deleted {left}"),
            &[
                &format!(
                    "{institution} is deleted from {} on {when}, with all its records and backups. That cannot be \
                     undone.",
                    self.platform
                ),
                &format!("Until then it can be taken back, and the data can be taken along:\n{link}"),
            ],
        )
    }

    /// When a deletion was taken back.
    pub fn deletion_cancelled(&self, to: Recipient<'_>, institution: &str, link: &str) -> Message {
        let institution = line(institution);
        self.message(
            to,
            format!("{institution} is not deleted"),
            &[
                &format!("The deletion of {institution} was taken back. Nothing was removed."),
                &format!("You need not do anything:\n{link}"),
            ],
        )
    }

    /// When an institution was deleted.
    pub fn institution_deleted(
        &self,
        to: Recipient<'_>,
        institution: &str,
        when: &str,
        link: &str,
    ) -> Message {
        let institution = line(institution);
        self.message(
            to,
            format!("{institution} is deleted"),
            &[
                &format!(
                    "{institution} was deleted from {} on {when}: its records, its backups and the keys to them are \
                     gone for good.",
                    self.platform
                ),
                &format!("This is the last message about it. {} is here:\n{link}", self.platform),
            ],
        )
    }
}
