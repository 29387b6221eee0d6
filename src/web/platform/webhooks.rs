//! `/platform/webhooks`: programs that are told of alerts, what they were told, and whether it arrived.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};

use super::acting::{self, settled};
use crate::{
    db::{Id, shared::SharedConn},
    error::AppError,
    models::{
        ModelError, ModelResult,
        platform::{
            audit::Audit,
            webhooks::{self, Delivery, DeliveryStatus, Webhook, WebhookStatus},
        },
    },
    services::monitoring::{check_address, webhooks as service},
    web::{
        RecordId, State,
        auth::{AnyAdmin, SuperAdmin},
        badge::{Badge, Tone},
        cell::Cell,
        confirm::{Confirm, ConfirmPage},
        forms::{Form, FormData, FormPage},
        icons::Icon,
        list::{Column, Dir, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        record::{Record, RecordPage, Section},
        respond::{html, html_with_status, see_other},
        time::Clock,
        words::Noun,
    },
};

pub(super) const PATH: &str = "/platform/webhooks";
/// What was sent, shown of each.
const SHOWN: i64 = 25;

const COLUMNS: &[Column] = &[
    Column::new("url", "Address"),
    Column::new("status", "Status"),
    Column::new("by", "Added by").minor(),
    Column::new("created", "Since").sortable(),
];

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("webhook", "webhooks"), COLUMNS).sorted_by("created", Dir::Desc).empty(
        "No webhooks yet",
        "A webhook is the address of a program of yours that is told of every alert.",
        Some(Action::link("Add webhook", format!("{PATH}/new")).icon(Icon::Plus)),
    )
}

fn badge(status: WebhookStatus) -> Badge {
    match status {
        WebhookStatus::Active => Badge::new(Tone::Good, "Active"),
        WebhookStatus::Disabled => Badge::new(Tone::Held, "Disabled"),
    }
}

/// `GET /platform/webhooks`: super admins.
pub async fn list(
    request: HttpRequest,
    platform: State,
    admin: SuperAdmin,
) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let paging = query.paging();
    let slice = platform.shared.run(move |c| webhooks::page(c, &paging)).await?;
    let clock = Clock::utc();
    let show = |webhook: Webhook| {
        Row::new(webhook.id, format!("{PATH}/{}", webhook.id))
            .cell(Cell::mono(webhook.url))
            .cell(badge(webhook.status))
            .cell(webhook.created_by)
            .cell(Cell::time(&clock, webhook.created_at))
    };
    let rows = slice.rows.into_iter().map(show).collect();
    let page = admin
        .page("Webhooks")
        .crumb("Alerts", super::alerts::PATH)
        .intro("Programs of yours that are told when an alert begins and when it is over.")
        .action(Action::link("Add webhook", format!("{PATH}/new")).icon(Icon::Plus));
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

fn about(admin: &AnyAdmin, title: impl Into<String>) -> Page {
    admin.page(title).crumb("Alerts", super::alerts::PATH).crumb("Webhooks", PATH)
}

/// `GET /platform/webhooks/new`: super admins.
pub async fn ask_new(platform: State, admin: SuperAdmin) -> Result<HttpResponse, AppError> {
    let mut form = blank();
    fields(&mut form, platform.settings.webhooks_to_private_networks);
    Ok(html(&FormPage::new(about(&admin, "Add webhook"), form))?)
}

fn blank() -> Form {
    Form::new(PATH).submit("Add webhook").cancel(PATH)
}

fn fields(form: &mut Form, private_allowed: bool) -> Option<String> {
    let url = form
        .url("url", "Address")
        .hint("Such as https://example.org/alerts. Messages are signed; the secret is shown afterwards.")
        .check(move |text: &String| {
            check_address(text, private_allowed).map(|_| ()).map_err(|error| error.to_string())
        })
        .required();
    form.read(|| url)
}

/// `POST /platform/webhooks`: super admins.
pub async fn create(platform: State, admin: SuperAdmin, data: FormData) -> Result<HttpResponse, AppError> {
    let mut form = blank().submitted(&data);
    if let Some(url) = fields(&mut form, platform.settings.webhooks_to_private_networks) {
        let audit = admin.audit(&platform);
        match platform.shared.run(move |c| webhooks::create(c, &audit, url.trim())).await {
            Ok(made) => {
                admin.flash(Notice::success("The webhook is added. Give its secret to your program."))?;
                return Ok(see_other(format!("{PATH}/{}", made.id)));
            }
            Err(ModelError::Refused(sentence)) => form.error("url", sentence),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(html_with_status(
        StatusCode::UNPROCESSABLE_ENTITY,
        &FormPage::new(about(&admin, "Add webhook"), form),
    )?)
}

/// `GET /platform/webhooks/{id}`: super admins.
pub async fn detail(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let look = move |c: &mut SharedConn| {
        ModelResult::Ok((webhooks::find(c, id)?, webhooks::deliveries(c, id, SHOWN)?))
    };
    let (webhook, sent) = platform.shared.run(look).await?;
    let clock = Clock::utc();
    let place = format!("{PATH}/{id}");
    let page = about(&admin, "Webhook")
        .badge(badge(webhook.status))
        .action(Action::post("Send test message", format!("{place}/tests")).icon(Icon::Play));
    let switch = match webhook.status {
        WebhookStatus::Active => {
            Action::post("Disable webhook", format!("{place}/disabling")).icon(Icon::Pause)
        }
        WebhookStatus::Disabled => {
            Action::post("Enable webhook", format!("{place}/disabling/remove")).icon(Icon::Play)
        }
    };
    let record = Record::new()
        .section(
            Section::new("Webhook")
                .fact("Address", Cell::mono(webhook.url.as_str()))
                .fact("Secret", Cell::mono(service::secret(&platform.keys, &webhook)))
                .fact("Signature", "HMAC-SHA-256 as Standard Webhooks says: webhook-id, webhook-timestamp, webhook-signature")
                .fact("Added by", webhook.created_by.as_str())
                .fact("Since", Cell::time(&clock, webhook.created_at)),
        )
        .action(switch)
        .action(Action::ask("Make a new secret", format!("{place}/secret")).icon(Icon::Key))
        .action(Action::ask("Remove webhook", format!("{place}/removal")).icon(Icon::Trash).danger())
        .list("Messages", deliveries(&clock, sent));
    Ok(html(&RecordPage::new(page, record))?)
}

fn deliveries(clock: &Clock, sent: Vec<Delivery>) -> ListView {
    const SENT: &[Column] = &[
        Column::new("event", "Message"),
        Column::new("status", "Status"),
        Column::new("attempts", "Attempts").numeric(),
        Column::new("answer", "Answer"),
        Column::new("at", "When"),
    ];
    let rows = sent.into_iter().map(|one| {
        let status = match one.status {
            DeliveryStatus::Waiting if one.attempts == 0 => Badge::new(Tone::Waiting, "On its way"),
            DeliveryStatus::Waiting => Badge::new(Tone::Waiting, "To be tried again"),
            DeliveryStatus::Delivered => Badge::new(Tone::Good, "Delivered"),
            DeliveryStatus::GivenUp => Badge::new(Tone::Bad, "Given up"),
        };
        let answer = match (one.answer, one.error) {
            (_, Some(error)) => Cell::text(error),
            (Some(status), None) => Cell::text(format!("HTTP status {status}")),
            (None, None) => Cell::nothing(),
        };
        Row::plain(one.id)
            .cell(Cell::mono(one.event))
            .cell(status)
            .cell(Cell::number(one.attempts.into()))
            .cell(answer)
            .cell(Cell::time(clock, one.created_at))
    });
    let spec = ListSpec::new(PATH, Noun::new("message", "messages"), SENT).empty(
        "Nothing was sent yet",
        "Send a test message to see whether it arrives.",
        None,
    );
    ListView::plain(spec, rows.collect()).region("messages")
}

/// `POST /platform/webhooks/{id}/tests`: super admins.
pub async fn test(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let outcome = platform.shared.run(move |c| service::send_test(c, id)).await;
    let done = |_| Notice::success("A test message is on its way. Reload the page to see what became of it.");
    settled(&admin, outcome, done, &format!("{PATH}/{id}"))
}

/// `POST /platform/webhooks/{id}/disabling`: super admins.
pub async fn disable(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let act =
        move |c: &mut SharedConn, audit: &Audit| webhooks::set_status(c, audit, id, WebhookStatus::Disabled);
    change(platform, admin, act, "The webhook is told nothing any more.", format!("{PATH}/{id}")).await
}

/// `POST /platform/webhooks/{id}/disabling/remove`: super admins.
pub async fn enable(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let act =
        move |c: &mut SharedConn, audit: &Audit| webhooks::set_status(c, audit, id, WebhookStatus::Active);
    change(platform, admin, act, "The webhook is told of alerts again.", format!("{PATH}/{id}")).await
}

/// `GET /platform/webhooks/{id}/secret`: super admins.
pub async fn ask_secret(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let webhook = found(&platform, id).await?;
    let confirm = Confirm::new(format!("{PATH}/{id}/secret"), "Make new secret")
        .says(format!("Messages to {} are signed with a new secret from now on.", webhook.url))
        .undo("The old one is not used again: give the new one to your program.")
        .cancel(format!("{PATH}/{id}"));
    Ok(html(&ConfirmPage::new(about(&admin, "Make a new secret?"), confirm))?)
}

/// `POST /platform/webhooks/{id}/secret`: super admins.
pub async fn renew_secret(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let act = move |c: &mut SharedConn, audit: &Audit| webhooks::renew_secret(c, audit, id);
    change(platform, admin, act, "The webhook has a new secret.", format!("{PATH}/{id}")).await
}

/// `GET /platform/webhooks/{id}/removal`: super admins.
pub async fn ask_remove(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let webhook = found(&platform, id).await?;
    let confirm = Confirm::new(format!("{PATH}/{id}/removal"), "Remove webhook")
        .says(format!("{} is told nothing any more, and the log of what it was told goes.", webhook.url))
        .danger()
        .cancel(format!("{PATH}/{id}"));
    Ok(html(&ConfirmPage::new(about(&admin, "Remove webhook?"), confirm))?)
}

/// `POST /platform/webhooks/{id}/removal`: super admins.
pub async fn remove(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let act = move |c: &mut SharedConn, audit: &Audit| webhooks::remove(c, audit, id);
    change(platform, admin, act, "The webhook is removed.", PATH.to_owned()).await
}

async fn found(platform: &State, id: Id) -> Result<Webhook, AppError> {
    Ok(platform.shared.run(move |c| webhooks::find(c, id)).await?)
}

async fn change(
    platform: State,
    admin: SuperAdmin,
    act: impl FnOnce(&mut SharedConn, &Audit) -> ModelResult<Webhook> + Send + 'static,
    words: &'static str,
    back: String,
) -> Result<HttpResponse, AppError> {
    acting::act(&platform, &admin, act, |_| Notice::success(words), &back).await
}
