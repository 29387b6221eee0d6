//! Fills an empty platform the way people would: through the same records, decisions and operations.

use std::{fs, sync::Arc, time::Duration};

use super::{
    ADMIN_PASSWORD, PEOPLE_PASSWORD, SUPER_ADMIN, address,
    institutions::{Fate, SAMPLES, Sample},
    students::Roll,
};
use crate::{
    cli::output::sentence,
    db::{Id, tenant::TenantConn},
    models::{
        Actor, ModelError, ModelResult,
        domain::Domain,
        institution::{
            Activity,
            student_bulk::{self, ImportWrites},
            students::{self, StudentStatus},
            users::{self, NewUser, Role},
        },
        platform::{
            admins::{self, AdminRole, NewAdmin},
            audit::Audit,
            login_index::{self, Login},
            operations::{self, Kind, OperationStatus},
            registrations::{FirstAdmin, NewInstitution, NewRegistration, Source},
        },
        text::Email,
    },
    services::{decisions, operations::wait_for, platform::Platform},
};

type Done<T = ()> = Result<T, String>;

/// Longest time that setting one institution up may take.
const MOST_WAIT: Duration = Duration::from_secs(60);

/// Makes the super admin, the institutions and what is in them.
pub(super) fn populate(platform: &Arc<Platform>) -> Done {
    let mut hashes = hash_all(platform)?.into_iter();
    let mut next_hash = move || hashes.next().ok_or_else(|| "A password hash is missing.".to_owned());
    let audit = platform.audit(create_admin(platform, &next_hash()?).map_err(sentence)?);
    let mut registered = Vec::new();
    for sample in &SAMPLES {
        let (institution, registration) = register(platform, sample, next_hash()?)
            .map_err(|error| format!("{}: {error}", sample.domain))?;
        registered.push((sample, institution, registration));
    }
    let workers = platform.start_workers().map_err(sentence)?;
    for (sample, institution, registration) in registered {
        decide(platform, &audit, sample, institution, registration)?;
        if let Fate::Populated(roll) = sample.fate {
            let (registrar, viewer) = (next_hash()?, next_hash()?);
            fill(platform, sample, roll, institution, [registrar, viewer]).map_err(sentence)?;
        }
    }
    workers.stop();
    while platform.outbox.send_due().map_err(sentence)? > 0 {}
    Ok(())
}

/// A hash for everybody: they take by far the longest, so every core makes its share.
fn hash_all(platform: &Platform) -> Done<Vec<String>> {
    let populated = SAMPLES.iter().filter(|sample| matches!(sample.fate, Fate::Populated(_))).count();
    let people = SAMPLES.len() + 2 * populated;
    let passwords: Vec<&str> =
        std::iter::once(ADMIN_PASSWORD).chain(std::iter::repeat_n(PEOPLE_PASSWORD, people)).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let hash = |password: &&str| platform.passwords.hash_sync(password).map_err(sentence);
    std::thread::scope(|scope| {
        let shares = passwords.chunks(passwords.len().div_ceil(cores));
        let threads: Vec<_> = shares
            .map(|share| scope.spawn(move || share.iter().map(hash).collect::<Done<Vec<_>>>()))
            .collect();
        let mut hashes = Vec::new();
        for thread in threads {
            hashes.extend(thread.join().map_err(|_| "The passwords could not be hashed.".to_owned())??);
        }
        Ok(hashes)
    })
}

fn create_admin(platform: &Platform, hash: &str) -> ModelResult<Actor> {
    let (name, email) = SUPER_ADMIN;
    let email = email_of(email)?;
    let new = NewAdmin {
        email: email.as_str(),
        email_normalised: &email.normalised(),
        name,
        role: AdminRole::SuperAdmin,
    };
    let audit = platform.audit(Actor::command_line());
    let admin = admins::create(&mut *platform.shared.get()?, &audit, &new, hash)?;
    Ok(actor(admin.id, name))
}

fn actor(id: Id, name: &str) -> Actor {
    Actor { id: Some(id), name: name.into(), ..Actor::command_line() }
}

fn email_of(text: &str) -> ModelResult<Email> {
    Email::parse(text).map_err(|error| ModelError::Refused(format!("{error}.")))
}

fn register(platform: &Platform, sample: &Sample, hash: String) -> Done<(Id, Id)> {
    let domain = Domain::parse(sample.domain).map_err(sentence)?;
    let new = NewRegistration {
        institution: NewInstitution {
            domain: domain.as_str().into(),
            name: sample.name.into(),
            kind: sample.kind,
            country: sample.country.into(),
            region: None,
            website: Some(format!("https://{domain}/")),
            time_zone: sample.time_zone.into(),
        },
        admin: Some(FirstAdmin {
            name: sample.admin.0.into(),
            email: address(sample, sample.admin.1),
            password_hash: Some(hash),
        }),
        source: Source::Form,
        trial_ends_at: None,
    };
    let visitor = platform.audit(Actor { name: sample.admin.0.into(), ..Actor::system() });
    let mut connection = platform.shared.get().map_err(sentence)?;
    let registered = decisions::register(&mut connection, platform, &visitor, new).map_err(sentence)?;
    Ok((registered.institution.id, registered.registration.id))
}

fn decide(platform: &Platform, audit: &Audit, sample: &Sample, institution: Id, registration: Id) -> Done {
    match sample.fate {
        Fate::Pending => Ok(()),
        Fate::Rejected(reason) => {
            let mut connection = platform.shared.get().map_err(sentence)?;
            decisions::reject(&mut connection, platform, audit, registration, reason).map_err(sentence)?;
            Ok(())
        }
        Fate::Failed => approve_in_vain(platform, audit, institution, registration),
        Fate::Active | Fate::Populated(_) => set_up(platform, audit, institution, registration),
        Fate::Suspended(reason) => {
            set_up(platform, audit, institution, registration)?;
            let mut connection = platform.shared.get().map_err(sentence)?;
            decisions::suspend(&mut connection, platform, audit, institution, reason).map_err(sentence)?;
            Ok(())
        }
    }
}

/// Approves an institution and waits until it is active.
fn set_up(platform: &Platform, audit: &Audit, institution: Id, registration: Id) -> Done {
    let (status, error) = approve(platform, audit, institution, registration)?;
    if status == OperationStatus::Succeeded { Ok(()) } else { Err(sentence(error.unwrap_or_default())) }
}

/// Approves an institution while the template of databases is damaged, and mends it afterwards, so that
/// "Try again" succeeds.
fn approve_in_vain(platform: &Platform, audit: &Audit, institution: Id, registration: Id) -> Done {
    let templates = fs::read_dir(platform.settings.data_dir.join("templates")).map_err(sentence)?;
    let path = templates.flatten().next().ok_or("There is no template of databases.")?.path();
    let whole = fs::read(&path).map_err(sentence)?;
    fs::write(&path, b"").map_err(sentence)?;
    let outcome = approve(platform, audit, institution, registration);
    fs::write(&path, whole).map_err(sentence)?;
    outcome.map(|_| ())
}

fn approve(
    platform: &Platform,
    audit: &Audit,
    institution: Id,
    registration: Id,
) -> Done<(OperationStatus, Option<String>)> {
    let operation = {
        let mut connection = platform.shared.get().map_err(sentence)?;
        decisions::approve(&mut connection, platform, audit, registration).map_err(sentence)?;
        operations::latest(&mut connection, institution, Kind::Provision).map_err(sentence)?
    };
    let id = operation.ok_or("The set-up was not begun.")?.id;
    let ended = wait_for(platform, id, MOST_WAIT).map_err(sentence)?;
    let ended = ended.ok_or("Setting an institution up takes longer than a minute.")?;
    Ok((ended.status, ended.error))
}

/// A registrar, a viewer, the students, and a little of what happens on a working day.
fn fill(
    platform: &Platform,
    sample: &Sample,
    roll: &Roll,
    institution: Id,
    [registrar_hash, viewer_hash]: [String; 2],
) -> ModelResult<()> {
    let tenant = {
        let mut shared = platform.shared.get()?;
        let opened = platform.tenants.open(&mut shared, institution);
        opened.map_err(|error| ModelError::Refused(sentence(error)))?
    };
    let mut connection = tenant.get()?;
    let owner = users::find_by_email(&mut connection, &email_of(&address(sample, sample.admin.1))?)?;
    let owner = Activity::new(actor(owner.id, &owner.name));
    let mut add = |person: (&str, &str), role, hash: &str| {
        let email = email_of(&address(sample, person.1))?;
        let id = add_user(&mut connection, &owner, person.0, &email, role, hash)?;
        let login = Login { institution_id: institution, user_id: id };
        login_index::add(&mut *platform.shared.get()?, &platform.keys.email_hash(&email), login)?;
        ModelResult::Ok(Activity::new(actor(id, person.0)))
    };
    let registrar = add(roll.registrar, Role::Registrar, &registrar_hash)?;
    add(roll.viewer, Role::Viewer, &viewer_hash)?;
    let writes = ImportWrites { create: roll.fields(&address_host(sample)), update: Vec::new() };
    connection.write_tx(|connection| {
        student_bulk::write_import(connection, &registrar, "students.csv", &writes, &mut |_| Ok(()))
    })?;
    a_working_day(&mut connection, &registrar, roll, sample)
}

fn address_host(sample: &Sample) -> String {
    address(sample, "").trim_start_matches('@').to_owned()
}

fn add_user(
    connection: &mut TenantConn,
    owner: &Activity,
    name: &str,
    email: &Email,
    role: Role,
    hash: &str,
) -> ModelResult<Id> {
    let new = NewUser { email: email.clone(), name: name.into(), roles: vec![role] };
    let id = users::create_invited(connection, owner, &new)?;
    users::accept_invitation(connection, &Activity::new(actor(id, name)), id, name, hash)?;
    Ok(id)
}

fn a_working_day(
    connection: &mut TenantConn,
    registrar: &Activity,
    roll: &Roll,
    sample: &Sample,
) -> ModelResult<()> {
    students::create(connection, registrar, &roll.student(roll.students, &address_host(sample)))?;
    let numbers: Vec<String> =
        [1, 3, 8, 21].map(|index| roll.student(index, "").student_number).into_iter().collect();
    let found = student_bulk::by_numbers(connection, &numbers)?;
    for (index, student) in numbers.iter().filter_map(|number| found.get(number)).enumerate() {
        let mut fields = student.fields();
        match index {
            0 => fields.status = StudentStatus::OnLeave,
            1 => fields.person.preferred_name = fields.person.name.split(' ').next().map(Into::into),
            2 => fields.notes = Some("Certificate of enrolment handed out.".into()),
            _ => {
                students::archive(connection, registrar, student.id)?;
                continue;
            }
        }
        students::update(connection, registrar, student.id, student.version, &fields)?;
    }
    Ok(())
}
