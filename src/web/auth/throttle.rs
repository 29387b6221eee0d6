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

/// An e-mail as a subject to count: its keyed hash.
pub(super) fn subject_of(platform: &State, email: &str) -> String {
    email_hash(platform, email).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn email_hash(platform: &State, email: &str) -> Vec<u8> {
    platform.keys.hash("throttle", fold(email.trim()).as_bytes())
}

/// Counted failures of the account and of the address.
pub(super) struct Throttle {
    account: String,
    address: String,
    email_hash: Vec<u8>,
}

impl Throttle {
    pub(super) fn new(platform: &State, email: &str, client: &Client) -> Self {
        let email_hash = email_hash(platform, email);
        Self {
            account: format!("account:{}", subject_of(platform, email)),
            address: format!("address:{}", client.ip),
            email_hash,
        }
    }

    /// Counts this try before it is made, so that guesses in parallel are not free, and refuses it when
    /// there were too many. [`Self::forgive`] takes it back when the password was right.
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

    /// The password could not be tried: that was no guess.
    pub(super) async fn take_back(&self, platform: &State) -> Result<(), AppError> {
        let (account, address) = (self.account.clone(), self.address.clone());
        platform
            .shared
            .run(move |c| {
                throttles::take_back(c, &account)?;
                throttles::take_back(c, &address)
            })
            .await?;
        Ok(())
    }

    /// Logs a wrong password under every account it was tried on: their owners see it.
    pub(super) async fn refused(
        &self,
        platform: &State,
        client: &Client,
        tried: &[Account],
    ) -> Result<(), AppError> {
        let (hash, client) = (self.email_hash.clone(), client.clone());
        let mut whose: Vec<Option<Account>> = tried.iter().copied().map(Some).collect();
        if whose.is_empty() {
            whose.push(None);
        }
        platform
            .shared
            .run(move |c| {
                c.write_tx(|c| {
                    whose.iter().try_for_each(|account| {
                        security_log::record(
                            c,
                            &SecurityEvent {
                                event: "sign_in.refused",
                                account_hash: Some(&hash),
                                institution_id: account.and_then(|account| account.institution_id),
                                user_id: account.map(|account| account.user_id),
                                ip: &client.ip,
                                user_agent: &client.user_agent,
                                detail: "",
                            },
                        )
                    })
                })
            })
            .await?;
        Ok(())
    }
}
