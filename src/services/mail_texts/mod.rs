//! The words of every message: what happened, what to do, the link, and who sent it.
//!
//! Links come ready made, from the configured address of the platform and never from a request.

mod accounts;
mod institutions;
mod registrations;
mod subscriptions;
mod super_admins;

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
