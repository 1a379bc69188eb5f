//! What stands inside a message: multipart, encodings, character sets, message/cpim, receipts, is-composing.
//!
//! Everything is bytes until a charset has been looked at, every list and every growth has a limit with a
//! name, and nothing is fetched: a URL in a body is text, and content that lies elsewhere ([`ExternalBody`]) stays there.
//!
//! ```
//! use aldis_sip::body::{Content, Multipart};
//! use bytes::Bytes;
//!
//! let body = Bytes::from_static(
//!     b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>hello</b>\r\n--b--\r\n",
//! );
//! let multipart = Multipart::parse("alternative", "b", &body)?;
//! let parts = multipart.resolve(&|part| part.media_type().is("text", "plain"))?;
//! assert_eq!(parts[0].text()?.text, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod charset;
pub mod composing;
pub mod cpim;
mod encoding;
mod external;
pub mod imdn;
mod mime;
mod multipart;
mod part;
pub mod reginfo;
pub mod summary;
mod xml;

#[cfg(test)]
mod properties;

pub use charset::{DecodedText, decode_text};
pub(crate) use encoding::is_known as is_known_coding;
pub use encoding::{
    ACCEPT_ENCODING, EncodingError, MAX_CODINGS, MAX_DECODED, decode_content, decode_transfer,
};
pub use external::{ExternalBody, ExternalBodyError, MAX_URL};
pub use mime::{HeaderError, MAX_FILE_NAME, MAX_PART_HEADERS, MAX_TYPE_PARAMETERS, MediaType, MimeHeaders};
pub use multipart::{MAX_BOUNDARY, MAX_DEPTH, MAX_PARTS, MAX_SIZE, Multipart, MultipartError, NotUnderstood};
pub use part::{Content, Disposition, Part};
pub use xml::{MAX_XML, MAX_XML_DEPTH, MAX_XML_ELEMENTS, XmlError};
