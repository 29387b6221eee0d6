//! Tenant databases on a PostgreSQL server, made by a role that needs CREATEDB and CREATEROLE only.
//!
//! Two roles that nobody signs in as hold the rights: the owner (schema) and the runtime group (rows).
//! Each tenant signs in as a role of its own, a member of the group that may connect to its own database
//! alone. An owner could open its database to the world, so no role that signs in owns anything.

mod admin;
pub(super) mod copy;
mod template;
mod tools;
mod upkeep;

use std::{collections::HashMap, sync::Mutex, time::Duration};

use admin::{Admin, Sessions};
use diesel::{connection::SimpleConnection, prelude::*, sql_types::Text};

use super::{
    Act, Condition, Contents, CopyTools, Dumped, EngineError, Examined, Facts, Finding, Leftover,
    LeftoverKind, Opener, Permit, Place, Room, Stray, TenantEngine, quote, scram, try_reading_and_writing,
};
use crate::db::{Engine, Id, OpenError, Target, tenant::TenantConn, tenant_migrations::TenantMigrations};

/// Connections of one tenant's role on the whole server, however many nodes there are.
const ROLE_CONNECTIONS: usize = 24;
/// What the server says, by its version, of a session that our role may not end.
const NOT_OURS_TO_END: [&str; 3] = [
    "process is being terminated",
    "permission denied to terminate process",
    "to terminate superuser process",
];
/// Left for people with psql, monitoring and the operations' own sessions.
const RESERVED_CONNECTIONS: usize = 16;

/// One PostgreSQL server: the one of the shared database, or another.
pub struct PostgresEngine {
    url: String,
    holds_shared: bool,
    prefix: String,
    platform_id: String,
    role_connections: usize,
    migrations: TenantMigrations,
    /// The schema version whose template is known to be there.
    prepared: Mutex<Option<String>>,
    sessions: Sessions,
}

impl PostgresEngine {
    /// The server that `url`, the shared database's, names.
    #[must_use]
    pub fn new(
        url: &str,
        prefix: &str,
        platform_id: &str,
        tenant_connections: usize,
        migrations: TenantMigrations,
    ) -> Self {
        Self {
            url: url.to_owned(),
            holds_shared: true,
            prefix: prefix.to_owned(),
            platform_id: platform_id.to_owned(),
            role_connections: ROLE_CONNECTIONS.max(tenant_connections * 2),
            migrations,
            prepared: Mutex::new(None),
            sessions: Sessions::default(),
        }
    }

    /// A server that does not hold the shared database; its address names any database to begin in.
    #[must_use]
    pub fn elsewhere(mut self) -> Self {
        self.holds_shared = false;
        self.sessions = Sessions::durable();
        self
    }

    /// Holds the rights to the schema. Domains start with a letter or digit, so no tenant has this name.
    fn owner(&self) -> Result<String, EngineError> {
        quote(&format!("{}_owner", self.prefix))
    }

    /// Holds the rights to rows.
    fn runtime(&self) -> Result<String, EngineError> {
        quote(&format!("{}_runtime", self.prefix))
    }

    fn admin(&self) -> Result<Admin<'_>, EngineError> {
        Admin::connect(&self.url, &self.sessions)
    }

    /// The URL of another database of the server, as the platform's role or as a tenant's.
    fn url_of(&self, database: &str, tenant: Option<(&str, &str)>) -> Result<String, EngineError> {
        let unusable = || EngineError::permanent("The address of the PostgreSQL server is not usable.");
        let mut url = url::Url::parse(&self.url).map_err(|_| unusable())?;
        url.set_path(database);
        if let Some((role, password)) = tenant {
            url.set_username(role).map_err(|()| unusable())?;
            url.set_password(Some(password)).map_err(|()| unusable())?;
        }
        Ok(url.into())
    }

    /// Whether the database is there; one that is not this institution's is an error.
    fn look(&self, admin: &mut Admin<'_>, place: &Place) -> Result<bool, EngineError> {
        match self.found(admin, place)? {
            Found::Ours => Ok(true),
            Found::Nothing => Ok(false),
            Found::Foreign => Err(EngineError::permanent(format!(
                "The server already has a database named {}, which is not this institution's. Rename or drop \
                 it, then try again.",
                place.name
            ))),
        }
    }

    /// Closes a database, ends its sessions and removes it. The caller holds its lock and knows that it is ours.
    fn drop_locked(&self, admin: &mut Admin<'_>, database: &str) -> Result<(), EngineError> {
        let name = quote(database)?;
        admin.run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"), "close the database")?;
        crate::crash_point!("postgres:closed");
        if admin.role_comment(database)?.is_some() {
            // To end the sessions of a role one must be a member of it.
            admin.run(&format!("GRANT {name} TO CURRENT_USER"), "end the sessions of the database")?;
        }
        // No time limit: a cancelled DROP DATABASE leaves an unusable database behind.
        admin.run("SET statement_timeout = 0; SET lock_timeout = 0", "remove the database")?;
        drop_with_sessions(admin, &name, "remove the database")?;
        crate::crash_point!("postgres:dropped");
        Ok(())
    }

    /// Looks for the database; an unusable rest of an interrupted removal goes.
    fn found(&self, admin: &mut Admin<'_>, place: &Place) -> Result<Found, EngineError> {
        let Some(found) = admin.database(&place.name)? else { return Ok(Found::Nothing) };
        let mine = format!("{}_owner", self.prefix) == found.owner
            && found.comment.as_deref().is_none_or(|comment| comment == comment_of(place.institution_id));
        if !mine {
            return Ok(Found::Foreign);
        }
        if found.is_invalid() {
            admin.run(&format!("DROP DATABASE {}", place.quoted()?), "remove a half-removed database")?;
            return Ok(Found::Nothing);
        }
        Ok(Found::Ours)
    }
}

/// Removes a database and ends the sessions in it. One of the server itself, which counts or cleans there, only a
/// superuser may end: FORCE fails then. Without force it is asked to leave, and waited for.
fn drop_with_sessions(admin: &mut Admin<'_>, name: &str, act: &str) -> Result<(), EngineError> {
    let forced = admin.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), act);
    let not_ours = |error: &EngineError| NOT_OURS_TO_END.iter().any(|words| error.message.contains(words));
    match forced {
        Err(error) if not_ours(&error) => admin.run(&format!("DROP DATABASE IF EXISTS {name}"), act),
        ended => ended,
    }
}

impl PostgresEngine {
    /// Proves that the role of `place` has the rights that it needs in its database, and no more.
    fn prove_rights(&self, place: &Place, connection: &mut TenantConn) -> Result<(), EngineError> {
        let enterable = self.admin()?.enterable_databases(&place.name, &self.prefix, self.holds_shared)?;
        if let Some(other) = enterable.iter().find(|name| **name != place.name) {
            return Err(EngineError::permanent(format!(
                "The institution's role may enter the database {other}. Its owner must run: REVOKE ALL ON \
                 DATABASE {other} FROM PUBLIC; then try again."
            )));
        }
        try_reading_and_writing(connection)?;
        for statement in
            ["CREATE TABLE provost_probe (x int)", "CREATE TEMPORARY TABLE provost_probe (x int)"]
        {
            if connection.batch_execute(statement).is_ok() {
                return Err(EngineError::permanent(
                    "The institution's role can change the schema of its database.",
                ));
            }
        }
        Ok(())
    }

    /// Proves that the role of `place` is kept out of `foreign` by its rights, and not by a full server.
    fn prove_shut(&self, place: &Place, password: Option<&str>, foreign: &Place) -> Result<(), EngineError> {
        let url = self.url_of(&foreign.name, Some((&place.name, password.unwrap_or_default())))?;
        match TenantConn::open(&Target::Postgres(url)) {
            Ok(_) => Err(EngineError::permanent(
                "The institution's role can enter another institution's database.",
            )),
            // "User does not have CONNECT privilege": the word of SQL stands there in every language.
            Err(error) if error.to_string().contains("CONNECT") => Ok(()),
            // One that is lost keeps nobody out of anything.
            Err(_) if !self.exists(foreign)? => Ok(()),
            Err(error) => Err(EngineError::transient(format!(
                "Whether the institution's role is kept out of another's database could not be found out: \
                 {error}."
            ))),
        }
    }
}

/// What bears the name of a database.
#[derive(PartialEq, Eq)]
enum Found {
    Nothing,
    Ours,
    /// Never touched.
    Foreign,
}

impl TenantEngine for PostgresEngine {
    fn kind(&self) -> Engine {
        Engine::Postgres
    }

    fn location(&self, _: &str, _: Id) -> String {
        match url::Url::parse(&self.url) {
            Ok(url) => format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(5432)),
            Err(_) => String::new(),
        }
    }

    fn has_passwords(&self) -> bool {
        true
    }

    fn prepare(&self) -> Result<(), EngineError> {
        self.ensure_template(&mut self.admin()?).map(|_| ())
    }

    fn close_shared_database(&self) -> Result<(), EngineError> {
        self.close_shared(&mut self.admin()?)
    }

    fn create_role(&self, place: &Place, password: &str, permit: Permit<'_>) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        self.ensure_template(&mut admin)?;
        admin.lock(&place.name)?;
        permit()?;
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)
            .map_err(|_| EngineError::transient("The operating system gave no random bytes."))?;
        // Base64 and `$` only: nothing that ends a quoted string.
        let verifier = scram::verifier(password, &salt);
        let (role, group) = (place.quoted()?, self.runtime()?);
        let limit = self.role_connections;
        match admin.role_comment(&place.name)? {
            None => admin.run(
                &format!(
                    "BEGIN; CREATE ROLE {role} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE \
                     CONNECTION LIMIT {limit} PASSWORD '{verifier}'; \
                     COMMENT ON ROLE {role} IS '{}'; \
                     ALTER ROLE {role} SET statement_timeout = '60s'; \
                     GRANT {group} TO {role}; COMMIT",
                    comment_of(place.institution_id)
                ),
                "make the institution's role",
            )?,
            Some(comment) if comment == comment_of(place.institution_id) => {
                admin.run(&format!("ALTER ROLE {role} PASSWORD '{verifier}'"), "set the role's password")?;
            }
            Some(_) => {
                return Err(EngineError::permanent(format!(
                    "The server already has a role named {}, which is not this institution's. Rename or drop \
                     it, then try again.",
                    place.name
                )));
            }
        }
        crate::crash_point!("postgres:role-made");
        Ok(())
    }

    fn create(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        let template = self.ensure_template(&mut admin)?;
        // Held by the very session that creates: after a crash, whoever recovers waits for its end here.
        admin.lock(&place.name)?;
        permit()?;
        let (name, owner) = (place.quoted()?, self.owner()?);
        if !self.look(&mut admin, place)? {
            let made = admin.run(
                &format!(
                    "CREATE DATABASE {name} OWNER {owner} TEMPLATE {} ALLOW_CONNECTIONS false",
                    quote(&template)?
                ),
                "make the database",
            );
            if let Err(error) = made {
                // "Already exists" in any of its forms: look again.
                if !self.look(&mut admin, place)? {
                    return Err(error);
                }
            }
        }
        crate::crash_point!("postgres:database-made");
        // Also where it was there: whoever made it may have been killed before this.
        let comment = comment_of(place.institution_id);
        admin.run(&format!("COMMENT ON DATABASE {name} IS '{comment}'"), "mark the database as ours")
    }

    fn grant_and_open(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        admin.lock(&place.name)?;
        permit()?;
        if !self.look(&mut admin, place)? {
            return Err(EngineError::permanent(
                "The new database is gone from the server. Roll back, then try again.",
            ));
        }
        // The role has the database's name.
        let name = place.quoted()?;
        // In one transaction: nobody can enter before it is closed to everybody else.
        admin.run(
            &format!(
                "BEGIN; REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {name}; \
                 ALTER DATABASE {name} ALLOW_CONNECTIONS true; COMMIT"
            ),
            "open the database to the institution's role alone",
        )?;
        crate::crash_point!("postgres:database-opened");
        Ok(())
    }

    fn verify(
        &self,
        place: &Place,
        connection: &mut TenantConn,
        password: Option<&str>,
        foreign: Option<&Place>,
    ) -> Result<(), EngineError> {
        std::thread::scope(|scope| {
            // A refusal takes the server as long as all the rest: both at once.
            let shut = foreign.map(|foreign| scope.spawn(|| self.prove_shut(place, password, foreign)));
            self.prove_rights(place, connection)?;
            let died = |_| Err(EngineError::transient("The check of other institutions' databases died."));
            shut.map_or(Ok(()), |shut| shut.join().unwrap_or_else(died))
        })
    }

    fn drop_database(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        admin.lock(&place.name)?;
        permit()?;
        if self.found(&mut admin, place)? != Found::Ours {
            return Ok(());
        }
        self.drop_locked(&mut admin, &place.name)
    }

    fn drop_role(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        admin.lock(&place.name)?;
        permit()?;
        match admin.role_comment(&place.name)? {
            Some(comment) if comment == comment_of(place.institution_id) => {
                admin.run(&format!("DROP ROLE {}", place.quoted()?), "remove the institution's role")
            }
            _ => Ok(()),
        }
    }

    fn exists(&self, place: &Place) -> Result<bool, EngineError> {
        Ok(self.admin()?.database(&place.name)?.is_some())
    }

    fn list(&self) -> Result<Vec<String>, EngineError> {
        self.admin()?.databases_of(&format!("{}_owner", self.prefix), &format!("{}_template", self.prefix))
    }

    fn roles(&self) -> Result<Vec<String>, EngineError> {
        self.admin()?.members_of(&format!("{}_runtime", self.prefix))
    }

    fn leftovers(&self) -> Result<Vec<Leftover>, EngineError> {
        let names = self.admin()?.invalid_databases(&format!("{}_owner", self.prefix))?;
        Ok(names.into_iter().map(|name| Leftover { kind: LeftoverKind::Invalid, name }).collect())
    }

    fn remove_leftover(&self, leftover: &Leftover) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        admin.lock(&leftover.name)?;
        let owner = format!("{}_owner", self.prefix);
        let found = admin.database(&leftover.name)?;
        if found.is_none_or(|found| found.owner != owner || !found.is_invalid()) {
            return Ok(());
        }
        admin.run(&format!("DROP DATABASE {}", quote(&leftover.name)?), "remove a half-removed database")
    }

    fn drop_unknown(&self, listed: &str) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        admin.lock(listed)?;
        let owner = format!("{}_owner", self.prefix);
        // Only what a tenant's database could be: never the shared one, a template or another platform's.
        if !self.list()?.iter().any(|name| name == listed)
            || admin.database(listed)?.is_none_or(|found| found.owner != owner)
        {
            return Err(EngineError::permanent(format!("{listed} is no database of this platform.")));
        }
        self.drop_locked(&mut admin, listed)
    }

    fn drop_unknown_role(&self, listed: &str) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        admin.lock(listed)?;
        if !self.roles()?.iter().any(|name| name == listed) {
            return Err(EngineError::permanent(format!("{listed} is no role of this platform's.")));
        }
        admin.run(&format!("DROP ROLE {}", quote(listed)?), "remove the role")
    }

    fn size(&self, place: &Place) -> Result<u64, EngineError> {
        self.admin()?.database_size(&place.name)
    }

    fn sessions(&self) -> Result<HashMap<String, usize>, EngineError> {
        self.admin()?.sessions_of(&self.prefix)
    }

    fn opener(&self, place: &Place, password: Option<&str>) -> Result<Opener, EngineError> {
        quote(&place.name)?;
        let target =
            Target::Postgres(self.url_of(&place.name, Some((&place.name, password.unwrap_or_default())))?);
        Ok(Box::new(move || TenantConn::open(&target)))
    }

    fn open_as_owner(&self, place: &Place) -> Result<TenantConn, EngineError> {
        let target = Target::Postgres(self.url_of(&place.name, None)?);
        let mut connection = TenantConn::open(&target).map_err(|error| unreachable_database(&error))?;
        connection
            .batch_execute(&format!("SET ROLE {}; SET lock_timeout = '5s'", self.owner()?))
            .map_err(|error| admin::explain(&error, "act as the owner of the database"))?;
        Ok(connection)
    }

    fn dump(
        &self,
        place: &Place,
        tools: CopyTools<'_>,
        out: &mut dyn std::io::Write,
    ) -> Result<Dumped, EngineError> {
        self.dump_tenant(place, tools.folder, out)
    }

    fn load(
        &self,
        place: &Place,
        tools: CopyTools<'_>,
        input: &mut dyn std::io::Read,
        permit: Permit<'_>,
    ) -> Result<(), EngineError> {
        self.load_tenant(place, tools.folder, input, permit)
    }

    fn contents(&self, place: &Place) -> Result<Contents, EngineError> {
        self.contents_of(place)
    }

    fn marks(&self, places: &[Place]) -> Result<Vec<Option<String>>, EngineError> {
        self.marks_of(places)
    }

    fn condition(&self, place: &Place) -> Result<Condition, EngineError> {
        upkeep::condition(&mut self.open_as_owner(place)?)
    }

    fn tend(&self, place: &Place, act: Act, _: Room<'_>) -> Result<(), EngineError> {
        let mut alone = self.admin()?;
        alone.lock("upkeep")?;
        upkeep::tend(&mut self.open_as_owner(place)?, act)
    }

    fn write_anew(&self, place: &Place) -> Result<(), EngineError> {
        upkeep::write_anew(&mut self.open_as_owner(place)?)
    }

    fn examine(&self, place: &Place, connection: &mut TenantConn) -> Result<Examined, EngineError> {
        let mut open_doors =
            self.admin()?.enterable_databases(&place.name, &self.prefix, self.holds_shared)?;
        open_doors.retain(|name| *name != place.name);
        Ok(Examined { open_doors, ..upkeep::examine(connection)? })
    }

    fn strays(&self, in_transaction: Duration, idle: Duration) -> Result<Vec<Stray>, EngineError> {
        self.admin()?.strays(&self.prefix, in_transaction, idle)
    }

    fn sees_sessions(&self) -> Result<bool, EngineError> {
        self.admin()?.is_member_of("pg_read_all_stats")
    }

    fn end_session(&self, stray: &Stray) -> Result<bool, EngineError> {
        self.admin()?.end_session(&self.prefix, stray)
    }

    fn connection_budget(&self, shared_connections: usize) -> Result<usize, EngineError> {
        let most = self.admin()?.most_connections()?;
        let reserved = RESERVED_CONNECTIONS.min(most / 4) + shared_connections;
        Ok(most.saturating_sub(reserved).max(1))
    }

    fn stop_writing(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        admin.lock(&place.name)?;
        permit()?;
        let name = place.quoted()?;
        // Sessions that begin from now on only read; those that were there are ended.
        admin.run(
            &format!(
                "ALTER ROLE {name} SET default_transaction_read_only = on; GRANT {name} TO CURRENT_USER"
            ),
            "stop the writing to the database",
        )?;
        admin.end_sessions(&place.name)
    }

    fn allow_writing(&self, place: &Place) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        admin.lock(&place.name)?;
        if admin.role_comment(&place.name)?.is_none() {
            return Ok(());
        }
        let name = place.quoted()?;
        admin.run(
            &format!("ALTER ROLE {name} RESET default_transaction_read_only; GRANT {name} TO CURRENT_USER"),
            "allow writing to the database again",
        )?;
        admin.end_sessions(&place.name)
    }

    fn facts(&self) -> Result<Facts, EngineError> {
        let (version, identity) = self.admin()?.identity()?;
        Ok(Facts {
            version: format!("PostgreSQL {version}"),
            identity,
            connections: self.connection_budget(0)?,
        })
    }

    fn diagnose(&self) -> Result<Vec<Finding>, EngineError> {
        let mut admin = self.admin()?;
        let mut findings = admin.missing_rights()?;
        findings.extend(admin.few_connections()?);
        findings.extend(self.diagnose_groups(&mut admin)?);
        for name in admin.invalid_databases(&format!("{}_owner", self.prefix))? {
            findings.push(Finding {
                problem: format!("The removal of the database {name} was interrupted; it cannot be used."),
                remedy: format!(
                    "As the platform's role run: DROP DATABASE {}; if an institution used it, restore it from a \
                     backup.",
                    quote(&name)?
                ),
                fatal: true,
            });
        }
        if self.holds_shared
            && let Some(name) = admin.shared_open_to_public()?
        {
            findings.push(Finding {
                problem: format!("Every role of the server may enter the shared database {name}."),
                remedy: format!("As its owner run: REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
                fatal: true,
            });
        }
        Ok(findings)
    }
}

/// What a tenant's role and database are marked with.
fn comment_of(institution_id: Id) -> String {
    format!("Provost institution {institution_id}")
}

fn unreachable_database(error: &OpenError) -> EngineError {
    admin::explain_text(&error.to_string(), "enter the database")
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}
