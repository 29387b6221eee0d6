//! Databases beside the one that serves: named and entered before they are made, dropped before they are forgotten.

use chrono::TimeDelta;

use crate::{
    db::{
        Id,
        engine::{HOME, Place},
        now,
        shared::SharedConn,
    },
    models::{
        database_name::copy_name,
        domain::Domain,
        platform::{
            backups::Backup,
            institutions, servers as registry,
            tenant_copies::{self, Purpose, TenantCopy},
            tenant_databases::{self, DatabaseStatus, TenantDatabase},
        },
    },
    services::{
        operations::{Failure, Work},
        platform::Platform,
        secrets, servers,
        tokens::Token,
    },
};

/// How long a replaced database is kept, and one to look into.
pub const KEPT: TimeDelta = TimeDelta::days(7);
/// What an operation leaves behind that nobody took back.
const LEFT_BEHIND: TimeDelta = TimeDelta::days(1);

/// Where the engine finds a copy; one of the shared database is of no institution.
#[must_use]
pub fn place(copy: &TenantCopy) -> Place {
    Place {
        institution_id: copy.institution_id.unwrap_or(Id::NIL),
        name: copy.database_name.clone(),
        location: copy.location.clone(),
        server_id: copy.server_id,
    }
}

/// What a copy is made of, and for what.
pub(crate) struct Wanted<'a> {
    /// Of whom; none for the shared database.
    pub institution_id: Option<Id>,
    /// Of which schema.
    pub schema_version: &'a str,
    /// Of which backup.
    pub backup_id: Option<Id>,
    /// For what.
    pub purpose: Purpose,
    /// On which server.
    pub server_id: Id,
}

/// The copy that an operation makes of a backup; named and entered at the first call.
pub(crate) fn reserve(work: &Work<'_>, backup: &Backup, purpose: Purpose) -> Result<TenantCopy, Failure> {
    work.write_tx(|connection| {
        let present = match backup.institution_id {
            // Nobody has kept room for one that is archived.
            Some(id) => tenant_databases::find(connection, id)?
                .filter(|row| row.status != DatabaseStatus::Dropped)
                .map(|row| (row.server_id, row.engine)),
            // The shared database is tried out where it lives.
            None => Some((HOME, work.platform.engine.kind())),
        };
        let wanted = Wanted {
            institution_id: backup.institution_id,
            schema_version: &backup.schema_version,
            backup_id: Some(backup.id),
            purpose,
            server_id: servers::place_copy(connection, present, backup.engine)?,
        };
        reserve_on(work, connection, &wanted)
    })
}

/// The copy that an operation makes; named and entered at the first call.
pub(crate) fn reserve_on(
    work: &Work<'_>,
    connection: &mut SharedConn,
    wanted: &Wanted<'_>,
) -> Result<TenantCopy, Failure> {
    let (platform, purpose) = (work.platform, wanted.purpose);
    if let Some(known) = tenant_copies::of_operation(connection, work.operation.id, purpose)? {
        return Ok(known);
    }
    registry::hold(connection, wanted.server_id)?;
    let engine = platform.engine.of(wanted.server_id)?;
    let id = Id::new();
    let domain = match wanted.institution_id {
        Some(id) => Some(institutions::find(connection, id)?.domain),
        None => None,
    };
    let domain = domain.map(|text| Domain::parse(&text)).transpose();
    let domain = domain.map_err(|error| Failure::Permanent(format!("The domain is not usable: {error}.")))?;
    let unique = unique(id);
    let name = copy_name(&platform.prefix, domain.as_ref(), &unique)
        .map_err(|error| Failure::Permanent(format!("{error}.")))?;
    let keep = if purpose == Purpose::Beside { KEPT } else { LEFT_BEHIND };
    let copy = TenantCopy {
        id,
        institution_id: wanted.institution_id,
        purpose,
        engine: engine.kind(),
        location: engine.location(name.as_str(), id),
        database_name: name.as_str().to_owned(),
        sealed_password: if engine.has_passwords() {
            new_password(platform, connection, wanted.institution_id, purpose)?
        } else {
            None
        },
        schema_version: wanted.schema_version.to_owned(),
        backup_id: wanted.backup_id,
        operation_id: Some(work.operation.id),
        drop_after: now() + keep,
        created_at: now(),
        server_id: wanted.server_id,
    };
    tenant_copies::insert(connection, &copy)?;
    Ok(copy)
}

/// Keeps the database that served until now for a while, in the transaction that lets another one serve.
pub(crate) fn keep_previous(
    connection: &mut SharedConn,
    work: &Work<'_>,
    present: &TenantDatabase,
    backup_id: Option<Id>,
) -> Result<(), Failure> {
    if present.status != DatabaseStatus::Ready {
        return Ok(());
    }
    tenant_copies::insert(
        connection,
        &TenantCopy {
            id: Id::new(),
            institution_id: Some(present.institution_id),
            purpose: Purpose::Previous,
            engine: present.engine,
            database_name: present.database_name.clone(),
            location: present.location.clone(),
            sealed_password: present.sealed_password.clone(),
            schema_version: present.schema_version.clone(),
            backup_id,
            operation_id: Some(work.operation.id),
            drop_after: now() + KEPT,
            created_at: now(),
            server_id: present.server_id,
        },
    )?;
    Ok(())
}

/// The random end of an id, which no other copy's name ends with.
fn unique(id: Id) -> String {
    let text = id.to_string().replace('-', "");
    format!("r{}", &text[text.len() - 12..])
}

/// Only what is to serve gets a role, and a password sealed before it is used.
fn new_password(
    platform: &Platform,
    connection: &mut SharedConn,
    institution_id: Option<Id>,
    purpose: Purpose,
) -> Result<Option<Vec<u8>>, Failure> {
    let (Some(id), Purpose::Incoming) = (institution_id, purpose) else { return Ok(None) };
    let failed = |error: &dyn std::fmt::Display| Failure::Transient(format!("{error}."));
    let password = Token::generate().map_err(|error| failed(&error))?;
    let key = platform.keys.data_key_or_new(connection, id)?;
    let sealed = key
        .seal(secrets::Purpose::TenantDatabaseUrl, password.reveal().as_bytes())
        .map_err(|error| failed(&error))?;
    Ok(Some(sealed))
}

/// The copy of an operation.
///
/// # Errors
/// When it is gone.
pub(crate) fn find(work: &Work<'_>, purpose: Purpose) -> Result<TenantCopy, Failure> {
    tenant_copies::of_operation(&mut *work.shared()?, work.operation.id, purpose)?.ok_or_else(|| {
        Failure::Permanent("The database that was being made is gone. Roll back, then try again.".into())
    })
}

/// Drops database and role of an operation's copy, if there is one, and forgets it.
pub(crate) fn drop_of(work: &Work<'_>, purpose: Purpose) -> Result<(), Failure> {
    let found = tenant_copies::of_operation(&mut *work.shared()?, work.operation.id, purpose)?;
    let Some(copy) = found else { return Ok(()) };
    let place = place(&copy);
    work.platform.engine.drop_database(&place, &|| work.permit())?;
    work.platform.engine.drop_role(&place, &|| work.permit())?;
    work.write_tx(|connection| Ok(tenant_copies::remove(connection, copy.id)?))
}

/// The scheduled job: drops the copies whose time has come. Returns how many.
///
/// # Errors
/// When the shared database cannot be read. A copy that cannot be dropped now is tried again the next time.
pub fn drop_due(platform: &Platform) -> Result<usize, Failure> {
    let (due, silent) = {
        let connection = &mut *platform.shared.get()?;
        (tenant_copies::due(connection)?, registry::silent(connection)?)
    };
    let mut dropped = 0;
    for copy in due.into_iter().filter(|copy| !silent.contains(&copy.server_id)) {
        let place = place(&copy);
        // Never what serves, whatever a row says.
        if tenant_databases::find_by_name(&mut *platform.shared.get()?, &place.name)?.is_some() {
            continue;
        }
        let gone = platform
            .engine
            .drop_database(&place, &|| Ok(()))
            .and_then(|()| platform.engine.drop_role(&place, &|| Ok(())));
        match gone {
            Ok(()) => {
                platform.shared.get()?.write_tx(|c| tenant_copies::remove(c, copy.id))?;
                dropped += 1;
            }
            Err(error) => log::warn!("the copy {} was not dropped: {error}", copy.database_name),
        }
    }
    Ok(dropped)
}
