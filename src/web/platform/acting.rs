//! What an admin does with one click: in whose name, how it ended, and which page comes then.

use actix_web::HttpResponse;

use crate::{
    db::{Id, shared::SharedConn},
    error::{AppError, told},
    models::{ModelResult, platform::audit::Audit},
    web::{State, auth::AnyAdmin, page::Notice, respond::see_other},
};

/// Acts in the shared database in the name of this admin, and goes back with what happened.
pub(super) async fn act<T: Send + 'static>(
    platform: &State,
    admin: &AnyAdmin,
    act: impl FnOnce(&mut SharedConn, &Audit) -> ModelResult<T> + Send + 'static,
    done: impl FnOnce(T) -> Notice,
    back: &str,
) -> Result<HttpResponse, AppError> {
    let audit = admin.audit(platform);
    let outcome = platform.shared.run(move |c| act(c, &audit)).await;
    settled(admin, outcome, done, back)
}

/// Back to a page with what happened. Who was too late is told who was faster, and nothing is changed.
pub(super) fn settled<T>(
    admin: &AnyAdmin,
    outcome: ModelResult<T>,
    done: impl FnOnce(T) -> Notice,
    back: &str,
) -> Result<HttpResponse, AppError> {
    admin.flash(match told(outcome)? {
        Ok(value) => done(value),
        Err(sentence) => unchanged(&sentence),
    })?;
    Ok(see_other(back))
}

/// Asks for an operation and leads to its page; who was too late is told so on the page before.
pub(super) async fn begin(
    platform: &State,
    admin: &AnyAdmin,
    ask: impl FnOnce(&mut SharedConn, &Audit) -> ModelResult<Id> + Send + 'static,
    back: &str,
) -> Result<HttpResponse, AppError> {
    let audit = admin.audit(platform);
    let outcome = platform.shared.run(move |c| ask(c, &audit)).await;
    platform.operations.wake();
    match told(outcome)? {
        Ok(operation) => Ok(see_other(format!("{}/{operation}", super::operations::PATH))),
        Err(sentence) => {
            admin.flash(unchanged(&sentence))?;
            Ok(see_other(back))
        }
    }
}

fn unchanged(sentence: &str) -> Notice {
    Notice::warning(format!("{sentence} Nothing was changed."))
}
