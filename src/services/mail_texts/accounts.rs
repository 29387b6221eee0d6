//! What people are told of their own account: invitations and passwords.

use super::{MailTexts, Recipient, line};
use crate::services::mail::Message;

impl MailTexts {
    /// To a person who is to become a user of an institution.
    pub fn institution_invitation(
        &self,
        to: Recipient<'_>,
        invited_by: &str,
        institution: &str,
        role: &str,
        link: &str,
        valid_for: &str,
    ) -> Message {
        let (invited_by, role) = (line(invited_by), line(role));
        self.message(
            to,
            format!("You are invited to {}", line(institution)),
            &[
                &format!("{invited_by} invites you to {} as {role}.", line(institution)),
                &format!("Choose a password to accept:\n{link}"),
                &format!(
                    "The link works once, within {valid_for}. If you did not expect it, ignore this message."
                ),
            ],
        )
    }

    /// To the first admin of an institution that others registered.
    pub fn first_admin_invitation(
        &self,
        to: Recipient<'_>,
        institution: &str,
        link: &str,
        valid_for: &str,
    ) -> Message {
        self.message(
            to,
            format!("{} is ready for you", line(institution)),
            &[
                &format!(
                    "{} is set up on {}, and you are its first admin.",
                    line(institution),
                    self.platform
                ),
                &format!("Choose a password to begin:\n{link}"),
                &format!(
                    "The link works once, within {valid_for}. If you did not expect it, ignore this message."
                ),
            ],
        )
    }

    /// To a person who is to help run the platform.
    pub fn platform_invitation(
        &self,
        to: Recipient<'_>,
        invited_by: &str,
        link: &str,
        valid_for: &str,
    ) -> Message {
        self.message(
            to,
            format!("You are invited to run {}", self.platform),
            &[
                &format!("{} invites you to run {} as a super admin.", line(invited_by), self.platform),
                &format!("Choose a password to accept:\n{link}"),
                &format!(
                    "The link works once, within {valid_for}. If you did not expect it, ignore this message."
                ),
            ],
        )
    }

    /// When somebody asked for a new password.
    pub fn password_reset(&self, to: Recipient<'_>, link: &str, valid_for: &str) -> Message {
        self.message(
            to,
            "Choose a new password".to_owned(),
            &[
                "Somebody, probably you or one of your administrators, asked for a new password for this e-mail address.",
                &format!("Choose it here:\n{link}"),
                &format!(
                    "The link works once, within {valid_for}. If it was not you, ignore this message: your password \
                     stays as it is."
                ),
            ],
        )
    }

    /// When a password was changed.
    pub fn password_changed(&self, to: Recipient<'_>, when: &str, reset_link: &str) -> Message {
        self.message(
            to,
            "Your password was changed".to_owned(),
            &[
                &format!("Your password was changed on {when}. All your other sessions were ended."),
                &format!("If it was not you, choose a new password at once and tell an admin:\n{reset_link}"),
            ],
        )
    }
}
