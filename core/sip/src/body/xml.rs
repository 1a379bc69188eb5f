//! The little XML that messages carry: elements of one namespace and their text, with limits and without document types
//! or entities of their own.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;
use thiserror::Error;

/// Bytes of a document; real ones have some hundred.
pub const MAX_XML: usize = 16 << 10;

/// Elements of a document, those of other namespaces counted in.
pub const MAX_XML_ELEMENTS: usize = 128;

/// Attributes of an element that are looked at.
const MAX_XML_ATTRIBUTES: usize = 16;

/// How deep elements may be nested.
pub const MAX_XML_DEPTH: usize = 16;

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum XmlError {
    /// Larger than [`MAX_XML`], [`MAX_XML_ELEMENTS`] or [`MAX_XML_DEPTH`].
    #[error("the XML document is larger than anybody needs: {what}")]
    TooLarge {
        /// Which limit it exceeds.
        what: &'static str,
    },
    /// It is not UTF-8.
    #[error("the XML document is not UTF-8")]
    NotUtf8,
    /// It is not well-formed.
    #[error("the XML document cannot be read: {why}")]
    Malformed {
        /// What the parser says.
        why: String,
    },
    /// It declares a document type, or uses an entity that only such a declaration could define: neither is read.
    #[error("the XML document brings declarations of its own")]
    Declarations,
    /// It is another document than the one that was expected.
    #[error("<{expected}> was expected")]
    Unexpected {
        /// The element that is missing.
        expected: &'static str,
    },
}

/// One element of the namespace that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Element {
    /// Its name without a prefix.
    pub name: String,
    /// Its attributes, names without a prefix.
    pub attributes: Vec<(String, String)>,
    /// Its own text, without white space at the ends.
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of that name, if there is any.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }
}

/// Reads a document whose root is `root`. Elements are those of `namespace`, or of none, as careless writers have it;
/// those of other namespaces are skipped with all that is in them.
pub(super) fn read(body: &[u8], namespace: &str, root: &'static str) -> Result<Element, XmlError> {
    if body.len() > MAX_XML {
        return Err(XmlError::TooLarge { what: "its bytes" });
    }
    let text = std::str::from_utf8(body).map_err(|_| XmlError::NotUtf8)?;
    let malformed = |why: &dyn std::fmt::Display| XmlError::Malformed { why: why.to_string() };
    let checked = |text: &str| match text.chars().all(is_held) {
        true => Ok(()),
        false => Err(malformed(&"a character that XML does not know")),
    };
    checked(text)?;
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    // The elements that are open; `None` for one that is skipped.
    let mut open: Vec<Option<Element>> = Vec::new();
    let (mut elements, mut found) = (0usize, None);
    loop {
        let (resolved, event) = reader.read_resolved_event().map_err(|error| malformed(&error))?;
        let ours = match resolved {
            ResolveResult::Bound(Namespace(bound)) => bound == namespace,
            ResolveResult::Unbound => true,
            ResolveResult::Unknown(_) => false,
        };
        match event {
            Event::Start(start) => {
                elements += 1;
                if elements > MAX_XML_ELEMENTS {
                    return Err(XmlError::TooLarge { what: "its elements" });
                }
                if open.len() >= MAX_XML_DEPTH {
                    return Err(XmlError::TooLarge { what: "its depth" });
                }
                if open.is_empty() && found.is_some() {
                    return Err(malformed(&"a second root"));
                }
                let skipped = !ours || open.iter().any(Option::is_none);
                if skipped {
                    open.push(None);
                    continue;
                }
                let name = start.local_name().into_inner().to_owned();
                let mut attributes = Vec::new();
                for attribute in start.attributes().with_checks(false).take(MAX_XML_ATTRIBUTES) {
                    let attribute = attribute.map_err(|error| malformed(&error))?;
                    let value = attribute
                        .normalized_value(XmlVersion::Implicit1_0)
                        .map_err(|error| malformed(&error))?;
                    checked(&value)?;
                    attributes.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
                }
                open.push(Some(Element { name, attributes, ..Element::default() }));
            }
            Event::End(_) => {
                let Some(closed) = open.pop() else { return Err(malformed(&"an end without a start")) };
                let Some(mut element) = closed else { continue };
                element.text = element.text.trim().to_owned();
                match open.last_mut() {
                    Some(Some(parent)) => parent.children.push(element),
                    Some(None) => {}
                    None => found = Some(element),
                }
            }
            Event::Text(text) => add(&mut open, &text.xml10_content()),
            Event::CData(text) => add(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(c)) => {
                    let mut buffer = [0; 4];
                    let text = c.encode_utf8(&mut buffer);
                    checked(text)?;
                    add(&mut open, text);
                }
                Ok(None) => {
                    let known = resolve_predefined_entity(&reference).ok_or(XmlError::Declarations)?;
                    add(&mut open, known);
                }
                Err(error) => return Err(malformed(&error)),
            },
            Event::DocType(_) => return Err(XmlError::Declarations),
            Event::Eof => break,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Empty(_) => {}
        }
    }
    if !open.is_empty() {
        return Err(malformed(&"it ends before its elements do"));
    }
    found.filter(|element| element.name == root).ok_or(XmlError::Unexpected { expected: root })
}

fn add(open: &mut [Option<Element>], text: &str) {
    if let Some(Some(element)) = open.last_mut() {
        element.text.push_str(text);
    }
}

/// Whether XML 1.0 can hold a character, written as itself or by its number (§2.2, §4.1).
fn is_held(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// `text` as the content of an element. What XML cannot hold becomes U+FFFD.
pub(super) fn escaped(text: &str) -> String {
    let text: String = text.chars().map(|c| if is_held(c) { c } else { '\u{fffd}' }).collect();
    // A reader makes a line feed of a bare carriage return (§2.11).
    quick_xml::escape::escape(text.as_str()).replace('\r', "&#13;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(element: &Element) -> Vec<&str> {
        element.children.iter().map(|child| child.name.as_str()).collect()
    }

    #[test]
    fn elements_of_the_namespace_and_of_none_are_read() {
        for document in [
            "<r xmlns='urn:x'><a>1</a><b/></r>",
            "<x:r xmlns:x='urn:x'><x:a>1</x:a><x:b></x:b></x:r>",
            "\u{feff}<?xml version=\"1.0\"?><!-- c --><r><a> 1\n</a><b/></r>",
            "<r xmlns='urn:x'><o:a xmlns:o='urn:other'><a>2</a></o:a><a>1</a><b/></r>",
        ] {
            let root = read(document.as_bytes(), "urn:x", "r").unwrap();
            assert_eq!(names(&root), ["a", "b"], "{document}");
            assert_eq!(root.text_of("a"), Some("1"), "{document}");
            assert_eq!(root.text_of("b"), None);
        }
    }

    #[test]
    fn character_references_and_the_five_entities_are_read_and_no_others() {
        let root =
            read(b"<r><a>&lt;&amp;&gt;&quot;&apos;&#x41;&#66;<![CDATA[<&]]></a></r>", "", "r").unwrap();
        assert_eq!(root.text_of("a"), Some("<&>\"'AB<&"));
        assert_eq!(read(b"<r><a>&nbsp;</a></r>", "", "r"), Err(XmlError::Declarations));
    }

    #[test]
    fn a_document_type_is_not_read_body_06() {
        let bomb = b"<!DOCTYPE r [<!ENTITY a \"b\"><!ENTITY c SYSTEM \"file:///etc/passwd\">]><r>&a;&c;</r>";
        assert_eq!(read(bomb, "", "r"), Err(XmlError::Declarations));
    }

    #[test]
    fn what_is_larger_than_the_limits_is_not_read_body_06() {
        let deep = "<a>".repeat(MAX_XML_DEPTH + 1);
        let many = format!("<r>{}</r>", "<a/>".repeat(MAX_XML_ELEMENTS));
        let long = format!("<r>{}</r>", " ".repeat(MAX_XML));
        for (document, what) in [(deep, "its depth"), (many, "its elements"), (long, "its bytes")] {
            assert_eq!(read(document.as_bytes(), "", "r"), Err(XmlError::TooLarge { what }));
        }
    }

    #[test]
    fn what_is_not_well_formed_is_not_read() {
        for document in
            ["", "<r>", "<r></s>", "</r>", "<r/><r/>", "<r", "r", "<s/>", "<r>&#x110000;</r>", "<r>&"]
        {
            assert!(read(document.as_bytes(), "", "r").is_err(), "{document:?}");
        }
        assert_eq!(read(b"<r>\xff</r>", "", "r"), Err(XmlError::NotUtf8));
    }

    #[test]
    fn characters_that_xml_does_not_know_are_not_read_however_they_are_written() {
        for odd in ["\0", "\u{e}", "\u{1b}", "\u{ffff}", "&#0;", "&#14;", "&#x1b;", "&#xfffe;"] {
            for document in
                [format!("<r><a>{odd}</a></r>"), format!("<r a='{odd}'/>"), format!("<r/><!--{odd}-->")]
            {
                // By their numbers they stand for nothing in a comment.
                let is_read = document.starts_with("<r/>") && odd.starts_with('&');
                assert_eq!(read(document.as_bytes(), "", "r").is_ok(), is_read, "{document:?}");
            }
        }
        assert_eq!(
            read("<r>\u{7f}\u{85}\u{fffd}x</r>".as_bytes(), "", "r").unwrap().text,
            "\u{7f}\u{85}\u{fffd}x"
        );
    }

    #[test]
    fn text_is_escaped_and_read_back() {
        let text = "<a> & \"b\" 'c' ü\r\nd";
        let root = read(format!("<r>{}</r>", escaped(text)).as_bytes(), "", "r").unwrap();
        assert_eq!(root.text, text);
        assert_eq!(escaped("a\0b\u{1b}"), "a\u{fffd}b\u{fffd}");
    }
}
