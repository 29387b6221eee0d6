//! `provost plan show|create|change|archive|restore`: what the page of plans does.

use clap::Args;

use super::{Listed, print_json, print_line, sentence};
use crate::{
    cli::Outcome,
    db::shared::SharedConn,
    models::{
        Actor,
        platform::plans::{
            self, Plan, PlanFields,
            entry::{self, GIGABYTE, LAST_POSITION, LONGEST_NAME, MOST_GIGABYTES, MOST_HELD},
        },
    },
    services::platform::Platform,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  provost plan create basic_2027 --name Basic --price-month 49 --price-year 490 --users 20 --students 2000
  provost plan change basic_2027 --price-month 59 --students none --json";

/// What is entered of a plan; what is left out stays as it is.
#[derive(Debug, Args)]
pub(in crate::cli) struct Entered {
    /// Its name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A sentence about it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// ISO 4217, such as EUR
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Such as 49.00
    #[arg(long, value_name = "AMOUNT")]
    price_month: Option<String>,
    /// Such as 490.00
    #[arg(long, value_name = "AMOUNT")]
    price_year: Option<String>,
    /// Users at most, or none for no limit
    #[arg(long, value_name = "COUNT", value_parser = |text: &str| limit(text, MOST_HELD))]
    users: Option<Limit>,
    /// Students at most, or none for no limit
    #[arg(long, value_name = "COUNT", value_parser = |text: &str| limit(text, MOST_HELD))]
    students: Option<Limit>,
    /// Storage in GB at most, or none for no limit
    #[arg(long, value_name = "COUNT", value_parser = |text: &str| limit(text, MOST_GIGABYTES))]
    storage_gb: Option<Limit>,
    /// Keys of features, separated by blanks
    #[arg(long, value_name = "KEYS")]
    features: Option<String>,
    /// In lists, the lowest first
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..=i64::from(LAST_POSITION)))]
    position: Option<i32>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// None is without limit.
#[derive(Debug, Clone, Copy)]
struct Limit(Option<i64>);

fn limit(text: &str, most: i64) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    match text.parse() {
        Ok(count) if (1..=most).contains(&count) => Ok(Limit(Some(count))),
        _ => Err(format!("write a number from 1 to {most}, or none")),
    }
}

impl Entered {
    /// `before` with what was entered.
    fn over(&self, before: PlanFields) -> Result<PlanFields, String> {
        let currency = self.currency.clone().unwrap_or_else(|| before.currency.clone());
        entry::currency(&currency)?;
        if currency != before.currency && (self.price_month.is_none() || self.price_year.is_none()) {
            return Err("Give both prices in the new currency: --price-month and --price-year.".into());
        }
        let name = self.name.as_deref().map_or(before.name, |name| name.trim().to_owned());
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(format!("Give a name of at most {LONGEST_NAME} characters with --name."));
        }
        let price = |entered: &Option<String>, before| {
            entered.as_ref().map_or(Ok(before), |text| entry::minor(text, &currency))
        };
        let held = |entered: Option<Limit>, before| entered.map_or(before, |Limit(most)| most);
        let storage = self.storage_gb.map(|Limit(most)| Limit(most.map(|count| count * GIGABYTE)));
        Ok(PlanFields {
            name,
            description: self.description.clone().unwrap_or(before.description),
            price_month: price(&self.price_month, before.price_month)?,
            price_year: price(&self.price_year, before.price_year)?,
            max_users: held(self.users, before.max_users),
            max_students: held(self.students, before.max_students),
            max_storage_bytes: held(storage, before.max_storage_bytes),
            features: self.features.as_deref().map_or(Ok(before.features), entry::features)?,
            position: self.position.unwrap_or(before.position),
            currency,
        })
    }
}

pub(super) fn create(platform: &Platform, key: &str, entered: &Entered) -> Outcome {
    entry::key(key)?;
    let blank = PlanFields {
        name: String::new(),
        description: String::new(),
        price_month: 0,
        price_year: 0,
        currency: "EUR".into(),
        max_users: None,
        max_students: None,
        max_storage_bytes: None,
        features: String::new(),
        position: 10,
    };
    let fields = entered.over(blank)?;
    let mut connection = platform.shared.get().map_err(sentence)?;
    let audit = platform.audit(Actor::command_line());
    let plan = plans::create(&mut connection, &audit, key, &fields).map_err(sentence)?;
    told(&mut connection, plan, entered.json, "is on offer")
}

pub(super) fn change(platform: &Platform, key: &str, entered: &Entered) -> Outcome {
    let mut connection = platform.shared.get().map_err(sentence)?;
    let known = find(&mut connection, key)?;
    let fields = entered.over(known.fields())?;
    let audit = platform.audit(Actor::command_line());
    let plan = plans::update(&mut connection, &audit, key, known.version, &fields).map_err(sentence)?;
    told(&mut connection, plan, entered.json, "is saved")
}

pub(super) fn set_archived(platform: &Platform, key: &str, archived: bool, json: bool) -> Outcome {
    let mut connection = platform.shared.get().map_err(sentence)?;
    find(&mut connection, key)?;
    let audit = platform.audit(Actor::command_line());
    let plan = plans::set_archived(&mut connection, &audit, key, archived).map_err(sentence)?;
    let words =
        if archived { "is archived; institutions that are on it stay on it" } else { "is on offer again" };
    told(&mut connection, plan, json, words)
}

pub(super) fn show(platform: &Platform, key: &str, json: bool) -> Outcome {
    let mut connection = platform.shared.get().map_err(sentence)?;
    let plan = find(&mut connection, key)?;
    let row = plans::with_institutions(&mut connection, vec![plan]).map_err(sentence)?;
    let Some((plan, institutions)) = row.into_iter().next() else { return Ok(()) };
    if json {
        return print_json(&Listed::from((plan, institutions)));
    }
    let line = |name: &str, value: String| print_line(&format!("{name:<14}{value}"));
    let number = |n: Option<i64>| n.map_or_else(|| "no limit".into(), |n| n.to_string());
    line("Plan", plan.key);
    line("Name", plan.name);
    line("Description", plan.description);
    line("Per month", entry::money(plan.price_month, &plan.currency));
    line("Per year", entry::money(plan.price_year, &plan.currency));
    line("Users", number(plan.max_users));
    line("Students", number(plan.max_students));
    line(
        "Storage",
        plan.max_storage_bytes.map_or_else(|| "no limit".into(), |n| format!("{} GB", n / GIGABYTE)),
    );
    line("Features", plan.features);
    line("Institutions", institutions.to_string());
    line("State", if plan.archived_at.is_some() { "archived".into() } else { "on offer".into() });
    Ok(())
}

fn find(connection: &mut SharedConn, key: &str) -> Result<Plan, String> {
    plans::find(connection, key).map_err(|error| {
        if error.is_not_found() {
            return format!("There is no plan {key}. See provost plan list.");
        }
        sentence(error)
    })
}

fn told(connection: &mut SharedConn, plan: Plan, json: bool, words: &str) -> Outcome {
    if !json {
        print_line(&format!("The plan {} {words}.", plan.key));
        return Ok(());
    }
    let rows = plans::with_institutions(connection, vec![plan]).map_err(sentence)?;
    rows.into_iter().next().map_or(Ok(()), |row| print_json(&Listed::from(row)))
}
