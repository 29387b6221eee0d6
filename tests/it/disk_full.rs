//! A disk without space while an institution is set up: said so, nothing half-made stays, and once there is
//! space the work is finished. The disk is a small one in memory, which only root may mount.

use std::{process::Command, time::Duration};

use provost::{
    db::{Engine, shared::SharedConn},
    models::{
        Actor,
        platform::operations::{self, OperationStatus},
    },
    services::{operations::try_again, platform::Platform},
};

use crate::support::{
    Folder, Site, app::eventually, approve, assert_nothing_is_left, disk::Disk, engine, finished,
    own_server::OwnServer, register, slow, status,
};

fn says_it_is_full(words: &str) -> bool {
    (words.contains("is full") || words.contains("no space left on the disk"))
        && words.contains("Free some space")
        && words.contains("try again")
}

/// Lets an operation meet a full disk: it says so and leaves nothing behind, and is finished with space. Says
/// whether the disk was too small.
fn meets_a_full_disk(site: &Site, free: usize, disk: &Disk, prepare: impl FnOnce(&Platform)) -> bool {
    let platform = site.open();
    prepare(&platform);
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id);
    disk.fill(free);
    let workers = platform.start_workers().expect("workers");
    let ended = finished(&platform, operation);
    let was_full = ended.status != OperationStatus::Succeeded;
    if was_full {
        assert_eq!(ended.status, OperationStatus::RolledBack, "{free} kB: {ended:#?}");
        let steps = operations::steps(&mut platform.shared.get().expect("shared"), operation).expect("steps");
        let told = steps.iter().filter_map(|step| step.error.as_deref()).chain(ended.error.as_deref());
        let told: Vec<&str> = told.collect();
        assert!(told.len() >= 2 && told.iter().all(|words| says_it_is_full(words)), "{free} kB: {told:#?}");
        assert_eq!(status(&platform, id), "provisioning_failed");
        assert_nothing_is_left(&platform, id);

        disk.empty();
        let audit = platform.audit(Actor::command_line());
        try_again(&mut platform.shared.get().expect("shared"), &audit, operation).expect("queued");
        platform.operations.wake();
        let ended = finished(&platform, operation);
        assert_eq!(ended.status, OperationStatus::Succeeded, "{free} kB: {:?}", ended.error);
    }
    assert_eq!(status(&platform, id), "active");
    workers.stop();
    platform.close();
    was_full
}

/// The log of the shared database takes its largest size, and is then written from its start again: what the
/// worker records fits without new space.
fn grow_the_log(platform: &Platform) {
    use diesel::connection::SimpleConnection as _;
    let shared: &mut SharedConn = &mut platform.shared.get().expect("shared");
    shared
        .batch_execute(
            "PRAGMA wal_autocheckpoint = 0; CREATE TABLE space (x BLOB); \
             INSERT INTO space VALUES (zeroblob(2000000)); DROP TABLE space; VACUUM; \
             PRAGMA wal_checkpoint(RESTART); PRAGMA wal_autocheckpoint = 1000",
        )
        .expect("grown");
}

#[test]
fn a_full_disk_leaves_nothing_half_made_on_sqlite() {
    if engine() != Engine::Sqlite {
        return;
    }
    let mut met = 0;
    // From "nothing new at all" to "almost all of it": the copy, its folder, the log of its first write.
    let sizes: &[usize] = if slow() { &[0, 64, 128, 192, 256, 320, 384, 448, 512] } else { &[0, 256] };
    for &free in sizes {
        let folder = Folder::new();
        let Some(disk) = Disk::mount(&folder.path().join("disk"), 16) else { return };
        let mut site = Site::in_folder(|_| disk.path().join("data"));
        site.settings.limits.lease = Duration::from_millis(600);
        met += usize::from(meets_a_full_disk(&site, free, &disk, grow_the_log));
    }
    assert!(met >= 2, "the disk was full {met} times");
    println!("sqlite: the disk was full at {met} of {} sizes; 0 violations", sizes.len());
}

#[test]
fn when_nothing_at_all_can_be_written_the_work_waits_for_space() {
    if engine() != Engine::Sqlite {
        return;
    }
    let folder = Folder::new();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), 16) else { return };
    let mut site = Site::in_folder(|_| disk.path().join("data"));
    site.settings.limits.lease = Duration::from_millis(500);
    let platform = site.open();
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id);
    disk.fill(0);
    let workers = platform.start_workers().expect("workers");
    let refused = || {
        use diesel::connection::SimpleConnection as _;
        let shared = &mut *platform.shared.get().expect("shared");
        shared
            .batch_execute("CREATE TABLE space (x BLOB); INSERT INTO space VALUES (zeroblob(9000000))")
            .is_err()
    };
    eventually("nothing can be written", refused);
    disk.empty();
    let ended = finished(&platform, operation);
    assert!(ended.is_over());
    if ended.status != OperationStatus::Succeeded {
        let audit = platform.audit(Actor::command_line());
        try_again(&mut platform.shared.get().expect("shared"), &audit, operation).expect("queued");
        platform.operations.wake();
        assert_eq!(finished(&platform, operation).status, OperationStatus::Succeeded);
    }
    assert_eq!(status(&platform, id), "active");
    workers.stop();
    platform.close();
}

#[test]
fn a_full_disk_leaves_nothing_half_made_on_postgresql() {
    if engine() != Engine::Postgres {
        return;
    }
    let server = OwnServer::start(&[]);
    let base = server.path().join("data/base");
    let folder = server.path().join("disk");
    server.stop();
    let Some(disk) = Disk::mount(&folder, 96) else { return };
    // Its databases alone: without space for its log the server ends itself.
    let moved = Command::new("mv").arg(&base).arg(disk.path().join("base")).status().expect("mv");
    assert!(moved.success());
    std::os::unix::fs::symlink(disk.path().join("base"), &base).expect("linked");
    server.start_again();
    let site = server.site();
    let prepare = |platform: &Platform| platform.engine.prepare().expect("prepared");
    assert!(meets_a_full_disk(&site, 400, &disk, prepare), "there was space enough");
    server.stop();
}
