//! The one integration binary: the real app, driven the way its users do.

mod platform_models;
mod schema;
