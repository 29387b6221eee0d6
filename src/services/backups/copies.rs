//! Databases beside the one that serves: named and entered before they are made, dropped before they are forgotten.

use chrono::TimeDelta;

use crate::{
    db::{Id, engine::Place, now, shared::SharedConn},
    models::{
        database_name::copy_name,
        domain::Domain,
        platform::{
            backups::Backup,
            institutions,
            tenant_copies::{self, Purpose, TenantCopy},
            tenant_databases,
        },
    },
    services::{
        operations::{Failure, Work},
        platform::Platform,
        secrets,
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
    }
}

/// The copy that an operation makes of a backup; named and entered at the first call.
pub(crate) fn reserve(work: &Work<'_>, backup: &Backup, purpose: Purpose) -> Result<TenantCopy, Failure> {
    let platform = work.platform;
    work.write_tx(|connection| {
        if let Some(known) = tenant_copies::of_operation(connection, work.operation.id, purpose)? {
            return Ok(known);
        }
        let id = Id::new();
        let domain = match backup.institution_id {
            Some(id) => Some(institutions::find(connection, id)?.domain),
            None => None,
        };
        let domain = domain.map(|text| Domain::parse(&text)).transpose();
        let domain =
            domain.map_err(|error| Failure::Permanent(format!("The domain is not usable: {error}.")))?;
        let unique = unique(id);
        let name = copy_name(&platform.prefix, domain.as_ref(), &unique)
            .map_err(|error| Failure::Permanent(format!("{error}.")))?;
        let keep = if purpose == Purpose::Beside { KEPT } else { LEFT_BEHIND };
        let copy = TenantCopy {
            id,
            institution_id: backup.institution_id,
            purpose,
            engine: platform.engine.kind(),
            location: platform.engine.location(name.as_str(), id),
            database_name: name.as_str().to_owned(),
            sealed_password: new_password(platform, connection, backup.institution_id, purpose)?,
            schema_version: backup.schema_version.clone(),
            backup_id: Some(backup.id),
            operation_id: Some(work.operation.id),
            drop_after: now() + keep,
            created_at: now(),
        };
        tenant_copies::insert(connection, &copy)?;
        Ok(copy)
    })
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
    let (Some(id), Purpose::Incoming, true) = (institution_id, purpose, platform.engine.has_passwords())
    else {
        return Ok(None);
    };
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
    let due = tenant_copies::due(&mut *platform.shared.get()?)?;
    let mut dropped = 0;
    for copy in due {
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
