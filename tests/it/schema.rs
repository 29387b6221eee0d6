//! Migrations go up, down and up again, on both engines.

use provost::db::{Target, migrate::Migrate, shared::SharedConn, target::create_sqlite, tenant::TenantConn};

#[test]
fn sqlite_migrations_go_up_down_and_up_again() {
    let folder = std::env::temp_dir().join(format!("provost-schema-{}", provost::db::Id::new()));
    std::fs::create_dir_all(&folder).expect("folder");
    for name in ["shared", "tenant"] {
        let path = folder.join(name);
        drop(create_sqlite(&path).expect("created"));
        let target = Target::Sqlite(path);
        let connection: &mut dyn Migrate = match name {
            "shared" => &mut SharedConn::open(&target).expect("opened"),
            _ => &mut TenantConn::open(&target).expect("opened"),
        };
        assert_eq!(connection.migrate().expect("up").len(), 1);
        connection.revert_all().expect("down");
        assert_eq!(connection.migrate().expect("up again").len(), 1);
    }
    std::fs::remove_dir_all(folder).expect("cleaned");
}
