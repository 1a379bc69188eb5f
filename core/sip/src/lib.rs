//! The SIP wire layer of Aldis: bytes to typed messages and back.
//!
//! - [`Framer`] cuts a stream into messages and judges each; [`judge_datagram`] does so for one message.
//! - [`Message`] gives its parts as they are asked for, typed by [`fields`], without copying.
//! - [`Writer`] makes bytes; what it takes is right by construction, so that nothing from an app can leave its line.
//! - [`auth`] answers digest challenges; [`body`] takes bodies apart.
//!
//! No state between messages, no time, no randomness, no input or output: those belong to the layers above. Bytes from
//! the network never panic, and every list, length and buffer has a limit ([`limits`]).

pub mod auth;
mod block;
pub mod body;
mod defect;
mod endpoint;
pub mod fields;
mod framer;
mod head;
mod header;
mod identity;
mod judge;
mod lex;
pub mod limits;
mod lines;
mod message;
mod method;
mod name_addr;
mod params;
#[cfg(feature = "rsip")]
mod rsip_edge;
mod secret;
mod start;
mod status;
mod uri;
mod writer;

pub use defect::{Defect, Fault, Place, Problem};
pub use endpoint::Capabilities;
pub use framer::{Frame, Framer};
pub use header::Header;
pub use identity::{Domain, InvalidIdentity, ReferenceIdentity};
pub use judge::{Judgement, Rejection, judge, judge_datagram, passed_over};
pub use lex::Quoted;
pub use message::{Field, Message, StartLine};
pub use method::{Extension, Method};
pub use name_addr::NameAddr;
pub use params::{ParamValue, Params};
#[cfg(feature = "rsip")]
pub use rsip_edge::RsipError;
pub use secret::Secret;
pub use status::StatusCode;
pub use uri::{Scheme, SipScheme, Uri};
pub use writer::{FieldText, Value, Writer};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
