//! A session of the platform's role on the shared database: looks, locks, runs statements, and says
//! in words why one failed.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use diesel::{
    PgConnection,
    connection::SimpleConnection,
    prelude::*,
    result::Error,
    sql_types::{BigInt, Bool, Integer, Nullable, Text},
};

use super::Word;
use crate::db::{
    engine::{EngineError, Finding, Stray, quote},
    target::open_postgres,
    trouble::Trouble,
};

/// First half of the advisory locks that are taken here.
const LOCK_SPACE: i32 = 20_261_122;

/// As many connections are too few for pages, workers and their steps.
const FEW_CONNECTIONS: i32 = 8;

/// Sessions kept between steps: opening one takes as long as several steps need.
#[derive(Default)]
pub(super) struct Sessions {
    kept: Mutex<Vec<PgConnection>>,
    /// Every commit waits for the disk: the shared database, which notes what was done, is on another server.
    durable: bool,
}

impl Sessions {
    /// Of a server that does not hold the shared database.
    pub(super) fn durable() -> Self {
        Self { kept: Mutex::default(), durable: true }
    }

    /// Releases what the last user of the session held. The time limit is for waiting behind the zombie of a
    /// killed worker: that takes a while, but not for ever. Beside the shared database commits do not wait for the
    /// disk: a crash of the server loses the last of them only, in their order, and those steps are done again.
    /// (CREATE and DROP DATABASE wait.)
    fn let_go(&self, session: &mut PgConnection) -> diesel::QueryResult<()> {
        session.batch_execute(&format!(
            "SELECT pg_advisory_unlock_all(); SET statement_timeout = 0; SET lock_timeout = '60s'; \
             SET synchronous_commit = {}",
            if self.durable { "on" } else { "off" }
        ))
    }
}

/// More are closed when they come back.
const MOST_KEPT: usize = 2;

pub(super) struct Admin<'a> {
    /// Taken by `drop` alone.
    session: Option<PgConnection>,
    sessions: &'a Sessions,
    /// A statement failed: the session is not kept.
    spoilt: bool,
}

impl Drop for Admin<'_> {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if self.spoilt || std::thread::panicking() || self.sessions.let_go(&mut session).is_err() {
            return;
        }
        let mut kept = self.sessions.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST_KEPT {
            kept.push(session);
        }
    }
}

/// A database as the server lists it.
#[derive(QueryableByName)]
pub(super) struct Database {
    #[diesel(sql_type = Text)]
    pub(super) owner: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) comment: Option<String>,
    #[diesel(sql_type = Integer)]
    connection_limit: i32,
}

impl Database {
    /// An interrupted DROP DATABASE leaves it so; only another one helps.
    pub(super) fn is_invalid(&self) -> bool {
        self.connection_limit == -2
    }
}

#[derive(QueryableByName)]
struct Rights {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    create_databases: bool,
    #[diesel(sql_type = Bool)]
    create_roles: bool,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Session {
    #[diesel(sql_type = Integer)]
    pid: i32,
    #[diesel(sql_type = Text)]
    database: String,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Bool)]
    in_transaction: bool,
    #[diesel(sql_type = BigInt)]
    seconds: i64,
}

#[derive(QueryableByName)]
struct Comment {
    #[diesel(sql_type = Text)]
    comment: String,
}

impl<'a> Admin<'a> {
    pub(super) fn connect(url: &str, sessions: &'a Sessions) -> Result<Self, EngineError> {
        let kept = sessions.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // The server may have ended it meanwhile.
        if let Some(mut session) = kept
            && sessions.let_go(&mut session).is_ok()
        {
            return Ok(Self { session: Some(session), sessions, spoilt: false });
        }
        let mut session =
            open_postgres(url).map_err(|error| explain_text(&error.to_string(), "reach the server"))?;
        sessions.let_go(&mut session).map_err(|error| explain(&error, "reach the server"))?;
        Ok(Self { session: Some(session), sessions, spoilt: false })
    }

    fn connection(&mut self) -> &mut PgConnection {
        self.session.as_mut().unwrap_or_else(|| unreachable!())
    }

    /// Waits until no other session, on any node, works on this name. Held until this session ends.
    pub(super) fn lock(&mut self, name: &str) -> Result<(), EngineError> {
        diesel::sql_query("SELECT pg_advisory_lock($1, hashtext($2))")
            .bind::<Integer, _>(LOCK_SPACE)
            .bind::<Text, _>(name)
            .execute(self.connection())
            .map(|_| ())
            .map_err(|error| explain(&error, "wait for earlier work on the same database"))
    }

    pub(super) fn unlock(&mut self, name: &str) -> Result<(), EngineError> {
        diesel::sql_query("SELECT pg_advisory_unlock($1, hashtext($2))")
            .bind::<Integer, _>(LOCK_SPACE)
            .bind::<Text, _>(name)
            .execute(self.connection())
            .map(|_| ())
            .map_err(|error| explain(&error, "end the work on the database"))
    }

    /// Runs statements that take no parameters. `act` completes "Provost could not ...".
    pub(super) fn run(&mut self, statement: &str, act: &str) -> Result<(), EngineError> {
        let result = self.connection().batch_execute(statement);
        result.map_err(|error| {
            self.spoilt = true;
            // A block of statements that failed half-way leaves its transaction open.
            let _ = self.connection().batch_execute("ROLLBACK");
            let explained = explain(&error, act);
            if Trouble::of(&error.to_string()).is_some() {
                return explained;
            }
            // A right may have been taken away since it was looked at.
            let lacking = self.missing_rights().ok().and_then(|missing| missing.into_iter().next());
            lacking.map_or(explained, |finding| lacks_right(&finding))
        })
    }

    pub(super) fn database(&mut self, name: &str) -> Result<Option<Database>, EngineError> {
        diesel::sql_query(
            "SELECT pg_get_userbyid(datdba)::text AS owner, shobj_description(oid, 'pg_database') AS comment, \
             datconnlimit AS connection_limit FROM pg_database WHERE datname = $1",
        )
        .bind::<Text, _>(name)
        .get_result(self.connection())
        .optional()
        .map_err(|error| explain(&error, "look for the database"))
    }

    /// The comment of a role, empty where it has none; `None` when there is no such role.
    pub(super) fn role_comment(&mut self, name: &str) -> Result<Option<String>, EngineError> {
        let found: Option<Comment> = diesel::sql_query(
            "SELECT coalesce(shobj_description(oid, 'pg_authid'), '') AS comment FROM pg_roles WHERE rolname = $1",
        )
        .bind::<Text, _>(name)
        .get_result(self.connection())
        .optional()
        .map_err(|error| explain(&error, "look for the role"))?;
        Ok(found.map(|found| found.comment))
    }

    /// The databases that a role may enter, among those of this platform and, where it is here, the shared one.
    pub(super) fn enterable_databases(
        &mut self,
        role: &str,
        prefix: &str,
        holds_shared: bool,
    ) -> Result<Vec<String>, EngineError> {
        let found: Vec<Word> = diesel::sql_query(
            "SELECT datname::text AS word FROM pg_database WHERE has_database_privilege($1, oid, 'CONNECT') \
             AND ($3 AND datname = current_database() OR pg_get_userbyid(datdba)::text = $2) AND datallowconn",
        )
        .bind::<Text, _>(role)
        .bind::<Text, _>(format!("{prefix}_owner"))
        .bind::<Bool, _>(holds_shared)
        .load(self.connection())
        .map_err(|error| explain(&error, "look at what the role may enter"))?;
        Ok(found.into_iter().map(|found| found.word).collect())
    }

    pub(super) fn databases_of(&mut self, owner: &str, template: &str) -> Result<Vec<String>, EngineError> {
        let found: Vec<Word> = diesel::sql_query(
            "SELECT datname::text AS word FROM pg_database WHERE pg_get_userbyid(datdba)::text = $1 \
             AND NOT starts_with(datname::text, $2) ORDER BY 1",
        )
        .bind::<Text, _>(owner)
        .bind::<Text, _>(template)
        .load(self.connection())
        .map_err(|error| explain(&error, "list the databases"))?;
        Ok(found.into_iter().map(|found| found.word).collect())
    }

    /// Databases that an interrupted DROP DATABASE left behind.
    pub(super) fn invalid_databases(&mut self, owner: &str) -> Result<Vec<String>, EngineError> {
        let found: Vec<Word> = diesel::sql_query(
            "SELECT datname::text AS word FROM pg_database WHERE pg_get_userbyid(datdba)::text = $1 \
             AND datconnlimit = -2 ORDER BY 1",
        )
        .bind::<Text, _>(owner)
        .load(self.connection())
        .map_err(|error| explain(&error, "look for interrupted removals"))?;
        Ok(found.into_iter().map(|found| found.word).collect())
    }

    /// The roles that sign in as members of a group, other than the platform's own.
    pub(super) fn members_of(&mut self, group: &str) -> Result<Vec<String>, EngineError> {
        let found: Vec<Word> = diesel::sql_query(
            "SELECT DISTINCT member.rolname::text AS word FROM pg_auth_members m \
             JOIN pg_roles member ON member.oid = m.member JOIN pg_roles held ON held.oid = m.roleid \
             WHERE held.rolname = $1 AND member.rolcanlogin AND NOT member.rolcreaterole ORDER BY 1",
        )
        .bind::<Text, _>(group)
        .load(self.connection())
        .map_err(|error| explain(&error, "list the roles"))?;
        Ok(found.into_iter().map(|found| found.word).collect())
    }

    pub(super) fn database_size(&mut self, name: &str) -> Result<u64, EngineError> {
        let found: Number = diesel::sql_query("SELECT pg_database_size($1) AS number")
            .bind::<Text, _>(name)
            .get_result(self.connection())
            .map_err(|error| explain(&error, "measure the database"))?;
        Ok(u64::try_from(found.number).unwrap_or(0))
    }

    /// Sessions of people and programs in the databases whose names begin so.
    pub(super) fn sessions_of(&mut self, prefix: &str) -> Result<HashMap<String, usize>, EngineError> {
        #[derive(QueryableByName)]
        struct Counted {
            #[diesel(sql_type = Text)]
            name: String,
            #[diesel(sql_type = BigInt)]
            number: i64,
        }
        let found: Vec<Counted> = diesel::sql_query(
            "SELECT datname::text AS name, count(*) AS number FROM pg_stat_activity \
             WHERE starts_with(datname::text, $1) GROUP BY datname",
        )
        .bind::<Text, _>(prefix)
        .load(self.connection())
        .map_err(|error| explain(&error, "count the server's sessions"))?;
        Ok(found.into_iter().map(|row| (row.name, usize::try_from(row.number).unwrap_or(0))).collect())
    }

    /// Sessions that stand around in the databases whose names begin so.
    pub(super) fn strays(
        &mut self,
        prefix: &str,
        in_transaction: Duration,
        idle: Duration,
    ) -> Result<Vec<Stray>, EngineError> {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let found: Vec<Session> = diesel::sql_query(
            "SELECT pid, datname::text AS database, usename::text AS role, state <> 'idle' AS in_transaction, \
             extract(epoch FROM now() - state_change)::bigint AS seconds FROM pg_stat_activity \
             WHERE starts_with(datname::text, $1) AND usename IS NOT NULL \
             AND (state LIKE 'idle in transaction%' AND extract(epoch FROM now() - state_change) > $2 \
             OR state = 'idle' AND extract(epoch FROM now() - state_change) > $3) ORDER BY state_change LIMIT 200",
        )
        .bind::<Text, _>(prefix)
        .bind::<BigInt, _>(seconds(in_transaction))
        .bind::<BigInt, _>(seconds(idle))
        .load(self.connection())
        .map_err(|error| explain(&error, "look at the server's sessions"))?;
        let stray = |Session { pid, database, role, in_transaction, seconds }| Stray {
            pid,
            database,
            role,
            in_transaction,
            seconds,
        };
        Ok(found.into_iter().map(stray).collect())
    }

    /// Ends a session, if it still is the one that was seen.
    pub(super) fn end_session(&mut self, prefix: &str, stray: &Stray) -> Result<bool, EngineError> {
        if stray.role.starts_with(prefix) && self.role_comment(&stray.role)?.is_some() {
            // To end the sessions of a role one must be a member of it.
            let role = quote(&stray.role)?;
            self.run(&format!("GRANT {role} TO CURRENT_USER"), "end the session")?;
        }
        let ended: Number = diesel::sql_query(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) AS number FROM pg_stat_activity \
             WHERE pid = $1 AND datname = $2 AND usename = $3 AND state LIKE 'idle%'",
        )
        .bind::<Integer, _>(stray.pid)
        .bind::<Text, _>(&stray.database)
        .bind::<Text, _>(&stray.role)
        .get_result(self.connection())
        .map_err(|error| explain(&error, "end the session"))?;
        Ok(ended.number > 0)
    }

    /// Ends the sessions of a role in its database, and waits until they have ended.
    pub(super) fn end_sessions(&mut self, name: &str) -> Result<(), EngineError> {
        for _ in 0..200 {
            let left: Number = diesel::sql_query(
                "SELECT count(pg_terminate_backend(pid)) AS number FROM pg_stat_activity \
                 WHERE datname = $1 AND usename = $1 AND pid <> pg_backend_pid()",
            )
            .bind::<Text, _>(name)
            .get_result(self.connection())
            .map_err(|error| explain(&error, "end the sessions of the database"))?;
            if left.number == 0 {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        Err(EngineError::transient(
            "Somebody is still at work in the database. Wait a moment, then try again.",
        ))
    }

    /// Version and a number that tells this cluster from every other.
    pub(super) fn identity(&mut self) -> Result<(String, String), EngineError> {
        #[derive(QueryableByName)]
        struct Said {
            #[diesel(sql_type = Text)]
            version: String,
            #[diesel(sql_type = Text)]
            identity: String,
            #[diesel(sql_type = Bool)]
            standby: bool,
        }
        let said: Said = diesel::sql_query(
            "SELECT current_setting('server_version') AS version, system_identifier::text AS identity, \
             pg_is_in_recovery() AS standby FROM pg_control_system()",
        )
        .get_result(self.connection())
        .map_err(|error| explain(&error, "ask the server which one it is"))?;
        if said.standby {
            return Err(EngineError::permanent(
                "This server is a standby and takes no writes. Give the address of its primary.",
            ));
        }
        let version = said.version.split_whitespace().next().unwrap_or_default().to_owned();
        Ok((version, said.identity))
    }

    /// Connections that ordinary roles may have.
    pub(super) fn most_connections(&mut self) -> Result<usize, EngineError> {
        let found: Number = diesel::sql_query(
            "SELECT (current_setting('max_connections')::bigint \
             - current_setting('superuser_reserved_connections')::bigint) AS number",
        )
        .get_result(self.connection())
        .map_err(|error| explain(&error, "ask how many connections there may be"))?;
        Ok(usize::try_from(found.number).unwrap_or(1))
    }

    /// What the platform's role lacks. Asked for, because the server's own words depend on its language.
    pub(super) fn missing_rights(&mut self) -> Result<Vec<Finding>, EngineError> {
        let rights: Rights = diesel::sql_query(
            "SELECT rolname::text AS name, (rolcreatedb OR rolsuper) AS create_databases, \
             (rolcreaterole OR rolsuper) AS create_roles FROM pg_roles WHERE rolname = current_user",
        )
        .get_result(self.connection())
        .map_err(|error| explain(&error, "ask what the platform's role may do"))?;
        let lacks = [
            (rights.create_databases, "make databases", "CREATEDB"),
            (rights.create_roles, "make roles", "CREATEROLE"),
        ];
        let findings = lacks.into_iter().filter(|(has, ..)| !has).map(|(_, what, right)| Finding {
            problem: format!("The role {} may not {what} on this server.", rights.name),
            remedy: format!("As a superuser run: ALTER ROLE \"{}\" {right}", rights.name),
            fatal: true,
        });
        Ok(findings.collect())
    }

    /// The name of the platform's role.
    pub(super) fn own_role(&mut self) -> Result<String, EngineError> {
        let found: Word = diesel::sql_query("SELECT current_user::text AS word")
            .get_result(self.connection())
            .map_err(|error| explain(&error, "ask for the name of the platform's role"))?;
        Ok(found.word)
    }

    /// A limit of the platform's role that its work does not fit in.
    pub(super) fn few_connections(&mut self) -> Result<Option<Finding>, EngineError> {
        #[derive(QueryableByName)]
        struct Limit {
            #[diesel(sql_type = Text)]
            name: String,
            #[diesel(sql_type = Integer)]
            most: i32,
        }
        let found: Option<Limit> = diesel::sql_query(
            "SELECT rolname::text AS name, rolconnlimit AS most FROM pg_roles \
             WHERE rolname = current_user AND rolconnlimit BETWEEN 0 AND $1",
        )
        .bind::<Integer, _>(FEW_CONNECTIONS)
        .get_result(self.connection())
        .optional()
        .map_err(|error| explain(&error, "ask how many connections the platform's role may have"))?;
        Ok(found.map(|Limit { name, most }| Finding {
            problem: format!("The role {name} may have {most} connections only."),
            remedy: format!("As a superuser run: ALTER ROLE \"{name}\" CONNECTION LIMIT -1"),
            fatal: true,
        }))
    }

    /// The shared database's name, when every role may enter it.
    pub(super) fn shared_open_to_public(&mut self) -> Result<Option<String>, EngineError> {
        let found: Option<Word> = diesel::sql_query(
            "SELECT datname::text AS word FROM pg_database WHERE datname = current_database() \
             AND has_database_privilege('public', oid, 'CONNECT')",
        )
        .get_result(self.connection())
        .optional()
        .map_err(|error| explain(&error, "look at the shared database's rights"))?;
        Ok(found.map(|found| found.word))
    }

    pub(super) fn is_member_of(&mut self, role: &str) -> Result<bool, EngineError> {
        #[derive(QueryableByName)]
        struct Member {
            #[diesel(sql_type = Bool)]
            member: bool,
        }
        // A superuser is a "member" of everything, which is as good.
        let found: Member = diesel::sql_query("SELECT pg_has_role(current_user, $1, 'USAGE') AS member")
            .bind::<Text, _>(role)
            .get_result(self.connection())
            .map_err(|error| explain(&error, "look at the platform's role"))?;
        Ok(found.member)
    }
}

/// What to grant, as the reason of a failure.
pub(super) fn lacks_right(finding: &Finding) -> EngineError {
    EngineError::permanent(format!("{} {}; then try again.", finding.problem, finding.remedy))
}

/// The database's words, and what to do where that is known.
pub(super) fn explain(error: &Error, act: &str) -> EngineError {
    explain_text(&error.to_string(), act)
}

pub(super) fn explain_text(text: &str, act: &str) -> EngineError {
    let text = text.trim().trim_end_matches('.');
    if let Some(trouble) = Trouble::of(text) {
        // Which address did not answer helps; the rest is said better in our words.
        let cause = if matches!(trouble, Trouble::Away | Trouble::Refused | Trouble::NoDatabase) {
            format!(" ({text})")
        } else {
            String::new()
        };
        return EngineError::transient(format!("Provost could not {act}: {}{cause}", trouble.words()));
    }
    if ["permission denied", "must be", "must have"].iter().any(|words| text.contains(words)) {
        return EngineError::permanent(format!(
            "Provost could not {act}: its role on the server lacks a right ({text}). Run provost doctor to see \
             what to grant, then try again."
        ));
    }
    EngineError::transient(format!("Provost could not {act}: {text}."))
}
