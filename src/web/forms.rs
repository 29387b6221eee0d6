//! The one form: a feature writes its fields once, to show them and to read them.
//!
//! ```
//! use provost::web::forms::{Form, FormData};
//!
//! struct NewRoom { name: String, seats: Option<i64> }
//!
//! fn room(form: &mut Form) -> Option<NewRoom> {
//!     form.group("Room");
//!     let name = form.text("name", "Name").hint("As it stands on the door").required();
//!     let seats = form.number("seats", "Seats").between(1, 2000).optional();
//!     form.read(|| Some(NewRoom { name: name?, seats }))
//! }
//!
//! let mut form = Form::new("/rooms").submitted(&FormData::parse("name=A+1&seats=many"));
//! assert!(room(&mut form).is_none());
//! assert_eq!(form.errors()[0].text, "Enter seats as a whole number, for example 12.");
//! ```

mod data;
mod field;
mod fields;
mod form;
mod parse;

pub use data::FormData;
pub use field::{Choice, ChoiceOf, Field, FieldKind};
pub use form::{Conflict, Difference, Form, FormError, FormPage, Group};
pub use parse::{Chosen, FieldBuilder, Parsed, clean_text, valid_email};
