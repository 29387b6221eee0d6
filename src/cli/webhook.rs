//! `provost webhook`: programs that are told of alerts.

use chrono::NaiveDateTime;
use clap::Subcommand;
use serde::Serialize;

use super::{
    Outcome, open_existing,
    output::{print_json, print_line, print_table, sentence},
};
use crate::{
    config::Config,
    db::{Id, shared::SharedConn},
    models::{
        Actor, ModelError, Paging,
        platform::webhooks::{self, Webhook, WebhookStatus},
    },
    services::{
        monitoring::{check_address, webhooks as service},
        platform::Platform,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List webhooks
    #[command(after_help = "Example:\n  provost webhook list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell a program of every alert; prints the secret that messages are signed with
    #[command(after_help = "Example:\n  provost webhook add https://example.org/hook")]
    Add {
        /// Its web address
        url: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test message
    Test(Which),
    /// Tell it nothing for the time being
    Disable(Which),
    /// Tell it of alerts again
    Enable(Which),
    /// Sign with a new secret from now on, and print it
    RenewSecret(Which),
    /// Forget it, and the log of what it was told
    Remove(Which),
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Its id, as provost webhook list prints it
    id: Id,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    id: Id,
    url: String,
    status: WebhookStatus,
    created_at: NaiveDateTime,
    created_by: String,
    /// Only where it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Shown {
    fn of(webhook: Webhook, secret: Option<String>) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url,
            status: webhook.status,
            created_at: webhook.created_at,
            created_by: webhook.created_by,
            secret,
        }
    }
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    let platform = open_existing(config)?;
    let connection = &mut *platform.shared.get().map_err(sentence)?;
    let audit = platform.audit(Actor::command_line());
    let set = |connection: &mut SharedConn, which: &Which, status| {
        let set = webhooks::set_status(connection, &audit, which.id, status);
        set.map_err(|error| unknown(error, which.id))
    };
    match command {
        Command::List { json } => list(connection, json),
        Command::Add { url, json } => {
            let allowed = platform.settings.webhooks_to_private_networks;
            let url = check_address(&url, allowed).map_err(sentence)?;
            let made = webhooks::create(connection, &audit, url.as_str()).map_err(sentence)?;
            told(&platform, made, json, true, "is told of every alert from now on")
        }
        Command::Test(which) => {
            let tested = service::send_test(connection, which.id);
            let webhook = tested.map_err(|error| unknown(error, which.id))?;
            told(&platform, webhook, which.json, false, "is sent a test message by the running server")
        }
        Command::Disable(which) => {
            let webhook = set(connection, &which, WebhookStatus::Disabled)?;
            told(&platform, webhook, which.json, false, "is told nothing any more")
        }
        Command::Enable(which) => {
            let webhook = set(connection, &which, WebhookStatus::Active)?;
            told(&platform, webhook, which.json, false, "is told of alerts again")
        }
        Command::RenewSecret(which) => {
            let renewed = webhooks::renew_secret(connection, &audit, which.id);
            let webhook = renewed.map_err(|error| unknown(error, which.id))?;
            told(&platform, webhook, which.json, true, "has a new secret")
        }
        Command::Remove(which) => {
            let removed = webhooks::remove(connection, &audit, which.id);
            let webhook = removed.map_err(|error| unknown(error, which.id))?;
            told(&platform, webhook, which.json, false, "is removed")
        }
    }
}

fn unknown(error: ModelError, id: Id) -> String {
    if error.is_not_found() {
        return format!("There is no webhook {id}. See provost webhook list.");
    }
    sentence(error)
}

fn list(connection: &mut SharedConn, json: bool) -> Outcome {
    let all = Paging { sort: "created".into(), descending: true, limit: webhooks::MOST, offset: 0 };
    let rows = webhooks::page(connection, &all).map_err(sentence)?.rows;
    if json {
        return print_json(&rows.into_iter().map(|row| Shown::of(row, None)).collect::<Vec<_>>());
    }
    let cells = |row: Webhook| [row.id.to_string(), row.status.to_string(), row.created_by, row.url];
    print_table(["ID", "STATUS", "ADDED BY", "ADDRESS"], &rows.into_iter().map(cells).collect::<Vec<_>>());
    Ok(())
}

fn told(platform: &Platform, webhook: Webhook, json: bool, with_secret: bool, words: &str) -> Outcome {
    let secret = with_secret.then(|| service::secret(&platform.keys, &webhook));
    if json {
        return print_json(&Shown::of(webhook, secret));
    }
    print_line(&format!("{} {words}.", webhook.url));
    if let Some(secret) = secret {
        print_line(&format!("Secret: {secret}"));
    }
    Ok(())
}
