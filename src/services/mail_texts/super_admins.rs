//! What every super admin is told.

use super::{MailTexts, Recipient, line};
use crate::services::mail::Message;

impl MailTexts {
    /// To every super admin, when something needs them.
    pub fn alerts(&self, to: Recipient<'_>, lines: &[String], link: &str) -> Message {
        let first = lines.first().map_or("Something needs you", String::as_str);
        let subject = match lines.len() {
            0 | 1 => format!("Alert: {}", line(first.split(". ").next().unwrap_or(first))),
            count => format!("{count} alerts on {}", line(&self.platform)),
        };
        let listed: Vec<String> = lines.iter().take(20).map(|text| format!("- {}", line(text))).collect();
        self.message(
            to,
            subject,
            &[
                "Something on the platform needs you:",
                &listed.join("\n"),
                &format!("See what fires, and say that you take care of it:\n{link}"),
            ],
        )
    }

    /// To every super admin, when there is another one.
    pub fn new_super_admin(
        &self,
        to: Recipient<'_>,
        new_admin: &str,
        added_by: &str,
        admins_link: &str,
    ) -> Message {
        self.message(
            to,
            format!("{} has a new super admin", self.platform),
            &[
                &format!(
                    "{} is now a super admin of {}. Added by: {}.",
                    line(new_admin),
                    self.platform,
                    line(added_by)
                ),
                &format!("If that is not right, remove the admin at once:\n{admins_link}"),
            ],
        )
    }
}
