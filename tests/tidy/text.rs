//! Just enough of Rust's lexing to ask about code: what is comment or literal, where a block ends, where a word
//! stands.

pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Rust text with comments and the insides of string and character literals made blank, byte for byte, so that what
/// remains is code at its old place.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_or_comment_end(bytes, at);
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("blanking whole literals and comments keeps UTF-8 whole")
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
pub(crate) fn literal_or_comment_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let after_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return find(bytes, at + 2, b"*/");
    }
    if rest[0] == b'r' && (!after_word || bytes[at - 1] == b'b') {
        let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
        if rest.get(1 + hashes) == Some(&b'"') {
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            return find(bytes, at + 2 + hashes, &close);
        }
    }
    match rest[0] {
        b'"' => quoted_end(bytes, at, b'"'),
        // 'a' and '\n' are characters, 'a without a closing quote is a lifetime.
        b'\'' if rest.get(1) == Some(&b'\\') => quoted_end(bytes, at, b'\''),
        b'\'' => {
            let text = std::str::from_utf8(&rest[1..]).unwrap_or("");
            let width = text.chars().next().map_or(0, char::len_utf8);
            let closed = width > 0 && rest.get(1 + width) == Some(&b'\'');
            if closed { at + 2 + width } else { at }
        }
        _ => at,
    }
}

pub(crate) fn find(bytes: &[u8], from: usize, needle: &[u8]) -> usize {
    let found = bytes[from..]
        .windows(needle.len())
        .position(|window| window == needle);
    found.map_or(bytes.len(), |n| from + n + needle.len())
}

pub(crate) fn quoted_end(bytes: &[u8], open: usize, quote: u8) -> usize {
    let mut at = open + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// Where the block that opens at `open` (a `{`) ends, one past its `}`.
pub(crate) fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Every place where `word` stands as a word of its own (or as a path that ends there).
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).filter_map(move |(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(part);
        let after = code[at + word.len()..].chars().next().is_some_and(part);
        (!before && !after).then_some(at)
    })
}

/// `code` with the insides of `#[cfg(test)] mod name { ... }` made blank.
pub(crate) fn without_test_modules(code: &str) -> String {
    let mut out = code.to_owned();
    for (at, mark) in code.match_indices("#[cfg(test)]") {
        let rest = &code[at + mark.len()..];
        let Some(open) = rest
            .find(['{', ';'])
            .filter(|n| rest.as_bytes()[*n] == b'{')
        else {
            continue;
        };
        if words(&rest[..open], "mod").next().is_some() {
            let open = at + mark.len() + open;
            let end = block_end(code, open);
            let blank: String = code[open..end]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' })
                .collect();
            out.replace_range(open..end, &blank);
        }
    }
    out
}

/// The first segments of the paths that follow `crate::`: one for `a::b`, two for `{a::b, c}`.
pub(crate) fn path_heads(rest: &str) -> Vec<&str> {
    let head = |text: &str| {
        text.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![&rest[..head(rest)]];
    };
    let end = block_end(rest, 0) - 2;
    let (mut heads, mut depth, mut start) = (Vec::new(), 0usize, 0usize);
    for (at, byte) in group.bytes().enumerate().take(end + 1) {
        match byte {
            b'{' => depth += 1,
            b'}' if at < end => depth -= 1,
            b',' | b'}' if depth == 0 => {
                let item = group[start..at].trim_start();
                heads.push(&item[..head(item)]);
                start = at + 1;
            }
            _ => {}
        }
    }
    heads.retain(|name| !name.is_empty());
    heads
}
