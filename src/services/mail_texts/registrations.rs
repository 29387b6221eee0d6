//! What somebody is told whose institution was registered, until it is set up.

use super::{MailTexts, Recipient, line, reason_given};
use crate::services::mail::Message;

impl MailTexts {
    /// To the person who registered an institution.
    pub fn registration_received(&self, to: Recipient<'_>, institution: &str, status_link: &str) -> Message {
        self.message(
            to,
            format!("We have your registration of {}", line(institution)),
            &[
                &format!("Thank you for registering {}. Somebody will look at it soon.", line(institution)),
                &format!("Follow your registration here:\n{status_link}"),
                "You need not do anything until you hear from us. Keep the link to yourself: whoever has it can \
                 see your registration.",
            ],
        )
    }

    /// When a registration was approved and the institution is being set up.
    pub fn registration_approved(&self, to: Recipient<'_>, institution: &str, status_link: &str) -> Message {
        self.message(
            to,
            format!("{} is approved", line(institution)),
            &[
                &format!("Your registration of {} is approved. It is being set up now.", line(institution)),
                "This usually takes less than a minute. You get another message when you can sign in.",
                &format!("Follow it here:\n{status_link}"),
            ],
        )
    }

    /// When the institution is active.
    pub fn institution_ready(&self, to: Recipient<'_>, institution: &str, sign_in_link: &str) -> Message {
        self.message(
            to,
            format!("{} is ready", line(institution)),
            &[
                &format!("{} is set up, with a database of its own.", line(institution)),
                &format!("Sign in with your e-mail address and password:\n{sign_in_link}"),
            ],
        )
    }

    /// When a registration was rejected.
    pub fn registration_rejected(
        &self,
        to: Recipient<'_>,
        institution: &str,
        reason: &str,
        status_link: &str,
    ) -> Message {
        self.message(
            to,
            format!("Your registration of {} was not accepted", line(institution)),
            &[
                &format!("Your registration of {} was not accepted.", line(institution)),
                &reason_given(reason),
                &format!("You can see it here:\n{status_link}"),
            ],
        )
    }

    /// When a rejected registration is looked at again.
    pub fn registration_reopened(&self, to: Recipient<'_>, institution: &str, status_link: &str) -> Message {
        self.message(
            to,
            format!("We are looking at {} again", line(institution)),
            &[
                &format!(
                    "Your registration of {} is being looked at again. You get a message when it is decided.",
                    line(institution)
                ),
                &format!("Follow it here:\n{status_link}"),
            ],
        )
    }

    /// When setting up did not work.
    pub fn provisioning_failed(&self, to: Recipient<'_>, institution: &str, status_link: &str) -> Message {
        self.message(
            to,
            format!("{} takes longer to set up", line(institution)),
            &[
                &format!(
                    "Setting up {} did not work at the first go. We know about it and are working on it.",
                    line(institution)
                ),
                "Your registration is safe and you need not do anything. You get a message when it is done.",
                &format!("Follow it here:\n{status_link}"),
            ],
        )
    }
}
