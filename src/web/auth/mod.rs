//! Who is calling: sessions, sign-in, and the handler arguments that are the permission checks.

pub mod account;
pub mod identity;
pub mod institution_user;
pub mod invitation;
mod new_password;
pub mod notifications;
pub mod password_reset;
pub mod session_store;
pub mod setup;
pub mod sign_in;
mod somebody;
pub mod super_admin;
pub mod throttle;

pub use identity::Identity;
pub use institution_user::{InstitutionUser, Owner, Registrar};
pub use somebody::Somebody;
pub use super_admin::SuperAdmin;

/// The platform behind a request.
fn state_of(request: &actix_web::HttpRequest) -> Result<crate::web::State, crate::error::AppError> {
    request
        .app_data::<crate::web::State>()
        .cloned()
        .ok_or_else(|| crate::error::AppError::internal("the app was built without its platform"))
}
