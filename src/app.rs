//! The web app: the server and the tests build the very same one.

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use actix_session::{
    SessionMiddleware,
    config::{PersistentSession, TtlExtensionPolicy},
};
use actix_web::{
    App, Error, HttpServer,
    body::MessageBody,
    cookie::{Key, SameSite},
    dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::{Compress, from_fn},
    web::{Data, PathConfig, PayloadConfig, QueryConfig, scope},
};

use crate::{
    error::AppError,
    routes,
    services::platform::Platform,
    web::{
        auth::session_store::DatabaseSessions,
        client::TrustedProxies,
        middleware::{
            framed::framed,
            guard::{OverTls, guard},
            measured::measured,
            same_origin::{OwnOrigin, same_origin},
        },
    },
};

/// Largest body of a form; files have limits of their own.
const FORM_BYTES: usize = 256 * 1024;

/// What only the web side of the configuration needs.
#[derive(Debug, Clone, Default)]
pub struct WebSettings {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// Threads that answer requests; none means one per core.
    pub workers: Option<usize>,
}

/// The app around one platform.
///
/// # Errors
/// When the public URL cannot be read.
pub fn build_app(
    platform: &Arc<Platform>,
    settings: &WebSettings,
    public_url: &url::Url,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let tls = public_url.scheme() == "https";
    App::new()
        .app_data(Data::from(Arc::clone(platform)))
        .app_data(Data::new(settings.trusted_proxies.clone()))
        .app_data(Data::new(OwnOrigin::of(public_url)))
        .app_data(OverTls(tls))
        .app_data(PayloadConfig::new(FORM_BYTES))
        .app_data(PathConfig::default().error_handler(|_, _| AppError::NotFound.into()))
        .app_data(QueryConfig::default().error_handler(|_, _| {
            AppError::BadRequest("The part of the address after the question mark cannot be read.".into())
                .into()
        }))
        .configure(routes::configure_plain)
        .service(
            scope("").configure(routes::configure_pages).wrap(from_fn(framed)).wrap(sessions(platform, tls)),
        )
        .wrap(from_fn(same_origin))
        .wrap(from_fn(measured))
        .wrap(Compress::default())
        .wrap(from_fn(guard))
}

fn sessions(platform: &Platform, tls: bool) -> SessionMiddleware<DatabaseSessions> {
    let limits = platform.settings.limits;
    let length = i64::try_from(limits.session_length.as_secs()).unwrap_or(i64::MAX);
    // The cookie lives as long as a session can; the database decides when it ends.
    let lifecycle = PersistentSession::default()
        .session_ttl(actix_web::cookie::time::Duration::seconds(length))
        .session_ttl_extension_policy(TtlExtensionPolicy::OnStateChanges);
    SessionMiddleware::builder(DatabaseSessions::new(platform.shared.clone(), limits), cookie_key(platform))
        .cookie_name(if tls { "__Host-provost" } else { "provost" }.into())
        .cookie_secure(tls)
        .cookie_http_only(true)
        .cookie_same_site(SameSite::Lax)
        .cookie_path("/".into())
        .session_lifecycle(lifecycle)
        .build()
}

/// The token in the cookie is random already; sealing it keeps made-up tokens away from the database.
fn cookie_key(platform: &Platform) -> Key {
    let derived = platform.keys.cookie_key();
    let bytes: Vec<u8> = [derived.hash("cookie", b"1"), derived.hash("cookie", b"2")].concat();
    Key::from(&bytes)
}

/// A server on `listener`; it finishes the requests in flight when it is told to stop.
///
/// # Errors
/// When the socket cannot be served.
pub fn server(
    platform: Arc<Platform>,
    settings: WebSettings,
    public_url: url::Url,
    listener: TcpListener,
) -> io::Result<Server> {
    let workers = settings.workers;
    let server = HttpServer::new(move || build_app(&platform, &settings, &public_url))
        .client_request_timeout(Duration::from_secs(10))
        .shutdown_timeout(20);
    let server = match workers {
        Some(workers) => server.workers(workers),
        None => server,
    };
    Ok(server.listen(listener)?.run())
}
