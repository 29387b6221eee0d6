//! `/platform/migrations`: who has which schema, what would run, and bringing everybody along.

pub mod rollout;
pub mod tenants;

use actix_web::{HttpResponse, http::StatusCode};

use crate::{
    db::{Id, shared::SharedConn, tenant_migrations::TenantMigration},
    error::AppError,
    models::{
        ModelError, ModelResult, Paging,
        platform::{
            rollouts::{self, Direction, Rollout, RolloutState},
            tenant_databases::{self, DatabaseFilter, DatabaseRow, DatabaseStatus},
        },
    },
    services::rollouts::{self as service, Order, Plan},
    web::{
        State,
        auth::{AnyAdmin, Operator},
        badge::{Badge, Tone},
        cell::Cell,
        forms::{Form, FormData, FormPage},
        icons::Icon,
        list::{Column, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        record::{Record, RecordPage, Section},
        respond::{html, html_with_status, see_other},
        time::Clock,
        words::Noun,
    },
};

const PATH: &str = "/platform/migrations";
const TENANTS: &str = "/platform/migrations/tenants";
const DATABASES: Noun = Noun::new("database", "databases");
/// Rows shown of each kind.
const SHOWN: i64 = 10;

struct Now {
    plan: Plan,
    open: Option<Rollout>,
    newest: Vec<Rollout>,
    quarantined: Vec<DatabaseRow>,
}

/// `GET /platform/migrations`: every platform admin.
pub async fn show(platform: State, admin: AnyAdmin) -> Result<HttpResponse, AppError> {
    let state = platform.clone();
    let now = platform.shared.run(move |c| look(c, &state)).await?;
    let clock = Clock::utc();
    let page = admin.page("Migrations").intro(sentence(&now.plan));
    let page = match (&now.open, now.plan.behind) {
        (Some(open), _) => {
            page.action(Action::link("See the rollout under way", format!("{PATH}/{}", open.id)))
        }
        (None, 1..) if admin.is_operator() => {
            page.action(Action::link("Migrate institutions", format!("{PATH}/new")).icon(Icon::ArrowUp))
        }
        _ => page,
    };
    let notice = now.open.as_ref().and_then(|open| match open.state {
        RolloutState::Stopped | RolloutState::Paused => Some(
            Notice::warning(format!("The rollout is held: {}", open.reason.as_deref().unwrap_or_default()))
                .link("Decide how it goes on", format!("{PATH}/{}", open.id)),
        ),
        _ => None,
    });
    let record = Record::new()
        .notice(notice)
        .section(versions(&now.plan))
        .list("What would run", pending(&now.plan.pending))
        .list("In quarantine", quarantined(&admin, now.quarantined))
        .list("Rollouts", history(&clock, now.newest))
        .action(Action::link("Every institution's schema", TENANTS).icon(Icon::Database));
    Ok(html(&RecordPage::new(page, record))?)
}

fn look(c: &mut SharedConn, platform: &State) -> ModelResult<Now> {
    let filter = DatabaseFilter {
        status: Some(DatabaseStatus::Ready),
        quarantined: true,
        ..DatabaseFilter::default()
    };
    let first = Paging { sort: "institution".into(), descending: false, limit: SHOWN, offset: 0 };
    Ok(Now {
        plan: service::plan(c, platform)?,
        open: rollouts::open(c)?,
        newest: rollouts::newest(c, SHOWN)?,
        quarantined: tenant_databases::page(c, &filter, &first)?.rows,
    })
}

fn sentence(plan: &Plan) -> String {
    let version = &plan.version;
    match plan.behind {
        0 => format!("Every institution's database has the schema of this version, {version}."),
        n => format!("{} behind the schema of this version, {version}.", DATABASES.are(n)),
    }
}

/// How a version stands to this binary's.
fn standing(version: &str, current: &str) -> Badge {
    match version.cmp(current) {
        std::cmp::Ordering::Less => Badge::new(Tone::Waiting, "Behind"),
        std::cmp::Ordering::Equal => Badge::new(Tone::Good, "Up to date"),
        std::cmp::Ordering::Greater => Badge::new(Tone::Held, "Newer"),
    }
}

fn versions(plan: &Plan) -> Section {
    let count = |count: &tenant_databases::VersionCount| {
        let words = DATABASES.count(count.tenants);
        let place = format!("{TENANTS}?version={}", count.version);
        let note = match count.quarantined {
            0 => standing(&count.version, &plan.version).text,
            n => format!("{}, {n} in quarantine", standing(&count.version, &plan.version).text),
        };
        (count.version.clone(), Cell::link(words, place).note(note))
    };
    let facts = plan.versions.iter().map(count);
    let section = facts.fold(Section::new("Where the databases are"), |section, (version, cell)| {
        section.fact(version, cell)
    });
    if plan.versions.is_empty() { section.fact("Databases", "none yet") } else { section }
}

fn pending(migrations: &[TenantMigration]) -> ListView {
    const COLUMNS: &[Column] = &[
        Column::new("name", "Migration"),
        Column::new("about", "What it does"),
        Column::new("kind", "Kind"),
    ];
    let spec = ListSpec::new(PATH, Noun::new("migration", "migrations"), COLUMNS).empty(
        "Nothing to run",
        "A new version of Provost that changes the schema shows here what it changes.",
        None,
    );
    let row = |migration: &TenantMigration| {
        let grave = if migration.destructive {
            Badge::new(Tone::Bad, "Takes something away")
        } else {
            Badge::new(Tone::Good, "Only adds")
        };
        let how = if migration.in_transaction { "all or nothing" } else { "outside a transaction" };
        Row::plain(&migration.name)
            .cell(Cell::mono(migration.name.as_str()))
            .cell(migration.about.as_str())
            .cell(Cell::badge(grave).note(how))
    };
    ListView::plain(spec, migrations.iter().map(row).collect()).region("pending")
}

fn quarantined(admin: &AnyAdmin, rows: Vec<DatabaseRow>) -> ListView {
    const COLUMNS: &[Column] = &[
        Column::new("institution", "Institution"),
        Column::new("version", "Schema"),
        Column::new("reason", "Why"),
    ];
    let spec = ListSpec::new(TENANTS, Noun::new("database", "databases"), COLUMNS).empty(
        "Nothing in quarantine",
        "A database whose migration fails stays as it was and shows here with the reason.",
        None,
    );
    let row = |row: DatabaseRow| {
        let id = row.database.institution_id;
        let shown = Row::new(row.database.id, format!("/platform/institutions/{}", row.domain))
            .cell(Cell::text(row.name).note(row.domain))
            .cell(Cell::mono(row.database.schema_version))
            .cell(Cell::lines(row.database.quarantine_reason.unwrap_or_default()));
        with_attempt(shown, admin, id)
    };
    ListView::plain(spec, rows.into_iter().map(row).collect()).region("quarantine")
}

/// The row, with "Try again" for those who may.
fn with_attempt(row: Row, admin: &AnyAdmin, institution: Id) -> Row {
    if !admin.is_operator() {
        return row;
    }
    row.action(Action::post("Try again", format!("{TENANTS}/{institution}/attempts")).icon(Icon::Refresh))
}

fn history(clock: &Clock, newest: Vec<Rollout>) -> ListView {
    const COLUMNS: &[Column] = &[
        Column::new("target", "Schema"),
        Column::new("state", "State"),
        Column::new("who", "Started by"),
        Column::new("created", "Started"),
    ];
    let spec = ListSpec::new(PATH, Noun::new("rollout", "rollouts"), COLUMNS).empty(
        "No rollout yet",
        "Rollouts stay here with what became of each institution.",
        None,
    );
    let row = |rollout: Rollout| {
        let way = if rollout.direction == Direction::Down { "taken back" } else { "brought along" };
        Row::new(rollout.id, format!("{PATH}/{}", rollout.id))
            .cell(Cell::text(rollout.target_version).note(way))
            .cell(state_badge(rollout.state))
            .cell(rollout.actor_name)
            .cell(Cell::time(clock, rollout.created_at))
    };
    ListView::plain(spec, newest.into_iter().map(row).collect()).region("rollouts")
}

fn state_badge(state: RolloutState) -> Badge {
    let (tone, label) = match state {
        RolloutState::Running => (Tone::Working, "Running"),
        RolloutState::Paused => (Tone::Held, "Paused"),
        RolloutState::Stopped => (Tone::Bad, "Stopped"),
        RolloutState::Cancelled => (Tone::Past, "Cancelled"),
        RolloutState::Done => (Tone::Good, "Done"),
        RolloutState::Failed => (Tone::Bad, "Failed"),
    };
    Badge::new(tone, label)
}

/// `GET /platform/migrations/new`: operators.
pub async fn new(platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    let state = platform.clone();
    let plan = platform.shared.run(move |c| service::plan(c, &state)).await?;
    let mut form = blank();
    fields(&mut form, &plan);
    Ok(html(&FormPage::new(form_page(&admin, &plan), form))?)
}

/// `POST /platform/migrations`: operators.
pub async fn start(platform: State, admin: Operator, data: FormData) -> Result<HttpResponse, AppError> {
    let state = platform.clone();
    let plan = platform.shared.run(move |c| service::plan(c, &state)).await?;
    let mut form = blank().submitted(&data);
    if let Some(order) = fields(&mut form, &plan) {
        let (audit, state) = (admin.audit(&platform), platform.clone());
        match platform.shared.run(move |c| service::start(c, &state, &audit, &order)).await {
            Ok(started) => {
                platform.operations.wake();
                admin.flash(Notice::success("The rollout has begun."))?;
                return Ok(see_other(format!("{PATH}/{}", started.rollout)));
            }
            Err(ModelError::Refused(words) | ModelError::Changed(words)) => form.error("", words),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &FormPage::new(form_page(&admin, &plan), form))?)
}

fn form_page(admin: &AnyAdmin, plan: &Plan) -> Page {
    admin.page("Migrate institutions").crumb("Migrations", PATH).intro(sentence(plan))
}

fn blank() -> Form {
    Form::new(PATH).submit("Start rollout").cancel(PATH)
}

fn fields(form: &mut Form, plan: &Plan) -> Option<Order> {
    let canaries = form
        .textarea("canaries", "Domains of the institutions that go first")
        .hint(format!("One a line. Without any, the first {} by name go first.", service::CANARIES))
        .optional();
    let wave_size = form
        .number::<i32>("wave_size", "Institutions in a wave")
        .value(service::WAVE_SIZE)
        .between(1, 100_000)
        .required();
    let failure_percent = form
        .number::<i32>("failure_percent", "Stop when more than so many in a hundred fail")
        .hint(format!("It takes at least {} failures.", service::LEAST_FAILURES))
        .value(service::FAILURE_PERCENT)
        .between(1, 100)
        .required();
    let agreed = if plan.is_destructive() {
        let words = "Run it; every database is backed up right before";
        form.checkboxes("agreed", "A migration takes something away for good", [("yes", words)])
    } else {
        Vec::new()
    };
    form.read(|| {
        let canaries = canaries.unwrap_or_default();
        Some(Order {
            canaries: canaries.split_whitespace().map(ToOwned::to_owned).collect(),
            wave_size: wave_size?,
            failure_percent: failure_percent?,
            destructive_agreed: !agreed.is_empty(),
        })
    })
}
