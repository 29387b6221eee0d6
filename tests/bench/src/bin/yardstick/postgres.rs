//! On PostgreSQL: asynchronous on the worker that took the request, statements prepared once.

use std::{cell::Cell, rc::Rc};

use actix_web::{HttpRequest, HttpResponse, rt, web};
use chrono::NaiveDateTime;
use tokio_postgres::{Client, Error, NoTls, Statement};
use uuid::Uuid;

use crate::{Asked, SIZE, page, sql};

/// Connections of a worker to each database; two workers keep four backends a database busy.
const CONNECTIONS: usize = 2;

/// What a worker has.
pub struct Worker {
    shared: Vec<Rc<Shared>>,
    tenant: Vec<Rc<Tenant>>,
    next: Cell<usize>,
    bytes: usize,
}

struct Shared {
    client: Client,
    session: Statement,
    institution: Statement,
}

struct Tenant {
    client: Client,
    user: Statement,
    years: Statement,
    count: Statement,
    search_count: Statement,
    list: Statement,
    search_list: Statement,
}

pub async fn connect(shared: String, tenant: String, bytes: usize) -> Result<Worker, Error> {
    let mut worker = Worker { shared: Vec::new(), tenant: Vec::new(), next: Cell::new(0), bytes };
    for _ in 0..CONNECTIONS {
        let client = client(&shared).await?;
        worker.shared.push(Rc::new(Shared {
            session: prepare(&client, sql::SESSION).await?,
            institution: prepare(&client, sql::INSTITUTION).await?,
            client,
        }));
        let client = self::client(&tenant).await?;
        worker.tenant.push(Rc::new(Tenant {
            user: prepare(&client, sql::USER).await?,
            years: prepare(&client, sql::YEARS).await?,
            count: prepare(&client, sql::COUNT).await?,
            search_count: prepare(&client, sql::SEARCH_COUNT).await?,
            list: prepare(&client, sql::LIST).await?,
            search_list: prepare(&client, sql::SEARCH_LIST).await?,
            client,
        }));
    }
    Ok(worker)
}

async fn client(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    rt::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("yardstick: {error}");
        }
    });
    Ok(client)
}

async fn prepare(client: &Client, text: &str) -> Result<Statement, Error> {
    client.prepare(&text.replace('?', "$")).await
}

pub async fn students(worker: web::Data<Worker>, request: HttpRequest) -> HttpResponse {
    let Some(asked) = Asked::of(&request) else { return HttpResponse::BadRequest().finish() };
    let turn = worker.next.get();
    worker.next.set((turn + 1) % CONNECTIONS);
    match answer(&worker.shared[turn], &worker.tenant[turn], &asked, worker.bytes).await {
        Ok(Some(html)) => HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html),
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn answer(
    shared: &Shared,
    tenant: &Tenant,
    asked: &Asked,
    bytes: usize,
) -> Result<Option<String>, Error> {
    let now = chrono::Utc::now().naive_utc();
    let session = shared.client.query_opt(&shared.session, &[&asked.token_hash, &now]).await?;
    let Some(session) = session else { return Ok(None) };
    let (institution, user): (Uuid, Uuid) = (session.get(1), session.get(2));
    let found = shared.client.query_one(&shared.institution, &[&asked.domain]).await?;
    let (id, name, status): (Uuid, &str, &str) = (found.get(0), found.get(2), found.get(8));
    if id != institution || status != "active" {
        return Ok(None);
    }
    let user = tenant.client.query(&tenant.user, &[&user]).await?;
    let years = tenant.client.query(&tenant.years, &[]).await?;
    let count = match &asked.pattern {
        None => tenant.client.query_one(&tenant.count, &[]).await?,
        Some(pattern) => tenant.client.query_one(&tenant.search_count, &[pattern]).await?,
    };
    let list = match &asked.pattern {
        None => tenant.client.query(&tenant.list, &[&SIZE, &0_i64]).await?,
        Some(pattern) => tenant.client.query(&tenant.search_list, &[&SIZE, &0_i64, pattern]).await?,
    };

    let user = user.first().map_or("", |row| row.get(2));
    let mut body = page::Body::new(bytes, name, user, count.get(0));
    years.iter().for_each(|row| body.year(row.get::<_, i32>(0).into()));
    for row in &list {
        let updated = row.get::<_, NaiveDateTime>(8).to_string();
        let row = page::Row {
            id: row.get(0),
            name: row.get(11),
            number: row.get(1),
            status: row.get(2),
            year: row.get::<_, Option<i32>>(3).map(Into::into),
            programme: row.get::<_, Option<&str>>(4).unwrap_or_default(),
            updated: &updated,
        };
        body.row(&asked.domain, &row);
    }
    Ok(Some(body.filled(bytes)))
}
