//! The one integration binary: the real app, driven the way its users do.

mod pools;
mod provisioning;
mod schema;
mod support;
