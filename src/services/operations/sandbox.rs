//! The steps of provisioning that make a sandbox: an institution whose database is a masked copy of another one's.
//!
//! Until the one transaction of the step `serve` the copy is a row of `tenant_copies`, which no page and no user ever
//! enters; by then it is masked, and written anew so that nothing is left of what it was.

use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Failure, Work, provision, restore};
use crate::{
    db::{Engine, Id, shared::SharedConn},
    models::{
        ModelResult,
        institution::{
            Activity,
            masking::{self, Disguise, Identity},
            users,
        },
        platform::{
            backups::{self as registry, Backup, Reason},
            institutions::{self, Status},
            login_index::{self, Login},
            platform_secrets, sandboxes, servers as registered,
            tenant_copies::{self, Purpose, TenantCopy},
            tenant_databases::{self, NewTenantDatabase},
        },
        text::Email,
    },
    services::{
        backups::{self, copies},
        mail_texts::Recipient,
        outbox, servers,
    },
};

/// What is copied.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Copied {
    /// Whose records.
    pub institution_id: Id,
    /// By which backup.
    pub backup_id: Id,
    /// It is taken first.
    pub fresh: bool,
}

/// Every step, in order. On SQLite there are no roles.
const STEPS: [&str; 10] =
    ["source", "place", "entry", "fill", "check", "update", "mask", "clean", "admit", "serve"];

/// The steps of a sandbox whose source is on this engine.
#[must_use]
pub fn steps(engine: Engine) -> Vec<&'static str> {
    STEPS.into_iter().filter(|step| engine == Engine::Postgres || *step != "entry").collect()
}

/// What a step does, for a person.
pub(super) fn step_label(step: &str) -> &'static str {
    match step {
        "source" => "Take the backup, or find it",
        "place" => "Reserve a name for the copy, and make its key",
        "entry" => "Make its role on the server",
        "fill" => "Restore the backup into the copy",
        "check" => "Compare schema and rows with the backup",
        "update" => "Bring it to the schema of this version",
        "mask" => "Mask everybody in it",
        "clean" => "Write it anew, so that nothing unmasked is left",
        "admit" => "Enter its first admin, and prove that it is closed to others",
        "serve" => "Let it serve",
        _ => "Unknown step",
    }
}

/// Whether a step is one of a sandbox.
pub(super) fn is_own(step: &str) -> bool {
    STEPS.contains(&step)
}

/// Names of the crash points inside the steps, for the kill sweep.
#[must_use]
pub fn crash_points(engine: Engine) -> Vec<String> {
    let of_steps = steps(engine)
        .into_iter()
        .flat_map(|step| ["begun", "acted", "recorded"].map(|moment| format!("step:{step}:{moment}")));
    let inside: &[&str] = match engine {
        Engine::Sqlite => &["sqlite:copy-written"],
        Engine::Postgres => {
            &["postgres:role-made", "postgres:copy-made", "postgres:copy-filled", "postgres:database-opened"]
        }
    };
    let own = [
        "operation:claimed",
        "backup:part-written",
        "backup:file-named",
        "backup:manifest-named",
        "sandbox:filled",
        "sandbox:masking",
        "sandbox:masked",
        "sandbox:serving",
        "operation:steps-done",
    ];
    of_steps.chain(inside.iter().chain(&own).map(ToString::to_string)).collect()
}

/// Does a step, or finds it done.
pub(super) fn perform(step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
    let input: provision::Input = work.input()?;
    let copied = input.copied.filter(|_| is_own(step)).ok_or_else(|| {
        Failure::Permanent(format!("This version of Provost does not know the step {step}."))
    })?;
    let platform = work.platform;
    match step {
        "source" => source(work, copied).map(Some),
        "place" => Ok(Some(reserve(work, &backup(work, copied)?)?.database_name)),
        "entry" => restore::make_role(work, Purpose::Incoming).map(Some),
        "fill" => {
            let place = copies::place(&copies::find(work, Purpose::Incoming)?);
            backups::load(platform, &backup(work, copied)?, &place, &|| work.permit())?;
            crate::crash_point!("sandbox:filled");
            platform.engine.adopt(&place, copied.institution_id)?;
            Ok(None)
        }
        "check" => {
            let copy = copies::find(work, Purpose::Incoming)?;
            let found = platform.engine.contents(&copies::place(&copy))?;
            Ok(Some(backups::compare(&backup(work, copied)?, &found)?))
        }
        "update" => restore::migrate(work),
        "mask" => mask(work).map(Some),
        "clean" => {
            let copy = copies::find(work, Purpose::Incoming)?;
            work.still_mine()?;
            platform.engine.write_anew(&copies::place(&copy))?;
            Ok(None)
        }
        "admit" => admit(work, input.admin_user_id).map(Some),
        _ => serve(work, input.admin_user_id).map(Some),
    }
}

/// Takes back what a step did, if it did anything.
pub(super) fn undo(step: &str, work: &Work<'_>) -> Result<(), Failure> {
    if step != "place" {
        return Ok(());
    }
    let institution_id = work.institution_id()?;
    copies::drop_of(work, Purpose::Incoming)?;
    work.write_tx(|connection| Ok(platform_secrets::delete_institution_key(connection, institution_id)?))
}

/// The backup that is copied: there already, or taken now.
fn source(work: &Work<'_>, copied: Copied) -> Result<String, Failure> {
    if copied.fresh {
        let of = Some(copied.institution_id);
        let manifest = backups::copy(work.platform, copied.backup_id, of, Reason::Requested)?;
        work.write_tx(|connection| backups::record(connection, &work.audit(), &manifest))?;
    }
    let backup = backup(work, copied)?;
    Ok(format!("{} rows of {} UTC", backup.row_total, backup.taken_at.format("%Y-%m-%d %H:%M")))
}

fn backup(work: &Work<'_>, copied: Copied) -> Result<Backup, Failure> {
    registry::find(&mut *work.shared()?, copied.backup_id).map_err(|error| {
        if error.is_not_found() {
            return Failure::Permanent("The backup is gone. Make the sandbox from another one.".into());
        }
        error.into()
    })
}

/// A name, a key and a password of its own, on a server that can hold what the backup is of.
fn reserve(work: &Work<'_>, backup: &Backup) -> Result<TenantCopy, Failure> {
    let institution_id = work.institution_id()?;
    work.write_tx(|connection| {
        let present = match backup.institution_id {
            Some(id) => tenant_databases::find(connection, id)?.map(|row| (row.server_id, row.engine)),
            None => None,
        };
        sandboxes::set_state_of(connection, institution_id, backup.taken_at)?;
        let server_id = servers::place_copy(connection, present, backup.engine)?;
        let wanted = copies::Wanted {
            institution_id: Some(institution_id),
            schema_version: &backup.schema_version,
            backup_id: Some(backup.id),
            purpose: Purpose::Incoming,
            server_id,
        };
        // An engine without passwords needs the key as well: the sandbox's own backups are sealed with it.
        work.platform.keys.data_key_or_new(connection, institution_id)?;
        copies::reserve_on(work, connection, &wanted)
    })
}

/// By a random key that is gone when this returns, and was never written down.
fn mask(work: &Work<'_>) -> Result<String, Failure> {
    let copy = copies::find(work, Purpose::Incoming)?;
    let institution = institutions::find(&mut *work.shared()?, work.institution_id()?)?;
    let own = Identity { id: institution.id, domain: institution.domain, name: institution.name };
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key)
        .map_err(|_| Failure::Transient("The operating system gave no random bytes.".into()))?;
    let mut connection = work.platform.engine.open_as_owner(&copies::place(&copy))?;
    let rows = masking::mask(&mut connection, &Disguise::new(key), &own, &|| work.still_mine())?;
    crate::crash_point!("sandbox:masked");
    Ok(format!("{rows} rows"))
}

/// The first admin is the only one who can ever sign in; then the database is opened for its own role.
fn admit(work: &Work<'_>, user_id: Id) -> Result<String, Failure> {
    let copy = copies::find(work, Purpose::Incoming)?;
    let (email, name) = first_admin(&mut *work.shared()?, work.institution_id()?)?;
    let mut connection = work.platform.engine.open_as_owner(&copies::place(&copy))?;
    let activity = Activity::new(work.audit().actor);
    users::create_first_owner(&mut connection, &activity, user_id, &email, &name, None)?;
    drop(connection);
    restore::open(work)?;
    Ok(email.as_str().to_owned())
}

fn first_admin(connection: &mut SharedConn, institution_id: Id) -> Result<(Email, String), Failure> {
    let registration = provision::newest_registration(connection, institution_id)?;
    let found = registration.as_ref().and_then(provision::first_admin);
    let (email, name) = found.ok_or_else(|| Failure::Permanent("The sandbox has no first admin.".into()))?;
    Ok((email, name.to_owned()))
}

/// One transaction: the copy becomes the institution's database, its first admin can come in, and is told so by the only
/// mail that ever leaves a sandbox.
fn serve(work: &Work<'_>, user_id: Id) -> Result<String, Failure> {
    let (platform, institution_id) = (work.platform, work.institution_id()?);
    let institution = institutions::find(&mut *work.shared()?, institution_id)?;
    if institution.status != Status::Provisioning {
        return Ok("Done before".into());
    }
    let copy = copies::find(work, Purpose::Incoming)?;
    work.write_tx(|connection| {
        enter(connection, institution_id, &copy, platform.migrations.version())?;
        let (audit, from, to) = (work.audit(), [Status::Provisioning], Status::Active);
        let institution = institutions::transition(connection, &audit, institution_id, &from, to, None)?;
        let sandbox = sandboxes::find(connection, institution_id)?;
        let detail = json!({
            "sandbox_of": sandbox.as_ref().map(|sandbox| &sandbox.source_name),
            "state_of": sandbox.as_ref().and_then(|sandbox| sandbox.state_of),
        });
        audit.record(connection, "institution.activated", &institution.subject(), &detail)?;
        let (email, name) = first_admin(connection, institution_id)?;
        login_index::remove_institution(connection, institution_id)?;
        let login = Login { institution_id, user_id };
        login_index::add(connection, &platform.keys.email_hash(&email), login)?;
        let token = provision::invite(connection, institution_id, user_id)?;
        let link = platform.link(&format!("/invitations/{}", token.reveal()));
        let (to, days) =
            (Recipient { email: &email, name: &name }, format!("{} days", provision::INVITATION_DAYS));
        let mail = platform.mail_texts.first_admin_invitation(to, &institution.name, &link, &days);
        // In the name of the platform: everything else for a sandbox is held back.
        outbox::enqueue(connection, &platform.keys, None, &mail)?;
        Ok(())
    })?;
    crate::crash_point!("sandbox:serving");
    work.set_result(&json!({ "database": copy.database_name, "domain": institution.domain }));
    Ok(copy.database_name)
}

/// From one table into the other.
fn enter(
    connection: &mut SharedConn,
    institution_id: Id,
    copy: &TenantCopy,
    version: &str,
) -> ModelResult<()> {
    registered::hold(connection, copy.server_id)?;
    tenant_copies::remove(connection, copy.id)?;
    let new = NewTenantDatabase {
        id: copy.id,
        institution_id,
        engine: copy.engine,
        database_name: &copy.database_name,
        location: &copy.location,
        schema_version: version,
        server_id: copy.server_id,
    };
    tenant_databases::reserve(connection, &new)?;
    if let Some(sealed) = &copy.sealed_password {
        tenant_databases::set_password_once(connection, institution_id, sealed)?;
    }
    tenant_databases::mark_ready(connection, institution_id)
}
