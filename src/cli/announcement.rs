//! `provost announcement`: what the platform says to its institutions, over their pages.

use chrono::NaiveDateTime;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Outcome, institution, open_existing,
    output::{print_json, print_line, print_table, sentence},
};
use crate::{
    config::Config,
    db::{Id, now},
    models::{
        Actor, Paging,
        platform::{
            announcements::{
                self, Announcement, AnnouncementFields, AnnouncementFilter, Audience, LONGEST, Level,
            },
            plans,
        },
    },
    services::platform::Platform,
};

/// How a moment is written, in UTC.
const MOMENT: &str = "%Y-%m-%d %H:%M";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List announcements, the newest first
    #[command(after_help = "Example:\n  provost announcement list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Say something over the pages of institutions; they show it within seconds
    #[command(
        after_help = "Example:\n  provost announcement post --level maintenance \\\n    --until '2027-05-03 18:00' 'Records can be read only from 16:00 to 18:00 UTC.'"
    )]
    Post(Post),
    /// Take an announcement off the pages
    End {
        /// Its id, as provost announcement list prints it
        id: Id,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Post {
    /// What you say: a sentence or two
    text: String,
    /// info, warning or maintenance
    #[arg(long, default_value_t = Level::Info)]
    level: Level,
    /// To institutions on this plan only; more than once for several
    #[arg(long = "plan", value_name = "PLAN")]
    plans: Vec<String>,
    /// To this institution only
    #[arg(long, value_name = "DOMAIN", conflicts_with = "plans")]
    institution: Option<String>,
    /// From then on, in UTC; now where it is left out
    #[arg(long, value_name = "YYYY-MM-DD HH:MM", value_parser = moment)]
    from: Option<NaiveDateTime>,
    /// Until then, in UTC; until it is ended where it is left out
    #[arg(long, value_name = "YYYY-MM-DD HH:MM", value_parser = moment)]
    until: Option<NaiveDateTime>,
    /// Nobody can put it away
    #[arg(long)]
    stays: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    id: Id,
    text: String,
    level: Level,
    audience: Audience,
    plans: Vec<String>,
    institution_id: Option<Id>,
    starts_at: NaiveDateTime,
    ends_at: Option<NaiveDateTime>,
    shown: bool,
    created_by: String,
}

impl From<Announcement> for Shown {
    fn from(known: Announcement) -> Self {
        Self {
            shown: known.holds(now()),
            id: known.id,
            text: known.text,
            level: known.level,
            audience: known.audience,
            plans: known.plans.split_whitespace().map(str::to_owned).collect(),
            institution_id: known.institution_id,
            starts_at: known.starts_at,
            ends_at: known.ends_at,
            created_by: known.created_by,
        }
    }
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    let platform = open_existing(config)?;
    match command {
        Command::List { json } => list(&platform, json),
        Command::Post(post) => self::post(&platform, post),
        Command::End { id, json } => {
            let mut connection = platform.shared.get().map_err(sentence)?;
            let audit = platform.audit(Actor::command_line());
            let ended = announcements::end(&mut connection, &audit, id).map_err(|error| {
                if error.is_not_found() {
                    return format!("There is no announcement {id}. See provost announcement list.");
                }
                sentence(error)
            })?;
            told(ended, json, "is off the pages")
        }
    }
}

fn list(platform: &Platform, json: bool) -> Outcome {
    let newest = Paging { sort: "starts".into(), descending: true, limit: 1_000, offset: 0 };
    let mut connection = platform.shared.get().map_err(sentence)?;
    let filter = AnnouncementFilter::default();
    let rows = announcements::page(&mut connection, &filter, &newest).map_err(sentence)?.rows;
    if json {
        return print_json(&rows.into_iter().map(Shown::from).collect::<Vec<_>>());
    }
    let cells = |known: Announcement| {
        let state = if known.holds(now()) { "shown" } else { "not shown" };
        let until = known.ends_at.map_or_else(|| "it is ended".into(), |end| end.format(MOMENT).to_string());
        [
            known.id.to_string(),
            state.to_owned(),
            known.level.to_string(),
            known.audience.to_string(),
            until,
            known.text,
        ]
    };
    let rows: Vec<_> = rows.into_iter().map(cells).collect();
    print_table(["ID", "STATE", "LEVEL", "AUDIENCE", "UNTIL", "TEXT"], &rows);
    Ok(())
}

fn post(platform: &Platform, post: Post) -> Outcome {
    let text = post.text.trim().to_owned();
    if text.is_empty() || text.chars().count() > LONGEST || text.chars().any(char::is_control) {
        return Err(format!("Say something in one line of at most {LONGEST} characters."));
    }
    let starts_at = post.from.unwrap_or_else(now);
    if post.until.is_some_and(|end| end <= starts_at.max(now())) {
        return Err("It would be over before anybody sees it: name a later time with --until.".into());
    }
    let mut connection = platform.shared.get().map_err(sentence)?;
    for plan in &post.plans {
        plans::find(&mut connection, plan)
            .map_err(|_| format!("There is no plan {plan}. See provost plan list."))?;
    }
    let institution = match &post.institution {
        Some(domain) => Some(institution::find(&mut connection, domain)?.id),
        None => None,
    };
    let audience = match (institution, post.plans.is_empty()) {
        (Some(_), _) => Audience::Institution,
        (None, false) => Audience::Plans,
        (None, true) => Audience::Everybody,
    };
    let fields = AnnouncementFields {
        text,
        level: post.level,
        audience,
        plans: post.plans.join(" "),
        institution_id: institution,
        starts_at,
        ends_at: post.until,
        dismissible: i32::from(!post.stays),
    };
    let audit = platform.audit(Actor::command_line());
    let made = announcements::create(&mut connection, &audit, &fields).map_err(sentence)?;
    told(made, post.json, "is kept; pages show it within seconds of its time")
}

fn told(known: Announcement, json: bool, words: &str) -> Outcome {
    if json {
        return print_json(&Shown::from(known));
    }
    print_line(&format!("The announcement {} {words}.", known.id));
    Ok(())
}

fn moment(text: &str) -> Result<NaiveDateTime, String> {
    NaiveDateTime::parse_from_str(text.trim(), MOMENT)
        .map_err(|_| "write a day and a time, such as '2027-05-03 18:00'".into())
}
