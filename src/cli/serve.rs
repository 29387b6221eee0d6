//! `provost serve`: the web server, the workers behind it, and a clean end.

use std::{net::TcpListener, sync::Arc, time::Duration};

use super::{Outcome, open, output::print_line};
use crate::{
    app,
    config::Config,
    models::platform::{
        account_tokens::{self, Holder, Purpose},
        admins,
    },
    services::{audit_anchor, platform::Platform, tokens::Token},
};

/// How often the head of the audit log is noted: what is cut off sooner does not show.
const NOTE_EVERY: Duration = Duration::from_secs(60);

pub(super) fn serve(config: Config) -> Outcome {
    // The port comes first: nothing is created for a server that cannot listen.
    let listener = listen(&config)?;
    let platform = open(&config)?;
    config.warnings().iter().for_each(|warning| log::warn!("{warning}"));
    print_line(&format!("Provost listens on http://{}", config.listen));
    print_line(&format!("Its address is {}", config.settings.public_url));
    offer_setup(&platform)?;
    run(platform, config, listener)
}

/// Takes the address and port.
pub(super) fn listen(config: &Config) -> Result<TcpListener, String> {
    TcpListener::bind(&config.listen).map_err(|error| {
        format!(
            "Cannot listen on {}: {error}. Is another server running? Set PROVOST_LISTEN to a free address and port.",
            config.listen
        )
    })
}

/// Serves until a signal says stop; then finishes requests, parks the workers and closes the pools.
pub(super) fn run(platform: Arc<Platform>, config: Config, listener: TcpListener) -> Outcome {
    let system = actix_web::rt::System::new();
    let outcome = system.block_on(async {
        let workers = platform.start_workers().map_err(|error| error.to_string())?;
        let noter = actix_web::rt::spawn(note_heads(Arc::clone(&platform)));
        let server = app::server(Arc::clone(&platform), config.web, config.public_url, listener)
            .map_err(|error| format!("The server cannot start: {error}."))?;
        let ended = server.await.map_err(|error| format!("The server stopped: {error}."));
        noter.abort();
        workers.stop();
        ended
    });
    note(&platform);
    platform.close();
    outcome
}

/// Prints the one-time address for the first super admin while there is none.
fn offer_setup(platform: &Platform) -> Outcome {
    let told = |error: &dyn std::fmt::Display| format!("The shared database: {error}.");
    let mut connection = platform.shared.get().map_err(|error| told(&error))?;
    if admins::any_active(&mut connection).map_err(|error| told(&error))? {
        return Ok(());
    }
    let token = Token::generate().map_err(|error| format!("{error}."))?;
    let nobody = Holder { institution_id: None, user_id: None };
    account_tokens::create(&mut connection, Purpose::Setup, nobody, &token.hash(), Purpose::Setup.lifetime())
        .map_err(|error| told(&error))?;
    print_line("Make the first super admin here (works once, for 24 hours):");
    print_line(&format!("  {}", platform.link(&format!("/setup/{}", token.reveal()))));
    Ok(())
}

async fn note_heads(platform: Arc<Platform>) {
    loop {
        let platform = Arc::clone(&platform);
        // Waits for the disk.
        let _ = actix_web::web::block(move || note(&platform)).await;
        actix_web::rt::time::sleep(NOTE_EVERY).await;
    }
}

fn note(platform: &Platform) {
    if let Err(error) = audit_anchor::note(platform) {
        log::error!("the head of the audit log was not noted cause={:?}", error.to_string());
    }
}
