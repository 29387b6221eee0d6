//! `/platform/servers`: where institutions' databases live, and which server takes the next one.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};

use super::{
    acting::{self, settled},
    databases::engine_label,
    emptying,
    list_file::ListFile,
};
use crate::{
    db::{Engine, Id, shared::SharedConn},
    error::{AppError, told},
    models::{
        ModelError, ModelResult, Paging,
        platform::{
            audit::Audit,
            servers::{self, DatabaseServer, ServerFilter, ServerRow, ServerState},
            tenant_databases::{self, DatabaseFilter, DatabaseRow, DatabaseStatus},
        },
    },
    services::servers::{self as service, DATA_FOLDER, EXAMPLE, Entered},
    web::{
        RecordId, State,
        auth::{AnyAdmin, Operator, SuperAdmin},
        badge::{Badge, Tone},
        cell::Cell,
        confirm::{Confirm, ConfirmPage},
        csv_file::moment,
        forms::{Form, FormData, FormPage},
        icons::Icon,
        list::{Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        record::{Record, RecordPage, Section},
        respond::{html, html_with_status, see_other},
        time::Clock,
        words::{Noun, grouped, short_time},
    },
};

pub(super) const PATH: &str = "/platform/servers";
/// Databases shown on the page of their server.
const SHOWN: i64 = 25;

const COLUMNS: &[Column] = &[
    Column::new("name", "Server").sortable(),
    Column::new("state", "State"),
    Column::new("databases", "Databases").numeric(),
    Column::new("connections", "Connections").numeric(),
    Column::new("version", "Version"),
    Column::new("trip", "Round trip").numeric().minor(),
    Column::new("checked", "Last check"),
];

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("server", "servers"), COLUMNS)
        .sorted_by("name", Dir::Asc)
        .search("Name or address")
        .filter(Filter::one_of("state", "State", ServerState::ALL.iter().map(|s| (s.as_str(), s.label()))))
        .csv()
}

fn filter(query: &ListQuery) -> ServerFilter {
    ServerFilter { q: query.q().unwrap_or_default().to_owned(), state: query.chosen("state") }
}

fn badges(server: &DatabaseServer, databases: i64) -> Vec<Badge> {
    let state = match server.state {
        ServerState::Accepting if databases >= server.capacity => Badge::new(Tone::Held, "Full"),
        ServerState::Accepting => Badge::new(Tone::Good, "Accepting"),
        ServerState::Draining => Badge::new(Tone::Held, "Draining"),
    };
    let trouble = server.problem.as_ref().map(|_| Badge::new(Tone::Bad, "In trouble"));
    [Some(state), trouble].into_iter().flatten().collect()
}

fn address(server: &DatabaseServer) -> String {
    match (server.address.as_str(), server.engine) {
        ("" | DATA_FOLDER, Engine::Sqlite) => "the data folder".to_owned(),
        ("", Engine::Postgres) => "the server of the shared database".to_owned(),
        (known, _) => known.to_owned(),
    }
}

/// A server on the page of an institution.
pub(super) fn cell(server: &DatabaseServer, linked: bool) -> Cell {
    let name = server.name.as_str();
    if linked { Cell::link(name, format!("{PATH}/{}", server.id)) } else { Cell::text(name) }
}

fn row(clock: &Clock, (server, databases): ServerRow) -> Row {
    let place = format!("{PATH}/{}", server.id);
    let figure = |n: Option<i64>| n.map_or_else(Cell::nothing, Cell::number);
    Row::new(server.id, place.as_str())
        .cell(Cell::text(server.name.as_str()).note(address(&server)))
        .cell(Cell::badges(badges(&server, databases)))
        .cell(Cell::figure(format!("{} of {}", grouped(databases), grouped(server.capacity))))
        .cell(figure(server.most_connections.or(server.connections)))
        .cell(server.server_version.clone().unwrap_or_else(|| engine_label(server.engine).to_owned()))
        .cell(server.round_trip_micros.map_or_else(Cell::nothing, |time| Cell::figure(short_time(time))))
        .cell(Cell::time(clock, server.checked_at))
        .action(Action::post("Check", format!("{place}/check")))
}

/// `GET /platform/servers`: operators.
pub async fn list(request: HttpRequest, platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let (filter, paging) = (filter(&query), query.paging());
    let slice = platform.shared.run(move |c| servers::page(c, &filter, &paging)).await?;
    let clock = Clock::utc();
    let rows = slice.rows.into_iter().map(|found| row(&clock, found)).collect();
    let page = admin.page("Servers").intro(
        "Where institutions' databases live. A new one goes to the accepting server with the largest part of its \
         capacity free.",
    );
    let page = match admin.is_super_admin() {
        true => page.action(Action::link("Add server", format!("{PATH}/new")).icon(Icon::Plus)),
        false => page,
    };
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

/// `GET /platform/servers.csv`: operators; all that match, by name.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: Operator,
) -> Result<HttpResponse, AppError> {
    let query = ListQuery::parse(&spec(), request.query_string());
    ListFile {
        name: "servers.csv",
        action: "servers.exported",
        heads: &[
            "id",
            "name",
            "engine",
            "address",
            "state",
            "databases",
            "capacity",
            "connections",
            "version",
            "round_trip_micros",
            "checked_at",
            "problem",
        ],
        key: |(server, _): &ServerRow| server.name.clone(),
        cells: |(server, databases)| {
            let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
            vec![
                server.id.to_string(),
                server.name,
                server.engine.as_str().to_owned(),
                server.address,
                server.state.as_str().to_owned(),
                databases.to_string(),
                server.capacity.to_string(),
                number(server.most_connections.or(server.connections)),
                server.server_version.unwrap_or_default(),
                number(server.round_trip_micros),
                server.checked_at.map(moment).unwrap_or_default(),
                server.problem.unwrap_or_default(),
            ]
        },
        page: servers::page,
        after: servers::after,
    }
    .send(&platform, &admin, &query, filter(&query))
    .await
}

pub(super) fn about(admin: &AnyAdmin, title: impl Into<String>) -> Page {
    admin.page(title).crumb("Servers", PATH)
}

async fn found(platform: &State, id: Id) -> Result<DatabaseServer, AppError> {
    Ok(platform.shared.run(move |c| servers::find(c, id)).await?)
}

/// `GET /platform/servers/{id}`: operators.
pub async fn detail(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let look = move |c: &mut SharedConn| {
        let server = servers::find(c, id)?;
        let held = servers::counts(c)?.get(&id).copied().unwrap_or(0);
        let filter = DatabaseFilter {
            server_id: Some(id),
            status: Some(DatabaseStatus::Ready),
            ..DatabaseFilter::default()
        };
        let paging = Paging { sort: "name".into(), descending: false, limit: SHOWN, offset: 0 };
        ModelResult::Ok((server, held, tenant_databases::page(c, &filter, &paging)?))
    };
    let (server, held, databases) = platform.shared.run(look).await?;
    let (clock, place) = (Clock::utc(), format!("{PATH}/{id}"));
    let mut page = about(&admin, server.name.as_str())
        .action(Action::post("Check server", format!("{place}/check")).icon(Icon::Refresh));
    for badge in badges(&server, held) {
        page = page.badge(badge);
    }
    let trouble = server.problem.as_ref().map(|problem| Notice::error(problem.as_str()));
    let notice = trouble.or_else(|| emptying::notice(&server, held));
    let mut record = Record::new().notice(notice).section(facts(&admin, &clock, &server, held));
    if admin.is_super_admin() {
        record = record.action(match server.state {
            ServerState::Accepting => {
                Action::post("Let it drain", format!("{place}/draining")).icon(Icon::Pause)
            }
            ServerState::Draining => {
                Action::post("Let it accept", format!("{place}/draining/remove")).icon(Icon::Play)
            }
        });
        if server.state == ServerState::Draining && databases.total > 0 {
            record = record.action(emptying::action(&server));
        }
        if !server.is_home() {
            record = record
                .action(Action::ask("Remove server", format!("{place}/removal")).icon(Icon::Trash).danger());
        }
    }
    let title = if databases.total > SHOWN { "Databases, the first of them" } else { "Databases" };
    record = record.list(title, database_list(databases.rows));
    Ok(html(&RecordPage::new(page, record))?)
}

fn facts(admin: &AnyAdmin, clock: &Clock, server: &DatabaseServer, held: i64) -> Section {
    let figure = |n: Option<i64>| n.map_or_else(Cell::nothing, Cell::number);
    let section = Section::new("Server")
        .fact("Address", Cell::mono(address(server)))
        .fact("Engine", engine_label(server.engine))
        .fact("Version", Cell::text(server.server_version.clone().unwrap_or_default()))
        .fact("Databases", Cell::figure(format!("{} of {}", grouped(held), grouped(server.capacity))))
        .fact("Connections for institutions", figure(server.connections))
        .fact("Connections of one node", figure(server.most_connections.or(server.connections)))
        .fact(
            "Round trip",
            server.round_trip_micros.map_or_else(Cell::nothing, |time| Cell::figure(short_time(time))),
        )
        .fact("Last check", Cell::time(clock, server.checked_at));
    if admin.is_super_admin() { section.edit(format!("{PATH}/{}/edit", server.id)) } else { section }
}

fn database_list(rows: Vec<DatabaseRow>) -> ListView {
    const HELD: &[Column] = &[
        Column::new("name", "Database"),
        Column::new("institution", "Institution"),
        Column::new("size", "Size").numeric(),
    ];
    let rows = rows.into_iter().map(|row| {
        let size = row.figures.size();
        Row::new(row.database.id, format!("/platform/institutions/{}", row.domain))
            .cell(Cell::mono(row.database.database_name))
            .cell(Cell::text(row.name).note(row.domain))
            .cell(size.map_or_else(Cell::nothing, |size| Cell::figure(crate::web::words::bytes(size))))
    });
    let spec = ListSpec::new(PATH, Noun::new("database", "databases"), HELD).empty(
        "No databases here",
        "New institutions, and those that are moved here, appear in this list.",
        None,
    );
    ListView::plain(spec, rows.collect()).region("databases")
}

/// `GET /platform/servers/new`: super admins.
pub async fn new(admin: SuperAdmin) -> Result<HttpResponse, AppError> {
    let mut form = blank().filled(FormData::default().with("capacity", 2000));
    fields(&mut form, None);
    Ok(html(&FormPage::new(about(&admin, "Add server"), form))?)
}

fn blank() -> Form {
    Form::new(PATH).submit("Add server").cancel(PATH)
}

/// Of a server that there is, or of a new one. That of the configuration has no address here.
fn fields(form: &mut Form, known: Option<&DatabaseServer>) -> Option<Entered> {
    let (new, home) = (known.is_none(), known.is_some_and(DatabaseServer::is_home));
    let name = form.text("name", "Name").limit(60).required();
    let (mut address, mut password) = (Some(String::new()), None);
    if !home {
        form.group_with(
            "Connection",
            "Its role needs the rights CREATEDB and CREATEROLE; the check says what to grant.",
        );
        address = form
            .text("address", "Address")
            .limit(500)
            .autocomplete("off")
            .hint(format!("{EXAMPLE} {DATA_FOLDER} is the data folder, for a platform on one machine."))
            .check(|text: &String| match url::Url::parse(text) {
                Ok(url) if url.password().is_some() => {
                    Err("Enter the password in its own field: it is kept sealed.".to_owned())
                }
                _ => Ok(()),
            })
            .required();
        password = form
            .password("password", "Password")
            .autocomplete("new-password")
            .hint(if new {
                "The password of that role."
            } else {
                "Left empty, the one that is stored stays."
            })
            .optional();
    }
    form.group("Room");
    let capacity = form
        .number("capacity", "Databases at most")
        .hint("Including those that are kept for a while after a move or a restore.")
        .between(1, 1_000_000)
        .required();
    let most_connections = form
        .number("most_connections", "Connections of one node")
        .hint("Empty: as many as the server has for institutions.")
        .between(1, 100_000)
        .optional();
    form.read(|| {
        Some(Entered { name: name?, address: address?, password, capacity: capacity?, most_connections })
    })
}

/// Runs what blocks where that is allowed; what is to be told beside the form comes back as words.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> ModelResult<T> + Send + 'static,
) -> Result<Result<T, ModelError>, AppError> {
    actix_web::web::block(work).await.map_err(|error| AppError::internal(error.to_string()))
}

/// `POST /platform/servers`: super admins; the server is checked first.
pub async fn create(platform: State, admin: SuperAdmin, data: FormData) -> Result<HttpResponse, AppError> {
    let mut form = blank().submitted(&data);
    if let Some(entered) = fields(&mut form, None) {
        let (state, audit) = (platform.clone(), admin.audit(&platform));
        match told(blocking(move || service::add(&state, &audit, &entered)).await?)? {
            Ok(server) => {
                admin.flash(Notice::success(format!("The server {} takes databases now.", server.name)))?;
                return Ok(see_other(format!("{PATH}/{}", server.id)));
            }
            Err(sentence) => form.error("", sentence),
        }
    }
    let view = FormPage::new(about(&admin, "Add server"), form);
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?)
}

fn edit_form(server: &DatabaseServer) -> Form {
    let place = format!("{PATH}/{}", server.id);
    Form::new(place.as_str()).submit("Save server").cancel(place)
}

fn values(server: &DatabaseServer) -> FormData {
    FormData::default()
        .with("name", &server.name)
        .with("address", &server.address)
        .with("capacity", server.capacity)
        .with_some("most_connections", server.most_connections)
}

/// `GET /platform/servers/{id}/edit`: super admins.
pub async fn edit(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let server = found(&platform, id).await?;
    let mut form = edit_form(&server).filled(values(&server)).at_version(server.version);
    fields(&mut form, Some(&server));
    Ok(html(&FormPage::new(about(&admin, format!("Edit {}", server.name)), form))?)
}

/// `POST /platform/servers/{id}`: super admins; a second person is shown both versions.
pub async fn save(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let server = found(&platform, id).await?;
    let mut form = edit_form(&server).submitted(&data);
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some(entered) = fields(&mut form, Some(&server)) {
        let (state, audit, known) = (platform.clone(), admin.audit(&platform), server.clone());
        let version = form.posted_version().unwrap_or_default();
        match blocking(move || service::change(&state, &audit, &known, version, &entered)).await? {
            Ok(saved) => {
                admin.flash(Notice::success(format!("The server {} is saved.", saved.name)))?;
                return Ok(see_other(format!("{PATH}/{id}")));
            }
            Err(ModelError::Changed(sentence)) => {
                let now = found(&platform, id).await?;
                form.conflict(sentence, &values(&now), now.version);
                status = StatusCode::CONFLICT;
            }
            Err(ModelError::Refused(sentence)) => form.error("", sentence),
            Err(error) => return Err(error.into()),
        }
    }
    let view = FormPage::new(about(&admin, format!("Edit {}", server.name)), form);
    Ok(html_with_status(status, &view)?)
}

/// `POST /platform/servers/{id}/check`: operators.
pub async fn check(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    found(&platform, id).await?;
    let state = platform.clone();
    let outcome = blocking(move || service::check(&state, id)).await?;
    let done = |server: DatabaseServer| match server.problem {
        None => Notice::success(format!("The server {} answers, and its role has its rights.", server.name)),
        Some(problem) => Notice::warning(format!("The server {} is in trouble. {problem}", server.name)),
    };
    settled(&admin, outcome, done, &format!("{PATH}/{id}"))
}

/// `POST /platform/servers/{id}/draining`: super admins.
pub async fn drain(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let act =
        move |c: &mut SharedConn, audit: &Audit| servers::set_state(c, audit, id, ServerState::Draining);
    let words = "Nothing new comes to this server. What is there stays until you move it.";
    change(&platform, &admin, act, words, &format!("{PATH}/{id}")).await
}

/// `POST /platform/servers/{id}/draining/remove`: super admins.
pub async fn accept(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let act =
        move |c: &mut SharedConn, audit: &Audit| servers::set_state(c, audit, id, ServerState::Accepting);
    change(&platform, &admin, act, "This server takes new databases again.", &format!("{PATH}/{id}")).await
}

/// `GET /platform/servers/{id}/removal`: super admins.
pub async fn ask_remove(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let server = found(&platform, id).await?;
    let confirm = Confirm::new(format!("{PATH}/{id}/removal"), "Remove server")
        .says(format!("Provost forgets the server {} and its address.", server.name))
        .says("Nothing is done on the server itself. While it holds databases it cannot be removed.");
    let confirm = if server.is_silent() {
        confirm.says(
            "It does not answer: replaced databases that it keeps for a while are forgotten with it. Those that serve \
             have to be restored elsewhere first.",
        )
    } else {
        confirm
    };
    let confirm = confirm.undo("You can add it again at any time.").danger().cancel(format!("{PATH}/{id}"));
    Ok(html(&ConfirmPage::new(about(&admin, format!("Remove {}?", server.name)), confirm))?)
}

/// `POST /platform/servers/{id}/removal`: super admins.
pub async fn remove(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let audit = admin.audit(&platform);
    let outcome = told(platform.shared.run(move |c| servers::remove(c, &audit, id)).await)?;
    Ok(match outcome {
        Ok(server) => {
            platform.engine.forget(id);
            admin.flash(Notice::success(format!("The server {} is removed.", server.name)))?;
            see_other(PATH)
        }
        Err(sentence) => {
            admin.flash(Notice::warning(format!("{sentence} Nothing was changed.")))?;
            see_other(format!("{PATH}/{id}"))
        }
    })
}

async fn change(
    platform: &State,
    admin: &SuperAdmin,
    act: impl FnOnce(&mut SharedConn, &Audit) -> ModelResult<DatabaseServer> + Send + 'static,
    words: &'static str,
    back: &str,
) -> Result<HttpResponse, AppError> {
    acting::act(platform, admin, act, |_| Notice::success(words), back).await
}
