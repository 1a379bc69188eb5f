//! The common ground of all authentication headers: schemes, and parameters separated by commas.

use super::{AuthError, MAX_CHALLENGES, MAX_PARAMETERS, Text};
use crate::lex::Cursor;

/// One parameter: its name as written, its value, and whether that stood in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Param {
    pub name: String,
    pub value: Text,
    pub quoted: bool,
}

/// One scheme with what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub scheme: String,
    pub params: Vec<Param>,
    /// The single base64 value that schemes such as Negotiate have instead of parameters.
    pub token68: Option<String>,
}

impl Entry {
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }
}

/// Reads every scheme of a header value, at least one.
pub(super) fn entries(value: &str) -> Result<Vec<Entry>, AuthError> {
    let mut cursor = Cursor::new(value);
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        skip_commas(&mut cursor);
        if cursor.is_end() {
            break;
        }
        let mut ahead = cursor;
        let at = cursor.at();
        let name = ahead.token().ok_or(AuthError::Malformed { at, expected: "a scheme or parameter" })?;
        if ahead.eat_spaced(b'=') {
            let entry = entries.last_mut().ok_or(AuthError::Malformed { at, expected: "a scheme" })?;
            push_param(&mut entry.params, param(&mut cursor)?)?;
            end_of_item(&cursor)?;
            continue;
        }
        if entries.len() >= MAX_CHALLENGES {
            return Err(AuthError::TooMany { what: "challenges", limit: MAX_CHALLENGES });
        }
        entries.push(Entry { scheme: name.to_owned(), params: Vec::new(), token68: None });
        let after_scheme = ahead.at();
        ahead.skip_wsp();
        cursor = ahead;
        if cursor.is_end() || cursor.peek() == Some(b',') {
            continue;
        }
        if cursor.at() == after_scheme {
            return Err(AuthError::Malformed { at: after_scheme, expected: "a space after the scheme" });
        }
        if let Some(entry) = entries.last_mut() {
            first_item(entry, &mut cursor)?;
        }
    }
    if entries.is_empty() {
        return Err(AuthError::Malformed { at: cursor.at(), expected: "a scheme" });
    }
    Ok(entries)
}

/// Reads a list of parameters without a scheme (Authentication-Info).
pub(super) fn params(value: &str) -> Result<Vec<Param>, AuthError> {
    let mut cursor = Cursor::new(value);
    let mut params = Vec::new();
    loop {
        skip_commas(&mut cursor);
        if cursor.is_end() {
            return Ok(params);
        }
        push_param(&mut params, param(&mut cursor)?)?;
        end_of_item(&cursor)?;
    }
}

fn skip_commas(cursor: &mut Cursor<'_>) {
    cursor.skip_wsp();
    while cursor.eat_spaced(b',') {}
}

fn end_of_item(cursor: &Cursor<'_>) -> Result<(), AuthError> {
    let mut ahead = *cursor;
    ahead.skip_wsp();
    match ahead.peek() {
        None | Some(b',') => Ok(()),
        Some(_) => Err(AuthError::Malformed { at: ahead.at(), expected: "a comma" }),
    }
}

/// What follows a scheme directly: a parameter, or the single value of schemes other than Digest.
fn first_item(entry: &mut Entry, cursor: &mut Cursor<'_>) -> Result<(), AuthError> {
    if !entry.is_digest() {
        let mut ahead = *cursor;
        let body = ahead.take_while(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
        let padding = ahead.take_while(|b| b == b'=');
        if !body.is_empty() && end_of_item(&ahead).is_ok() {
            entry.token68 = Some(format!("{body}{padding}"));
            *cursor = ahead;
            return Ok(());
        }
    }
    push_param(&mut entry.params, param(cursor)?)?;
    end_of_item(cursor)
}

fn param(cursor: &mut Cursor<'_>) -> Result<Param, AuthError> {
    let at = cursor.at();
    let name = cursor.token().ok_or(AuthError::Malformed { at, expected: "a parameter" })?.to_owned();
    if !cursor.eat_spaced(b'=') {
        return Err(AuthError::Malformed { at: cursor.at(), expected: "=" });
    }
    if cursor.peek() == Some(b'"') {
        let at = cursor.at();
        let quoted = cursor.quoted().ok_or(AuthError::Malformed { at, expected: "a quoted string" })?;
        return Ok(Param { name, value: Text::from_quoted(quoted), quoted: true });
    }
    // More than a token: servers leave the quotes off nonces and URIs.
    let bare = cursor.take_while(|b| b > b' ' && !matches!(b, b',' | b'"' | b'\\' | 0x7f));
    Ok(Param { name, value: Text::from_bare(bare), quoted: false })
}

fn push_param(params: &mut Vec<Param>, param: Param) -> Result<(), AuthError> {
    if params.len() >= MAX_PARAMETERS {
        return Err(AuthError::TooMany { what: "parameters", limit: MAX_PARAMETERS });
    }
    if params.iter().any(|p| p.name.eq_ignore_ascii_case(&param.name)) {
        return Err(AuthError::Duplicate { parameter: param.name });
    }
    params.push(param);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemes(value: &str) -> Vec<(String, usize, Option<String>)> {
        entries(value).unwrap().into_iter().map(|e| (e.scheme, e.params.len(), e.token68)).collect()
    }

    #[test]
    fn a_scheme_alone_is_an_entry() {
        assert_eq!(schemes("NTLM"), [("NTLM".into(), 0, None)]);
    }

    #[test]
    fn parameters_belong_to_the_scheme_before_them() {
        assert_eq!(
            schemes(r#"NTLM, Digest a=1, b="x, y" , c = 2, Negotiate YII/+a==, Bearer realm="r",x=y"#),
            [
                ("NTLM".into(), 0, None),
                ("Digest".into(), 3, None),
                ("Negotiate".into(), 0, Some("YII/+a==".into())),
                ("Bearer".into(), 2, None),
            ]
        );
    }

    #[test]
    fn empty_elements_of_a_list_are_skipped() {
        assert_eq!(schemes(", ,Digest a=1,, b=2 , "), [("Digest".into(), 2, None)]);
    }

    #[test]
    fn a_malformed_value_names_the_place() {
        for (value, at, expected) in [
            ("", 0, "a scheme"),
            (" , ", 3, "a scheme"),
            ("realm=x", 0, "a scheme"),
            ("Digest realm=\"x", 13, "a quoted string"),
            ("Digest realm=\"x\" nonce=\"y\"", 17, "a comma"),
            ("Digest realm", 12, "="),
            ("Digest\"x\"", 6, "a space after the scheme"),
            ("\"Digest\"", 0, "a scheme or parameter"),
        ] {
            assert_eq!(entries(value), Err(AuthError::Malformed { at, expected }), "{value}");
        }
    }

    #[test]
    fn a_parameter_given_twice_is_an_error_in_any_case() {
        let error = entries(r#"Digest nonce="a", NONCE="b""#).unwrap_err();
        assert_eq!(error, AuthError::Duplicate { parameter: "NONCE".into() });
    }

    #[test]
    fn the_same_parameter_in_two_challenges_is_no_duplicate() {
        assert_eq!(schemes("Digest a=1, Digest a=1").len(), 2);
    }

    #[test]
    fn challenges_and_parameters_are_limited() {
        let full = vec!["NTLM"; MAX_CHALLENGES].join(",");
        assert_eq!(schemes(&full).len(), MAX_CHALLENGES);
        let more = format!("{full},NTLM");
        assert_eq!(entries(&more), Err(AuthError::TooMany { what: "challenges", limit: MAX_CHALLENGES }));
        let many: Vec<_> = (0..=MAX_PARAMETERS).map(|n| format!("p{n}=1")).collect();
        let error = params(&many.join(",")).unwrap_err();
        assert_eq!(error, AuthError::TooMany { what: "parameters", limit: MAX_PARAMETERS });
        assert_eq!(params(&many[1..].join(",")).unwrap().len(), MAX_PARAMETERS);
    }
}
