//! The fields and the rule for choosing a password, wherever one is chosen.

use crate::{services::password_policy::check_password, web::forms::Form};

/// A new password, typed twice; refused when it is easy to guess. `context` are words that belong to
/// the account (name, e-mail, institution), which must not make up the password.
pub fn new_password(form: &mut Form, context: &[&str]) -> Option<String> {
    let password = form
        .password("password", "New password")
        .hint("At least 15 characters. A few words that do not belong together are easy to remember and hard to guess.")
        .autocomplete("new-password")
        .required();
    let again = form.password("password_again", "New password again").autocomplete("new-password").required();
    let (password, again) = (password?, again?);
    if let Err(problem) = check_password(&password, context) {
        form.error("password", format!("{problem}."));
        return None;
    }
    if password != again {
        form.error("password_again", "The two passwords differ. Type the same one twice.");
        return None;
    }
    Some(password)
}
