//! `/platform/plans`: what institutions can subscribe to.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};

use super::{acting::settled, list_file::ListFile};
use crate::{
    error::AppError,
    models::{
        ModelError, Resource,
        platform::plans::{
            self, Plan, PlanFields, PlanFilter, PlanRow,
            entry::{self, GIGABYTE, decimal, minor, money},
        },
    },
    web::{
        State,
        auth::SuperAdmin,
        badge::{Badge, Tone},
        cell::Cell,
        csv_file::moment,
        forms::{Form, FormData, FormPage},
        icons::Icon,
        list::{Column, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        respond::{html, html_with_status, see_other},
        words::Noun,
    },
};

const PATH: &str = "/platform/plans";

const COLUMNS: &[Column] = &[
    Column::new("name", "Plan").sortable(),
    Column::new("price", "Price").sortable().numeric(),
    Column::new("users", "Users").numeric(),
    Column::new("students", "Students").numeric(),
    Column::new("storage", "Storage").numeric(),
    Column::new("institutions", "Institutions").numeric(),
    Column::new("state", "State"),
];

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("plan", "plans"), COLUMNS)
        .sorted_by("position", crate::web::list::Dir::Asc)
        .search("Name or key")
        .filter(Filter::one_of("archived", "Archived", [("yes", "Yes"), ("no", "No")]))
        .csv()
}

fn filter(query: &ListQuery) -> PlanFilter {
    PlanFilter {
        q: query.q().unwrap_or_default().to_owned(),
        archived: query.filter("archived").map(|value| value == "yes"),
    }
}

/// `GET /platform/plans`: super admins.
pub async fn list(
    request: HttpRequest,
    platform: State,
    admin: SuperAdmin,
) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let (filter, paging) = (filter(&query), query.paging());
    let slice = platform.shared.run(move |c| plans::page(c, &filter, &paging)).await?;
    let rows = slice.rows.into_iter().map(row).collect();
    let page = admin
        .page("Plans")
        .intro("What institutions subscribe to, and how much they may hold for it.")
        .action(Action::link("Add plan", format!("{PATH}/new")).icon(Icon::Plus));
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

fn row((plan, institutions): PlanRow) -> Row {
    let place = format!("{PATH}/{}", plan.key);
    let amount = |most: Option<i64>| most.map_or_else(|| Cell::text("No limit"), Cell::number);
    let state = match plan.archived_at {
        None => Badge::new(Tone::Good, "On offer"),
        Some(_) => Badge::new(Tone::Past, "Archived"),
    };
    let storage = plan
        .max_storage_bytes
        .map_or_else(|| Cell::text("No limit"), |most| Cell::figure(Resource::Storage.amount(most)));
    let act = match plan.archived_at {
        None => Action::post("Archive plan", format!("{place}/archiving")),
        Some(_) => Action::post("Restore plan", format!("{place}/archiving/remove")),
    };
    Row::new(plan.key.as_str(), format!("{place}/edit"))
        .cell(Cell::text(plan.name.as_str()).note(plan.description.as_str()))
        .cell(
            Cell::figure(format!("{} a month", money(plan.price_month, &plan.currency)))
                .note(format!("{} a year", money(plan.price_year, &plan.currency))),
        )
        .cell(amount(plan.max_users))
        .cell(amount(plan.max_students))
        .cell(storage)
        .cell(Cell::number(institutions))
        .cell(state)
        .action(act)
}

/// `GET /platform/plans.csv`: super admins; all that match, by their keys.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: SuperAdmin,
) -> Result<HttpResponse, AppError> {
    let query = ListQuery::parse(&spec(), request.query_string());
    ListFile {
        name: "plans.csv",
        action: "plans.exported",
        heads: &[
            "key",
            "name",
            "price_month",
            "price_year",
            "currency",
            "users",
            "students",
            "storage_bytes",
            "features",
            "institutions",
            "archived_at",
        ],
        key: |(plan, _): &PlanRow| plan.key.clone(),
        cells: |(plan, institutions)| {
            let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
            vec![
                plan.key,
                plan.name,
                decimal(plan.price_month, &plan.currency),
                decimal(plan.price_year, &plan.currency),
                plan.currency,
                number(plan.max_users),
                number(plan.max_students),
                number(plan.max_storage_bytes),
                plan.features,
                institutions.to_string(),
                plan.archived_at.map(moment).unwrap_or_default(),
            ]
        },
        page: plans::page,
        after: plans::after,
    }
    .send(&platform, &admin, &query, filter(&query))
    .await
}

/// `GET /platform/plans/new`: super admins.
pub async fn new(admin: SuperAdmin) -> Result<HttpResponse, AppError> {
    let mut form =
        blank(PATH, "Add plan").filled(FormData::default().with("currency", "EUR").with("position", 10));
    key_field(&mut form);
    fields(&mut form);
    Ok(html(&FormPage::new(page(&admin, "Add plan"), form))?)
}

/// `POST /platform/plans`: super admins.
pub async fn create(platform: State, admin: SuperAdmin, data: FormData) -> Result<HttpResponse, AppError> {
    let mut form = blank(PATH, "Add plan").submitted(&data);
    let key = key_field(&mut form);
    if let (Some(key), Some(fields)) = (key, fields(&mut form)) {
        let audit = admin.audit(&platform);
        match platform.shared.run(move |c| plans::create(c, &audit, &key, &fields)).await {
            Ok(plan) => {
                admin.flash(Notice::success(format!("The plan {} is on offer.", plan.name)))?;
                return Ok(see_other(PATH));
            }
            Err(ModelError::Refused(sentence)) => form.error("key", sentence),
            Err(error) => return Err(error.into()),
        }
    }
    let view = FormPage::new(page(&admin, "Add plan"), form);
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?)
}

/// `GET /platform/plans/{plan}/edit`: super admins.
pub async fn edit(platform: State, admin: SuperAdmin, key: Path<String>) -> Result<HttpResponse, AppError> {
    let plan = found(&platform, &key).await?;
    let mut form = edit_form(&plan).filled(values(&plan)).at_version(plan.version);
    fields(&mut form);
    Ok(html(&FormPage::new(page(&admin, &format!("Edit {}", plan.name)), form))?)
}

/// `POST /platform/plans/{plan}`: super admins; a second person is shown both versions.
pub async fn save(
    platform: State,
    admin: SuperAdmin,
    key: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let plan = found(&platform, &key).await?;
    let mut form = edit_form(&plan).submitted(&data);
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some(fields) = fields(&mut form) {
        let (audit, key) = (admin.audit(&platform), plan.key.clone());
        let version = form.posted_version().unwrap_or_default();
        match platform.shared.run(move |c| plans::update(c, &audit, &key, version, &fields)).await {
            Ok(saved) => {
                admin.flash(Notice::success(format!("The plan {} is saved.", saved.name)))?;
                return Ok(see_other(PATH));
            }
            Err(ModelError::Changed(sentence)) => {
                let now = found(&platform, &plan.key).await?;
                form.conflict(sentence, &values(&now), now.version);
                status = StatusCode::CONFLICT;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(html_with_status(status, &FormPage::new(page(&admin, &format!("Edit {}", plan.name)), form))?)
}

/// `POST /platform/plans/{plan}/archiving`: super admins.
pub async fn archive(
    platform: State,
    admin: SuperAdmin,
    key: Path<String>,
) -> Result<HttpResponse, AppError> {
    set_archived(&platform, &admin, key.into_inner(), true).await
}

/// `POST /platform/plans/{plan}/archiving/remove`: super admins.
pub async fn restore(
    platform: State,
    admin: SuperAdmin,
    key: Path<String>,
) -> Result<HttpResponse, AppError> {
    set_archived(&platform, &admin, key.into_inner(), false).await
}

async fn set_archived(
    platform: &State,
    admin: &SuperAdmin,
    key: String,
    archived: bool,
) -> Result<HttpResponse, AppError> {
    let audit = admin.audit(platform);
    let outcome = platform.shared.run(move |c| plans::set_archived(c, &audit, &key, archived)).await;
    let done = |plan: Plan| {
        Notice::success(match archived {
            true => format!("The plan {} is archived. Institutions that are on it stay on it.", plan.name),
            false => format!("The plan {} is on offer again.", plan.name),
        })
    };
    settled(admin, outcome, done, PATH)
}

async fn found(platform: &State, key: &str) -> Result<Plan, AppError> {
    let key = key.to_owned();
    Ok(platform.shared.run(move |c| plans::find(c, &key)).await?)
}

fn page(admin: &SuperAdmin, title: &str) -> Page {
    admin.page(title).crumb("Plans", PATH)
}

fn blank(action: impl Into<String>, button: &str) -> Form {
    Form::new(action).submit(button).cancel(PATH)
}

fn edit_form(plan: &Plan) -> Form {
    blank(format!("{PATH}/{}", plan.key), "Save plan")
}

fn key_field(form: &mut Form) -> Option<String> {
    form.text("key", "Key")
        .limit(40)
        .hint("For scripts, as basic_2027; it stays.")
        .check(|key: &String| entry::key(key))
        .required()
}

fn fields(form: &mut Form) -> Option<PlanFields> {
    let name = form.text("name", "Name").limit(entry::LONGEST_NAME).required();
    let description = form.text("description", "Description").optional();
    form.group("Price");
    let currency = form
        .text("currency", "Currency")
        .limit(3)
        .hint("Three letters (ISO 4217), for example EUR.")
        .check(|code: &String| entry::currency(code))
        .required();
    let code = currency.clone().unwrap_or_default();
    let is_price = |text: &String| minor(text, &code).map(|_| ());
    let month =
        form.text("price_month", "Per month").inputmode("decimal").limit(20).check(is_price).required();
    let year = form.text("price_year", "Per year").inputmode("decimal").limit(20).check(is_price).required();
    form.group_with("Limits", "Empty means without limit. Who holds more already keeps it and adds nothing.");
    let users = form.number("max_users", "Users").between(1, entry::MOST_HELD).optional();
    let students = form.number("max_students", "Students").between(1, entry::MOST_HELD).optional();
    let storage = form.number("storage_gb", "Storage in GB").between(1, entry::MOST_GIGABYTES).optional();
    form.group("Details");
    let features = form
        .text("features", "Features")
        .hint("Keys, separated by blanks, for example: import support")
        .check(|text: &String| entry::features(text).map(|_| ()))
        .optional();
    let position = form
        .number::<i32>("position", "Position")
        .hint("In lists, the lowest first.")
        .between(0, entry::LAST_POSITION)
        .required();
    form.read(|| {
        let currency = currency?;
        Some(PlanFields {
            name: name?,
            description: description.unwrap_or_default(),
            price_month: minor(&month?, &currency).ok()?,
            price_year: minor(&year?, &currency).ok()?,
            currency,
            max_users: users,
            max_students: students,
            max_storage_bytes: storage.map(|gigabytes: i64| gigabytes * GIGABYTE),
            features: entry::features(features.as_deref().unwrap_or_default()).ok()?,
            position: position?,
        })
    })
}

fn values(plan: &Plan) -> FormData {
    FormData::default()
        .with("name", &plan.name)
        .with("description", &plan.description)
        .with("currency", &plan.currency)
        .with("price_month", decimal(plan.price_month, &plan.currency))
        .with("price_year", decimal(plan.price_year, &plan.currency))
        .with_some("max_users", plan.max_users)
        .with_some("max_students", plan.max_students)
        .with_some("storage_gb", plan.max_storage_bytes.map(|bytes| (bytes / GIGABYTE).max(1)))
        .with("features", &plan.features)
        .with("position", plan.position)
}
