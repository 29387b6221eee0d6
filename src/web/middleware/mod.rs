//! What happens to every request before and after its handler.

pub mod framed;
pub mod guard;
pub mod measured;
pub mod same_origin;
