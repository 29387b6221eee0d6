//! The only reader of the environment: flags, variables and a `.env` file become [`Settings`].
//! What it does not understand it refuses, so that a typing error never goes unnoticed.

mod environment;
mod in_force;
mod options;
mod read;

pub use environment::{load_env_file, refuse_unknown_variables};
pub use options::Options;

use crate::{app::WebSettings, services::settings::Settings};

/// Everything in force, ready to use.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port.
    pub listen: String,
    /// What services need.
    pub settings: Settings,
    /// What the web app needs.
    pub web: WebSettings,
    /// `settings.public_url`, read.
    pub public_url: url::Url,
}
