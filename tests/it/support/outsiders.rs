//! Outsiders: two roles that try to enter a site's databases again and again while something else happens.
//!
//! One is any role that may sign in to the server, the other has what every institution's role has.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use diesel::connection::SimpleConnection as _;
use provost::db::{Engine, Target, shared::SharedConn};

use super::{Site, app::eventually, engine, names, postgres_url, run_on_server, server};

/// Trying to get in, until dropped.
pub struct Outsiders {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    rounds: AtomicUsize,
    polls: AtomicUsize,
    entered: Mutex<Vec<String>>,
}

impl Outsiders {
    /// Begins; does nothing where there are no roles.
    pub fn watch(site: &Site) -> Self {
        let seen = Arc::new(Seen::default());
        if engine() == Engine::Sqlite {
            return Self { seen, thread: None };
        }
        let prefix = site.settings.database_prefix.clone();
        for role in ["any", "neighbour"] {
            run_on_server(&format!("CREATE ROLE {prefix}{role} LOGIN PASSWORD 'known'"));
        }
        let watcher = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            let mut server = server();
            while !watcher.stop.load(Ordering::SeqCst) {
                watcher.round(&mut server, &prefix);
                // A pace that leaves the processor to what is watched.
                std::thread::park_timeout(Duration::from_millis(10));
            }
        });
        Self { seen, thread: Some(thread) }
    }

    /// Waits until every database was tried once more, from now on.
    pub fn look(&self) {
        let Some(thread) = &self.thread else { return };
        // The round that is running may have begun earlier.
        let wanted = self.seen.rounds.load(Ordering::SeqCst) + 2;
        eventually("a look from outside", || {
            thread.thread().unpark();
            assert!(!thread.is_finished(), "the outsiders gave up");
            self.seen.rounds.load(Ordering::SeqCst) >= wanted
        });
    }

    /// How often somebody was refused, after making sure that nobody ever did.
    pub fn refused(mut self, what: &str) -> usize {
        self.end();
        assert_eq!(*self.seen.entered.lock().expect("lock"), Vec::<String>::new(), "{what}");
        self.seen.polls.load(Ordering::SeqCst)
    }

    fn end(&mut self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        let Some(thread) = self.thread.take() else { return };
        thread.thread().unpark();
        assert!(thread.join().is_ok() || std::thread::panicking(), "the outsiders gave up");
    }
}

impl Drop for Outsiders {
    fn drop(&mut self) {
        self.end();
    }
}

impl Seen {
    fn round(&self, server: &mut SharedConn, prefix: &str) {
        // Until the first attempt has made the group there is nothing to belong to.
        let _ = server.batch_execute(&format!("GRANT {prefix}_runtime TO {prefix}neighbour"));
        let all = format!(
            "SELECT datname::text AS name FROM pg_database WHERE starts_with(datname::text, '{prefix}')"
        );
        for database in names(server, &all) {
            for role in ["any", "neighbour"] {
                let mut url = url::Url::parse(&postgres_url()).expect("url");
                url.set_username(&format!("{prefix}{role}")).expect("user");
                url.set_password(Some("known")).expect("password");
                url.set_path(&database);
                match SharedConn::open(&Target::Postgres(url.into())) {
                    Ok(_) => self.entered.lock().expect("lock").push(format!("{role} entered {database}")),
                    // A full server refuses too, and proves nothing.
                    Err(error) => {
                        let shut = ["CONNECT privilege", "not currently accepting connections"];
                        let refused = shut.iter().any(|words| error.to_string().contains(words));
                        self.polls.fetch_add(usize::from(refused), Ordering::SeqCst);
                    }
                }
            }
        }
        self.rounds.fetch_add(1, Ordering::SeqCst);
    }
}
