//! `provost demo`: the real server on a platform full of invented institutions.

mod folder;
mod institutions;
mod populate;
mod students;

use std::time::Instant;

use institutions::{Fate, SAMPLES, Sample};

use super::{Outcome, open, output::print_line, serve};
use crate::{config::Config, models::domain::Domain, services::settings::SignupPolicy};

pub(super) const HELP: &str = "\
Everything lives in ./provost-demo, or in the folder that --data-dir names: made at the first run within seconds,
used again afterwards. The passwords are known to everybody who reads this program: keep a demo to yourself.

Examples:
  provost demo
  provost demo --fresh                          throw the demo away and begin again
  provost demo --listen 127.0.0.1:9000";

/// Where a demo lives unless `--data-dir` says otherwise.
pub(super) const FOLDER: &str = "provost-demo";

const SUPER_ADMIN: (&str, &str) = ("Vera Almeida", "vera.almeida@provost.example");
const ADMIN_PASSWORD: &str = "harbour-quartz-fennel-83";
const PEOPLE_PASSWORD: &str = "copper-willow-anvil-57";

pub(super) fn run(mut config: Config, fresh: bool) -> Outcome {
    config.settings.signup = SignupPolicy::Approval;
    let listener = serve::listen(&config)?;
    let folder = config.settings.data_dir.clone();
    let begun = Instant::now();
    let new = folder::prepare(&folder, fresh)?;
    if new {
        print_line(&format!("Making a sample platform in {} ...", folder.display()));
    }
    let platform = open(&config)?;
    if new {
        quietly(|| populate::populate(&platform))?;
        folder::finish(&folder)?;
        print_line(&format!("Done in {:.1} seconds.", begun.elapsed().as_secs_f32()));
    }
    print_sign_ins(&platform.link("/sign-in"));
    serve::run(platform, config, listener)
}

/// The mails and the failure that belong to the samples would bury the sign-ins in the log.
fn quietly(work: impl FnOnce() -> Outcome) -> Outcome {
    let level = log::max_level();
    log::set_max_level(log::LevelFilter::Error);
    let outcome = work();
    log::set_max_level(level);
    outcome
}

fn print_sign_ins(address: &str) {
    print_line(&format!("\nSign in at {address}\n"));
    let line =
        |who: &str, email: &str, password: &str| print_line(&format!("  {who:<12} {email:<40} {password}"));
    print_line("The platform");
    line("super admin", SUPER_ADMIN.1, ADMIN_PASSWORD);
    for sample in &SAMPLES {
        if let Fate::Populated(roll) = sample.fate {
            print_line(sample.name);
            line("owner", &address_as_typed(sample, sample.admin.1), PEOPLE_PASSWORD);
            line("registrar", &address_as_typed(sample, roll.registrar.1), PEOPLE_PASSWORD);
            line("viewer", &address_as_typed(sample, roll.viewer.1), PEOPLE_PASSWORD);
        }
    }
    print_line("\nStop with Ctrl-C; the next start goes on where this one ends.\n");
}

/// The e-mail address of somebody there, as it is stored.
fn address(sample: &Sample, local: &str) -> String {
    let host =
        Domain::parse(sample.domain).map_or_else(|_| sample.domain.into(), |domain| domain.to_string());
    format!("{local}@{host}")
}

/// The same, as a person writes it.
fn address_as_typed(sample: &Sample, local: &str) -> String {
    format!("{local}@{}", sample.domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        models::{country::Country, text::Email, time_zone::TimeZone},
        services::password_policy::check_password,
    };

    #[test]
    fn the_samples_would_pass_the_forms() {
        assert_eq!(check_password(ADMIN_PASSWORD, &[SUPER_ADMIN.0, SUPER_ADMIN.1]), Ok(()));
        for sample in &SAMPLES {
            let email = address(sample, sample.admin.1);
            assert!(Domain::parse(sample.domain).is_ok(), "{}", sample.domain);
            assert!(Email::parse(&email).is_ok(), "{email}");
            assert!(Country::from_code(sample.country).is_some(), "{}", sample.country);
            assert!(TimeZone::parse(sample.time_zone).is_ok(), "{}", sample.time_zone);
            let context = [sample.domain, sample.name, sample.admin.0, email.as_str()];
            assert_eq!(check_password(PEOPLE_PASSWORD, &context), Ok(()), "{}", sample.domain);
        }
    }
}
