//! `provost database`: the institutions' databases.

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use super::{
    Outcome,
    follow::follow,
    institution, open_existing,
    output::{bytes, counted, print_json, print_line, print_table, sentence},
    server,
};
use crate::{
    config::Config,
    db::Engine,
    models::{
        Actor,
        domain::Domain,
        platform::{
            institutions::{self, Status},
            operations::{self, Kind},
            servers,
            tenant_databases::{self, DatabaseFilter, DatabaseStatus, TenantDatabase},
        },
    },
    services::{operations::try_again, platform::Platform, tenants},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether a database exists: exit code 0 when it does, 1 when not
    #[command(after_help = "\
Examples:
  provost database exists provost_ada_edu && echo yes
  provost database exists ada.edu")]
    Exists {
        /// The database's name, or its institution's domain
        #[arg(value_name = "NAME|DOMAIN")]
        name: String,
    },
    /// Make the database of an approved institution whose set-up has not succeeded yet
    #[command(after_help = "\
The steps are shown until they end. The exit code is 0 when the institution is active.

Example:
  provost database create ada.edu")]
    Create {
        /// The institution's domain
        domain: String,
    },
    /// List the databases: engine, size, schema version, status
    #[command(after_help = "\
Examples:
  provost database list --json
  provost database list --server second --behind")]
    List {
        /// Only those on this server
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
        /// Only those of this engine: sqlite or postgres
        #[arg(long, value_name = "ENGINE")]
        engine: Option<Engine>,
        /// Only this state: reserved, ready or dropped
        #[arg(long, value_name = "STATUS")]
        status: Option<DatabaseStatus>,
        /// Only with this schema version
        #[arg(long, value_name = "VERSION")]
        schema: Option<String>,
        /// Only with an older schema than that of this version of Provost
        #[arg(long, conflicts_with = "schema")]
        behind: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    let platform = open_existing(config)?;
    match command {
        Command::Exists { name } => exists(&platform, &name),
        Command::Create { domain } => create(&platform, &domain),
        Command::List { server, engine, status, schema, behind, json } => {
            let filter = DatabaseFilter {
                engine,
                status,
                version: schema,
                older_than: behind.then(|| platform.migrations.version().to_owned()),
                server_id: server.map(|name| server::find(&platform, &name)).transpose()?.map(|s| s.id),
                ..DatabaseFilter::default()
            };
            list(&platform, &filter, json)
        }
    }
}

fn exists(platform: &Platform, name: &str) -> Outcome {
    let row = find(platform, name).map_err(sentence)?;
    let there = match &row {
        Some(row) => platform.engine.exists(&tenants::place(row)),
        // A database that no institution has, such as one that a mistake left behind.
        None => platform.engine.list().map(|names| names.iter().any(|known| known == name)),
    };
    let shown = row.map_or_else(|| name.to_owned(), |row| row.database_name);
    if there.map_err(sentence)? {
        print_line(&format!("The database {shown} exists."));
        Ok(())
    } else {
        Err(format!("There is no database {shown}."))
    }
}

fn find(platform: &Platform, name: &str) -> crate::models::ModelResult<Option<TenantDatabase>> {
    let mut connection = platform.shared.get()?;
    if let Some(row) = tenant_databases::find_by_name(&mut connection, name)? {
        return Ok(Some(row));
    }
    let Ok(domain) = Domain::parse(name) else { return Ok(None) };
    match institutions::find_by_domain(&mut connection, domain.as_str()) {
        Ok(institution) => tenant_databases::find(&mut connection, institution.id),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn create(platform: &Arc<Platform>, domain: &str) -> Outcome {
    let (institution, operation) = {
        let mut connection = platform.shared.get().map_err(sentence)?;
        let institution = institution::find(&mut connection, domain)?;
        let name = &institution.name;
        match institution.status {
            Status::Provisioning | Status::ProvisioningFailed => {}
            Status::Active | Status::Suspended => {
                return Err(format!("{name} has its database already."));
            }
            Status::PendingApproval => {
                return Err(format!(
                    "{name} is not approved yet. Run: provost institution approve {} --wait",
                    institution.domain
                ));
            }
            other => return Err(format!("{name} is {}: it gets no database.", other.label().to_lowercase())),
        }
        let operation = operations::latest(&mut connection, institution.id, Kind::Provision)
            .map_err(sentence)?
            .ok_or_else(|| format!("The set-up of {name} was never begun. Run provost doctor."))?;
        if operation.may_be_tried_again() {
            try_again(&mut connection, &platform.audit(Actor::command_line()), operation.id)
                .map_err(sentence)?;
        }
        (institution, operation)
    };
    follow(platform, operation.id)?;
    print_line(&format!("{} is active: {}", institution.name, platform.link("/sign-in")));
    Ok(())
}

#[derive(Serialize)]
struct Listed {
    engine: String,
    server: String,
    name: String,
    location: String,
    /// As last measured; none where it was not yet.
    bytes: Option<i64>,
    measured_at: Option<chrono::NaiveDateTime>,
    growth_bytes: i64,
    requests_today: i64,
    errors_today: i64,
    p95_micros_today: i64,
    last_activity_at: Option<chrono::NaiveDateTime>,
    schema_version: String,
    status: String,
    domain: String,
    institution: String,
    institution_status: Status,
}

fn list(platform: &Platform, filter: &DatabaseFilter, json: bool) -> Outcome {
    let (servers, rows) = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        let rows = tenant_databases::all_of(connection, filter).map_err(sentence)?;
        (servers::all(connection).map_err(sentence)?, rows)
    };
    let server = |id| servers.iter().find(|server| server.id == id).map(|server| server.name.clone());
    let listed: Vec<Listed> = rows
        .into_iter()
        .map(|row| Listed {
            // What is so new that it was not measured yet is asked for.
            bytes: row.figures.size().or_else(|| {
                let asked = platform.engine.size(&tenants::place(&row.database)).ok()?;
                i64::try_from(asked).ok()
            }),
            measured_at: row.figures.measured_at,
            growth_bytes: row.figures.growth_bytes,
            requests_today: row.figures.requests,
            errors_today: row.figures.errors,
            p95_micros_today: row.figures.p95_micros,
            last_activity_at: row.figures.last_activity_at,
            engine: row.database.engine.to_string(),
            server: server(row.database.server_id).unwrap_or_default(),
            name: row.database.database_name,
            location: row.database.location,
            schema_version: row.database.schema_version,
            status: row.database.status.to_string(),
            domain: row.domain,
            institution: row.name,
            institution_status: row.institution_status,
        })
        .collect();
    if json {
        return print_json(&listed);
    }
    let cells = |row: &Listed| {
        let size =
            row.bytes.and_then(|size| u64::try_from(size).ok()).map_or_else(|| "unknown".into(), bytes);
        let (schema, status) = (row.schema_version.clone(), row.status.clone());
        let (engine, server) = (row.engine.clone(), row.server.clone());
        [row.name.clone(), engine, server, size, schema, status, row.domain.clone()]
    };
    let heading = ["DATABASE", "ENGINE", "SERVER", "SIZE", "SCHEMA", "STATUS", "INSTITUTION"];
    print_table(heading, &listed.iter().map(cells).collect::<Vec<_>>());
    eprintln!("{}", counted(listed.len(), "database", "databases"));
    Ok(())
}
