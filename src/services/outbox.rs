//! Mail that is sent at least once: written with the change it tells of, sent afterwards by a worker.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{
    keys::{KeyError, Keys},
    mail::{MailError, Mailer, Message},
};
use crate::{
    db::{Id, now, pools::SharedPool, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        platform::{
            outgoing_mails::{self, DueMail},
            sandboxes,
        },
        text::Email,
    },
};

/// Mails sent at one go.
const BATCH: i64 = 50;
/// After so many attempts, a day and a half in all, a mail is given up.
const MOST_ATTEMPTS: i32 = 12;

/// A message as it is sealed.
#[derive(Serialize, Deserialize)]
struct Stored {
    to: String,
    to_name: String,
    subject: String,
    body: String,
}

/// Puts a message into the outbox. Call it inside the `write_tx` of the change it tells of. `of` is the institution whose
/// people it is for, none for the platform's: here, and nowhere else, mail to the people of a sandbox comes to its end.
///
/// # Errors
/// Any database error, or no key.
pub fn enqueue(
    connection: &mut SharedConn,
    keys: &Keys,
    of: Option<Id>,
    message: &Message,
) -> ModelResult<()> {
    if let Some(id) = of
        && sandboxes::is_one(connection, id)?
    {
        log::info!("a mail to somebody at the sandbox {id} was held back");
        return Ok(());
    }
    let stored = Stored {
        to: message.to.as_str().to_owned(),
        to_name: message.to_name.clone(),
        subject: message.subject.clone(),
        body: message.body.clone(),
    };
    let told = |error: &dyn std::fmt::Display| {
        ModelError::Refused(format!("The message could not be put into the outbox: {error}."))
    };
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(&stored).map_err(|error| told(&error))?);
    let sealed = keys.seal_mail(&plain).map_err(|error| told(&error))?;
    outgoing_mails::insert(connection, &sealed)?;
    Ok(())
}

/// Sends what is in the outbox.
#[derive(Clone)]
pub struct Outbox {
    shared: SharedPool,
    keys: Keys,
    mailer: Arc<Mailer>,
}

impl Outbox {
    pub(super) fn new(shared: SharedPool, keys: Keys, mailer: Mailer) -> Self {
        Self { shared, keys, mailer: Arc::new(mailer) }
    }

    /// Sends what is due; returns how many were sent. Blocks.
    ///
    /// # Errors
    /// Any database error. A mail that is not taken is tried again later.
    pub fn send_due(&self) -> ModelResult<usize> {
        self.send_due_while(|| true)
    }

    /// As [`Self::send_due`], but begins no further mail once `keep_going` says no.
    ///
    /// # Errors
    /// As [`Self::send_due`].
    pub fn send_due_while(&self, keep_going: impl Fn() -> bool) -> ModelResult<usize> {
        let due = outgoing_mails::due(&mut *self.shared.get()?, BATCH)?;
        let mut sent = 0;
        for mail in due {
            if !keep_going() {
                break;
            }
            sent += usize::from(self.send(&mail)?);
        }
        Ok(sent)
    }

    /// The connection is given back while the mail server is talked to.
    fn send(&self, mail: &DueMail) -> ModelResult<bool> {
        let hold = TimeDelta::seconds(60);
        if !outgoing_mails::claim(&mut *self.shared.get()?, mail, hold)? {
            return Ok(false);
        }
        let message = match self.message(mail) {
            Ok(message) => message,
            Err(error) => {
                log::error!("mail {} cannot be read and is given up: {error}", mail.id);
                outgoing_mails::mark_failed(&mut *self.shared.get()?, mail.id, &error.to_string(), None)?;
                return Ok(false);
            }
        };
        match self.mailer.send(&message) {
            Ok(()) => {
                outgoing_mails::mark_sent(&mut *self.shared.get()?, mail.id)?;
                Ok(true)
            }
            Err(error) => self.failed(mail, &error).map(|()| false),
        }
    }

    fn failed(&self, mail: &DueMail, error: &MailError) -> ModelResult<()> {
        let attempts = mail.attempts + 1;
        let again = error.is_transient() && attempts < MOST_ATTEMPTS;
        // 1, 2, 4, ... minutes, at most six hours.
        let wait = TimeDelta::minutes((1_i64 << attempts.clamp(0, 9)).min(360));
        log::warn!("mail {} was not sent (attempt {attempts}, again: {again}): {error}", mail.id);
        let again_at = again.then(|| now() + wait);
        outgoing_mails::mark_failed(&mut *self.shared.get()?, mail.id, &error.to_string(), again_at)
    }

    fn message(&self, mail: &DueMail) -> Result<Message, KeyError> {
        let damaged = || KeyError::Seal(super::secrets::SealError::Format);
        let plain = self.keys.open_mail(mail.sealed.as_deref().unwrap_or_default())?;
        let stored: Stored = serde_json::from_slice(&plain).map_err(|_| damaged())?;
        let to = Email::parse(&stored.to).map_err(|_| damaged())?;
        Ok(Message { to, to_name: stored.to_name, subject: stored.subject, body: stored.body })
    }
}
