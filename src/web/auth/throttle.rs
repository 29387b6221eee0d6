//! Slowing down who tries too often: per account and per address, counted where every node sees it.

use crate::{
    error::AppError,
    models::{
        platform::{
            security_log::{self, SecurityEvent},
            throttles::{self, Rule},
        },
        search::fold,
    },
    services::accounts::Account,
    web::{State, client::Client},
};

/// Counts one try of `subject`, and refuses it when there were too many.
pub async fn slow_down(platform: &State, subject: String, rule: Rule) -> Result<(), AppError> {
    let wait = platform.shared.run(move |c| throttles::enter(c, &[(&subject, rule)])).await?;
    if wait > 0 { Err(AppError::TooMany(wait)) } else { Ok(()) }
}

/// Counted failures of the account and of the address.
pub(super) struct Throttle {
    account: String,
    address: String,
    email_hash: Vec<u8>,
}

impl Throttle {
    pub(super) fn new(platform: &State, email: &str, client: &Client) -> Self {
        let email_hash = platform.keys.hash("throttle", fold(email.trim()).as_bytes());
        let hex: String = email_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { account: format!("account:{hex}"), address: format!("address:{}", client.ip), email_hash }
    }

    /// Counts this try before it is made, so that guesses in parallel are not free, and refuses it when
    /// there were too many. [`Self::settle`] takes it back when the password was right.
    pub(super) async fn enter(&self, platform: &State) -> Result<(), AppError> {
        let (account, address) = (self.account.clone(), self.address.clone());
        let wait = platform
            .shared
            .run(move |c| {
                throttles::enter(c, &[(&account, throttles::ACCOUNT), (&address, throttles::ADDRESS)])
            })
            .await?;
        if wait > 0 { Err(AppError::TooMany(wait)) } else { Ok(()) }
    }

    /// The password was right: the account is forgiven, and the address was not guessing.
    pub(super) async fn forgive(&self, platform: &State) -> Result<(), AppError> {
        let (account, address) = (self.account.clone(), self.address.clone());
        platform
            .shared
            .run(move |c| {
                throttles::forgive(c, &account)?;
                throttles::take_back(c, &address)
            })
            .await?;
        Ok(())
    }

    /// Forgives when the password opened something, and logs the event.
    pub(super) async fn settle(
        &self,
        platform: &State,
        client: &Client,
        accounts: &[Account],
    ) -> Result<(), AppError> {
        if !accounts.is_empty() {
            self.forgive(platform).await?;
        }
        let hash = self.email_hash.clone();
        let (client, first, failed) = (client.clone(), accounts.first().copied(), accounts.is_empty());
        platform
            .shared
            .run(move |c| {
                let event = SecurityEvent {
                    event: if failed { "sign_in.refused" } else { "sign_in" },
                    account_hash: Some(&hash),
                    institution_id: first.and_then(|account| account.institution_id),
                    user_id: first.map(|account| account.user_id),
                    ip: &client.ip,
                    user_agent: &client.user_agent,
                    detail: "",
                };
                security_log::record(c, &event)
            })
            .await?;
        Ok(())
    }
}
