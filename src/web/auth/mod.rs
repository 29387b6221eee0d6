//! Who is calling: sessions, sign-in, and the handler arguments that are the permission checks.

pub mod account;
pub mod identity;
pub mod institution_user;
pub mod invitation;
mod new_password;
pub mod notifications;
pub mod password_reset;
pub mod platform_admin;
pub mod session_store;
pub mod setup;
pub mod sign_in;
mod somebody;
pub mod throttle;

pub use identity::Identity;
pub use institution_user::{InstitutionUser, Owner, Registrar};
pub use platform_admin::{AnyAdmin, Auditor, Operator, SuperAdmin, Support};
pub use somebody::Somebody;

/// The platform behind a request.
fn state_of(request: &actix_web::HttpRequest) -> Result<crate::web::State, crate::error::AppError> {
    request
        .app_data::<crate::web::State>()
        .cloned()
        .ok_or_else(|| crate::error::AppError::internal("the app was built without its platform"))
}

/// A narrower permission: the wrapped caller, once checked.
macro_rules! permission {
    ($(#[$meta:meta])* $name:ident($caller:ty), $check:ident, $refusal:literal) => {
        $(#[$meta])*
        pub struct $name(pub $caller);

        impl std::ops::Deref for $name {
            type Target = $caller;

            fn deref(&self) -> &$caller {
                &self.0
            }
        }

        impl FromRequest for $name {
            type Error = AppError;
            type Future = LocalBoxFuture<'static, Result<Self, AppError>>;

            fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
                let caller = <$caller>::from_request(request, payload);
                Box::pin(async move {
                    let caller = caller.await?;
                    if caller.$check() { Ok(Self(caller)) } else { Err(AppError::Forbidden($refusal.into())) }
                })
            }
        }
    };
}
use permission;
