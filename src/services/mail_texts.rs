//! The words of every message: what happened, what to do, the link, and who sent it.
//!
//! Links come ready made, from the configured address of the platform and never from a request.

use crate::models::text::Email;

use super::mail::Message;

/// Who gets a message.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    pub email: &'a Email,
    pub name: &'a str,
}

/// Writes messages in the name of a platform.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailTexts {
    /// What the platform calls itself.
    pub platform: String,
    /// Where it is.
    pub public_url: String,
}

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

    fn message(&self, to: Recipient<'_>, subject: String, paragraphs: &[&str]) -> Message {
        let name = line(to.name);
        let greeting = if name.is_empty() { "Hello,".to_owned() } else { format!("Hello {name},") };
        let from = format!("-- \n{}\n{}", self.platform, self.public_url);
        let body = format!("{greeting}\n\n{}\n\n{from}\n", paragraphs.join("\n\n"));
        Message { to: to.email.clone(), to_name: name, subject, body }
    }
}

/// What people typed stays on one line, and looks like no link that we made.
fn line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").replace("://", ":")
}

/// A reason may have several lines: marked as somebody's words.
fn reason_given(reason: &str) -> String {
    let lines: Vec<_> =
        reason.lines().map(line).filter(|line| !line.is_empty()).map(|line| format!("> {line}")).collect();
    if lines.is_empty() {
        "No reason was given.".to_owned()
    } else {
        format!("The reason given:\n{}", lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://provost.example/the-link";

    fn all(name: &str, institution: &str, reason: &str) -> Vec<Message> {
        let texts = MailTexts { platform: "Provost".into(), public_url: "https://provost.example".into() };
        let email = Email::parse("ada@example.edu").unwrap();
        let to = Recipient { email: &email, name };
        vec![
            texts.registration_received(to, institution, LINK),
            texts.registration_approved(to, institution, LINK),
            texts.institution_ready(to, institution, LINK),
            texts.registration_rejected(to, institution, reason, LINK),
            texts.registration_reopened(to, institution, LINK),
            texts.provisioning_failed(to, institution, LINK),
            texts.institution_reactivated(to, institution, LINK),
            texts.institution_invitation(to, name, institution, "registrar", LINK, "7 days"),
            texts.first_admin_invitation(to, institution, LINK, "7 days"),
            texts.platform_invitation(to, name, LINK, "7 days"),
            texts.password_reset(to, LINK, "1 hour"),
            texts.password_changed(to, "21 November 2026, 10:00 UTC", LINK),
            texts.new_super_admin(to, name, name, LINK),
            texts.alerts(to, &[reason.to_owned(), institution.to_owned()], LINK),
            texts.ends_soon(to, institution, "trial", 7, LINK),
            texts.grace_begins(to, institution, reason, "5 December 2026", LINK),
            texts.read_only_now(to, institution, LINK),
            texts.institution_archived(to, institution, reason, LINK),
            texts.deletion_asked(to, institution, reason, Some("5 December 2026"), LINK),
            texts.deletion_soon(to, institution, 7, "5 December 2026", LINK),
            texts.deletion_cancelled(to, institution, LINK),
            texts.institution_deleted(to, institution, "5 December 2026", LINK),
            texts.institution_suspended(to, institution, reason),
        ]
    }

    #[test]
    fn every_message_greets_says_what_to_do_and_who_sent_it() {
        let messages = all("Ada", "École Supérieure", "The domain is not yours.");
        for (index, message) in messages.iter().enumerate() {
            assert!(message.body.starts_with("Hello Ada,\n\n"), "{message:?}");
            assert!(message.body.ends_with("-- \nProvost\nhttps://provost.example\n"), "{message:?}");
            assert!(!message.subject.is_empty() && !message.body.contains("  "), "{message:?}");
            let has_link = message.body.lines().any(|line| line == LINK);
            assert_eq!(has_link, index + 1 < messages.len(), "only the suspension has no link: {message:?}");
        }
        assert!(messages[3].body.contains("> The domain is not yours."));
        assert!(all("", "X", "").iter().all(|message| message.body.starts_with("Hello,\n")));
        assert!(all("", "X", " ")[3].body.contains("No reason was given."));
    }

    #[test]
    fn what_people_typed_adds_no_line_and_no_link() {
        let evil = "X\n\nYour account is locked:\nhttps://evil.example/\r\n";
        for message in all(evil, evil, evil) {
            assert!(!message.subject.contains(['\n', '\r']), "{message:?}");
            assert!(!message.body.contains("https://evil"), "{message:?}");
            assert!(!message.body.lines().any(|line| line.starts_with("Your account")), "{message:?}");
        }
    }
}
