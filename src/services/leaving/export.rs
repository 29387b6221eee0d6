//! What an institution takes along: its records as files that any spreadsheet reads, in one archive. The file lies in
//! the data folder, readable by the platform alone, and goes by itself after a few days.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    db::{Id, now, tenant::TenantConn},
    models::{
        ModelResult,
        institution::{
            activity::{self, ActivityFilter, Entry},
            profile,
            students::{self, Student, StudentFilter},
            users::{self, User, UserFilter},
        },
        platform::{
            exports::{self, Export, KEPT},
            institutions::Institution,
        },
    },
    services::{csv_text::CsvWriter, operations::Failure, platform::Platform},
};

/// Rows read at a time.
const CHUNK: i64 = 1_000;
/// What nobody has written to for so long is the rest of an interrupted one.
const SILENT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

type Zip = ZipWriter<File>;

fn folder(platform: &Platform) -> PathBuf {
    platform.settings.data_dir.join("exports")
}

/// Where the file of an export lies.
#[must_use]
pub fn path(platform: &Platform, id: Id) -> PathBuf {
    folder(platform).join(format!("{id}.zip"))
}

fn cannot_write(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::Transient(
            "There is no space left for the export. Free some space, then try again.".into(),
        ),
        _ => Failure::Transient(format!("The export could not be written: {error}.")),
    }
}

fn cannot_pack(error: zip::result::ZipError) -> Failure {
    cannot_write(&io::Error::from(error))
}

/// Gathers everything of an institution into one file and enters it. Blocks.
///
/// # Errors
/// A full disk, too many files, any database error; nothing is left behind.
pub fn make(
    platform: &Platform,
    tenant: &mut TenantConn,
    institution: &Institution,
    by_platform: bool,
    asked_by_name: &str,
) -> Result<Export, Failure> {
    exports::require_room(&mut *platform.shared.get()?, institution.id)?;
    let id = Id::new();
    let folder = folder(platform);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| cannot_write(&error))?;
    let part = folder.join(format!("{id}.part"));
    let made = write(&part, tenant, institution).inspect_err(|_| {
        let _ = fs::remove_file(&part);
    });
    let (row_total, bytes) = made?;
    let placed = fs::rename(&part, path(platform, id)).and_then(|()| File::open(&folder)?.sync_all());
    placed.map_err(|error| cannot_write(&error))?;
    let export = Export {
        id,
        institution_id: institution.id,
        by_platform: i32::from(by_platform),
        asked_by_name: asked_by_name.to_owned(),
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        row_total,
        created_at: now(),
        expires_at: now() + KEPT,
    };
    platform.shared.get()?.write_tx(|connection| exports::insert(connection, &export))?;
    Ok(export)
}

fn write(part: &Path, tenant: &mut TenantConn, institution: &Institution) -> Result<(i64, u64), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part);
    let mut zip = ZipWriter::new(file.map_err(|error| cannot_write(&error))?);
    let counts = [
        ("settings.csv", settings(&mut zip, tenant)?),
        ("students.csv", students_file(&mut zip, tenant)?),
        ("users.csv", users_file(&mut zip, tenant)?),
        ("activity.csv", activity_file(&mut zip, tenant)?),
    ];
    let (text, manifest) = (readme(institution, &counts), manifest(institution, &counts));
    for (name, content) in [("README.txt", text), ("manifest.json", manifest)] {
        begin(&mut zip, name)?;
        zip.write_all(content.as_bytes()).map_err(|error| cannot_write(&error))?;
    }
    let file = zip.finish().map_err(cannot_pack)?;
    let length = file.sync_all().and_then(|()| file.metadata()).map_err(|error| cannot_write(&error))?.len();
    Ok((counts.iter().map(|(_, rows)| rows).sum(), length))
}

fn begin(zip: &mut Zip, name: &str) -> Result<(), Failure> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(0o600)
        .large_file(true);
    zip.start_file(name, options).map_err(cannot_pack)
}

/// One file of rows that are read a chunk after the other; `next` gives those after the last one.
fn rows<T>(
    zip: &mut Zip,
    name: &str,
    heads: &[&str],
    mut next: impl FnMut(Option<&T>) -> ModelResult<Vec<T>>,
    cells: impl Fn(&T) -> Vec<String>,
) -> Result<i64, Failure> {
    begin(zip, name)?;
    let mut csv = CsvWriter::new();
    csv.row(heads);
    let (mut count, mut last) = (0, None);
    loop {
        let chunk = next(last.as_ref())?;
        chunk.iter().for_each(|row| csv.row(cells(row)));
        zip.write_all(&csv.take()).map_err(|error| cannot_write(&error))?;
        let read = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        count += read;
        last = chunk.into_iter().last();
        if read < CHUNK {
            return Ok(count);
        }
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn settings(zip: &mut Zip, tenant: &mut TenantConn) -> Result<i64, Failure> {
    let found = profile::find(tenant)?;
    let heads = ["domain", "name", "kind", "country", "website", "time_zone", "locale", "week_start"];
    let mut once = Some(found);
    rows(
        zip,
        "settings.csv",
        &heads,
        |_| Ok(once.take().into_iter().collect()),
        |found| {
            vec![
                found.domain.clone(),
                found.name.clone(),
                found.kind.clone(),
                found.country.clone(),
                text(found.website.as_ref()),
                found.time_zone.clone(),
                found.locale.clone(),
                found.week_start.to_string(),
            ]
        },
    )
}

/// Those on the list, and then the archived ones.
fn students_file(zip: &mut Zip, tenant: &mut TenantConn) -> Result<i64, Failure> {
    let heads = [
        "id",
        "student_number",
        "name",
        "preferred_name",
        "birth_date",
        "email",
        "phone",
        "address",
        "status",
        "admission_year",
        "programme",
        "notes",
        "archived_at",
        "created_at",
        "updated_at",
    ];
    let mut archived = false;
    let next = |last: Option<&Student>| {
        let after = last.filter(|last| last.archived_at.is_some() == archived);
        let mut filter = StudentFilter { archived, ..StudentFilter::default() };
        let number = after.map(|last| last.student_number.as_str());
        let mut found = students::after_number(tenant, &filter, number, CHUNK)?;
        let room = CHUNK - i64::try_from(found.len()).unwrap_or(CHUNK);
        if !archived && room > 0 {
            archived = true;
            filter.archived = true;
            found.extend(students::after_number(tenant, &filter, None, room)?);
        }
        Ok(found)
    };
    rows(zip, "students.csv", &heads, next, |student| {
        let person = &student.person;
        vec![
            student.id.to_string(),
            student.student_number.clone(),
            person.name.clone(),
            text(person.preferred_name.as_ref()),
            text(person.birth_date),
            text(person.email.as_ref()),
            text(person.phone.as_ref()),
            text(person.address.as_ref()),
            student.status.to_string(),
            text(student.admission_year),
            text(student.programme.as_ref()),
            text(student.notes.as_ref()),
            text(student.archived_at),
            student.created_at.to_string(),
            student.updated_at.to_string(),
        ]
    })
}

/// Without their passwords, in whatever form.
fn users_file(zip: &mut Zip, tenant: &mut TenantConn) -> Result<i64, Failure> {
    let heads = ["id", "name", "email", "roles", "status", "last_sign_in_at", "created_at"];
    let filter = UserFilter::default();
    let next = |last: Option<&User>| users::older_than(tenant, &filter, last.map(|user| user.id), CHUNK);
    rows(zip, "users.csv", &heads, next, |user| {
        let roles: Vec<String> = user.roles.iter().map(ToString::to_string).collect();
        vec![
            user.id.to_string(),
            user.name.clone(),
            user.email.clone(),
            roles.join(" "),
            user.status.to_string(),
            text(user.last_sign_in_at),
            user.created_at.to_string(),
        ]
    })
}

fn activity_file(zip: &mut Zip, tenant: &mut TenantConn) -> Result<i64, Failure> {
    let heads = ["id", "at", "who", "action", "record_kind", "record_id", "record", "changes", "ip"];
    let filter = ActivityFilter::default();
    let next =
        |last: Option<&Entry>| activity::older_than(tenant, &filter, last.map(|entry| entry.id), CHUNK);
    rows(zip, "activity.csv", &heads, next, |entry| {
        vec![
            entry.id.to_string(),
            entry.at.to_string(),
            entry.actor_name.clone(),
            entry.action.clone(),
            entry.record_kind.clone(),
            text(entry.record_id),
            entry.record_label.clone(),
            entry.changes.clone(),
            text(entry.ip.as_ref()),
        ]
    })
}

fn readme(institution: &Institution, counts: &[(&str, i64)]) -> String {
    let files: String = counts.iter().map(|(name, rows)| format!("  {name}: {rows} rows\n")).collect();
    format!(
        "The data of {} ({}), as they were on {} UTC.\n\n{files}\nThe files are CSV in UTF-8, with a line of headings. \
         Times are in UTC. A cell that a spreadsheet would\ntake for a formula has an apostrophe before it. Passwords \
         are not among the data. manifest.json says the same\nfor programs.\n",
        institution.name,
        institution.domain,
        now().format("%Y-%m-%d %H:%M")
    )
}

fn manifest(institution: &Institution, counts: &[(&str, i64)]) -> String {
    let rows: serde_json::Map<_, _> =
        counts.iter().map(|(name, rows)| ((*name).to_owned(), json!(rows))).collect();
    let manifest = json!({
        "format": 1, "institution_id": institution.id, "domain": institution.domain, "name": institution.name,
        "made_at": now(), "made_by": concat!("Provost ", env!("CARGO_PKG_VERSION")), "rows": rows,
    });
    format!("{manifest:#}\n")
}

fn remove(platform: &Platform, id: Id) -> Result<(), Failure> {
    match fs::remove_file(path(platform, id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Failure::Transient(format!("An export could not be removed: {error}.")));
        }
        _ => {}
    }
    Ok(platform.shared.get()?.write_tx(|connection| exports::forget(connection, id))?)
}

/// Removes every export of an institution, for its deletion. Returns how many there were.
///
/// # Errors
/// The folder, or any database error.
pub fn remove_all(platform: &Platform, institution_id: Id) -> Result<usize, Failure> {
    let all = exports::all_of(&mut *platform.shared.get()?, institution_id)?;
    for id in &all {
        remove(platform, *id)?;
    }
    Ok(all.len())
}

/// The scheduled job: what has had its time goes, and the rests of interrupted ones.
pub(in crate::services) fn run(platform: &Arc<Platform>) -> Result<(), String> {
    tidy(platform).map_err(|failure| failure.to_string())
}

/// As the scheduled job.
///
/// # Errors
/// The folder, or any database error.
pub fn tidy(platform: &Platform) -> Result<(), Failure> {
    for id in exports::expired(&mut *platform.shared.get()?)? {
        remove(platform, id)?;
    }
    let Ok(entries) = fs::read_dir(folder(platform)) else { return Ok(()) };
    let known: HashSet<PathBuf> =
        exports::ids(&mut *platform.shared.get()?)?.into_iter().map(|id| path(platform, id)).collect();
    for entry in entries.flatten() {
        let path = entry.path();
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
        // A part, or a whole file whose row an interruption kept from being written.
        if !known.contains(&path) && age.is_some_and(|age| age > SILENT_FOR) {
            fs::remove_file(&path).map_err(|error| cannot_write(&error))?;
        }
    }
    Ok(())
}
