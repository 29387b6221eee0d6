//! The yardstick: bare actix and a bare driver that answer the students list as directly as one can.
//!
//! The same questions to the same databases, in the same order, prepared once; then as many bytes as the real
//! page has. No ORM, no templates, no middleware, no rights beyond finding session, institution and user.
//!
//!   yardstick PORT BYTES sqlite SHARED_FILE TENANT_FILE
//!   yardstick PORT BYTES postgres SHARED_URL TENANT_URL
//!
//! A request carries the hash of a session's token, in hexadecimal, as its only cookie.

mod page;
mod postgres;
mod sqlite;

use actix_web::{App, HttpRequest, HttpServer, web};

/// Questions that both engines understand but for their marks: `?1` is a parameter.
mod sql {
    pub const SESSION: &str = "SELECT id, institution_id, user_id, state, ip, user_agent, created_at, last_seen_at \
         FROM sessions WHERE token_hash = ?1 AND idle_expires_at > ?2 AND expires_at > ?2 LIMIT 1";
    pub const INSTITUTION: &str = "SELECT i.id, i.domain, i.name, i.kind, i.country, i.region, i.website, \
         i.time_zone, i.status, i.status_changed_at, i.plan, i.trial_ends_at, i.created_at, i.updated_at, i.version, \
         d.id, d.institution_id, d.engine, d.database_name, d.location, d.sealed_password, d.schema_version, \
         d.generation, d.status FROM institutions i LEFT JOIN tenant_databases d ON d.institution_id = i.id \
         WHERE i.domain = ?1 LIMIT 1";
    pub const USER: &str = "SELECT u.id, u.email, u.name, u.status, u.last_sign_in_at, u.created_at, u.updated_at, \
         u.version, r.role, i.time_zone, i.locale FROM users u LEFT JOIN user_roles r ON r.user_id = u.id \
         INNER JOIN institution i ON i.id IS NOT NULL WHERE u.id = ?1";
    pub const YEARS: &str = "SELECT DISTINCT admission_year FROM students WHERE admission_year IS NOT NULL \
         ORDER BY admission_year DESC";
    pub const COUNT: &str = "SELECT COUNT(*) FROM students WHERE archived_at IS NULL";
    pub const SEARCH_COUNT: &str =
        "SELECT COUNT(*) FROM students WHERE archived_at IS NULL AND search_key LIKE ?1 ESCAPE '\\'";
    pub const LIST: &str = "SELECT s.id, s.student_number, s.status, s.admission_year, s.programme, s.notes, \
         s.archived_at, s.created_at, s.updated_at, s.version, p.id, p.name, p.preferred_name, p.birth_date, p.email, \
         p.phone, p.address FROM students s INNER JOIN people p ON s.person_id = p.id WHERE s.archived_at IS NULL \
         ORDER BY s.name_key ASC, s.id ASC LIMIT ?1 OFFSET ?2";
    pub const SEARCH_LIST: &str = "SELECT s.id, s.student_number, s.status, s.admission_year, s.programme, s.notes, \
         s.archived_at, s.created_at, s.updated_at, s.version, p.id, p.name, p.preferred_name, p.birth_date, p.email, \
         p.phone, p.address FROM students s INNER JOIN people p ON s.person_id = p.id WHERE s.archived_at IS NULL \
         AND s.search_key LIKE ?3 ESCAPE '\\' ORDER BY s.name_key ASC, s.id ASC LIMIT ?1 OFFSET ?2";
}

/// Rows on a page, as in the app.
const SIZE: i64 = 25;

/// What a request asks for.
struct Asked {
    token_hash: Vec<u8>,
    domain: String,
    /// A LIKE pattern, when something is searched.
    pattern: Option<String>,
}

impl Asked {
    fn of(request: &HttpRequest) -> Option<Self> {
        let cookie = request.headers().get("cookie")?.to_str().ok()?;
        let hex = cookie.split_once('=')?.1;
        let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        Some(Self {
            token_hash: (0..hex.len() / 2).map(|index| byte(index * 2)).collect::<Option<_>>()?,
            domain: request.match_info().get("domain")?.to_owned(),
            pattern: request.query_string().strip_prefix("q=").map(|words| format!("%{words}%")),
        })
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, bytes, engine, shared, tenant] = arguments.as_slice() else {
        return Err(std::io::Error::other("yardstick PORT BYTES sqlite|postgres SHARED TENANT"));
    };
    let number = |text: &String| text.parse::<usize>().map_err(std::io::Error::other);
    let (port, bytes) = (u16::try_from(number(port)?).map_err(std::io::Error::other)?, number(bytes)?);
    let path = "/i/{domain}/students";
    if engine == "sqlite" {
        let files = sqlite::Files { shared: shared.into(), tenant: tenant.into(), bytes };
        HttpServer::new(move || {
            App::new().app_data(web::Data::new(files.clone())).route(path, web::get().to(sqlite::students))
        })
        .bind(("127.0.0.1", port))?
        .run()
        .await
    } else {
        let (shared, tenant) = (shared.clone(), tenant.clone());
        HttpServer::new(move || {
            let (shared, tenant) = (shared.clone(), tenant.clone());
            App::new()
                .data_factory(move || postgres::connect(shared.clone(), tenant.clone(), bytes))
                .route(path, web::get().to(postgres::students))
        })
        .bind(("127.0.0.1", port))?
        .run()
        .await
    }
}
