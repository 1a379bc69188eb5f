//! Finding identifiers and paths in code without literals.

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where `word` stands as a whole identifier.
pub(crate) fn identifiers<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).map(|index| bytes[index]);
        let after = bytes.get(at + word.len()).copied();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Where `name` is called, or named as a path's last segment.
pub(crate) fn calls<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    identifiers(code, name).filter(|at| {
        let after = code[at + name.len()..].trim_start();
        let before = code[..*at].trim_end();
        after.starts_with('(') || before.ends_with("::") || before.ends_with('.')
    })
}

/// Where `owner::name` stands, whatever spaces are between.
pub(crate) fn paths_to<'a>(code: &'a str, owner: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    identifiers(code, owner).filter(move |at| {
        let rest = code[at + owner.len()..].trim_start();
        rest.strip_prefix("::").is_some_and(|rest| identifiers(rest.trim_start(), name).next() == Some(0))
    })
}

/// The paths that begin here: one, or as many as its groups name (`a::{b, c::d}` is `a::b` and `a::c::d`).
pub(crate) fn paths_from(code: &str) -> Vec<String> {
    let mut rest = code;
    let mut path = String::new();
    loop {
        rest = rest.trim_start();
        let length = rest.bytes().take_while(|byte| is_word(*byte)).count();
        path.push_str(&rest[..length]);
        rest = rest[length..].trim_start();
        let Some(after) = rest.strip_prefix("::") else { return vec![path] };
        rest = after.trim_start();
        path.push_str("::");
        if let Some(group) = rest.strip_prefix('{') {
            let members = group_members(group).into_iter().flat_map(paths_from);
            return members.map(|member| format!("{path}{member}")).collect();
        }
    }
}

/// The comma-separated members of a group, up to its closing brace.
fn group_members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0_usize, 0, Vec::new());
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => {
                members.push(&group[start..at]);
                break;
            }
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                members.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members
}
