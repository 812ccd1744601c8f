//! Java's properties syntax: comments, `=` or `:` or white space between key and value, escapes, continuation lines.

/// One entry and the line it begins on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// A `\u` that four hexadecimal digits don't follow, the only thing that Java refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `\\u` needs four hexadecimal digits")]
pub struct BadEscape {
    pub line: usize,
}

/// Reads the text of a properties file. A key that stands there twice is there twice: the last one counts.
pub(super) fn parse(text: &str) -> Result<Vec<Property>, BadEscape> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n').enumerate();
    let mut properties = Vec::new();
    while let Some((index, first)) = lines.next() {
        let mut logical = skip_blank(first).to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while ends_in_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, more)) => logical.push_str(skip_blank(more)),
                None => break,
            }
        }
        let line = index + 1;
        let (key, value) = split(&logical);
        let bad = |()| BadEscape { line };
        properties.push(Property {
            line,
            key: unescape(key).map_err(bad)?,
            value: unescape(value).map_err(bad)?,
        });
    }
    Ok(properties)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn skip_blank(line: &str) -> &str {
    line.trim_start_matches(is_blank)
}

/// An odd number of backslashes at the end: the last one escapes the end of the line.
fn ends_in_continuation(line: &str) -> bool {
    let slashes = line.len() - line.trim_end_matches('\\').len();
    slashes % 2 == 1
}

/// The key ends at the first `=`, `:` or blank that is not escaped; blanks and one `=` or `:` are dropped after it.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find_map(|(at, c)| {
        let ends = !escaped && (is_blank(c) || c == '=' || c == ':');
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    });
    let Some(end) = end else {
        return (line, "");
    };
    let rest = skip_blank(&line[end..]);
    let value = rest.strip_prefix(['=', ':']).map_or(rest, skip_blank);
    (&line[..end], value)
}

fn unescape(text: &str) -> Result<String, ()> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut units = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = if c == '\\' { chars.next() } else { Some(c) };
        let plain = match (c, plain) {
            (_, None) => break,
            ('\\', Some('u')) => {
                units.push(hex_unit(&mut chars)?);
                continue;
            }
            ('\\', Some('t')) => '\t',
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('f')) => '\u{c}',
            (_, Some(other)) => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}

/// Four hexadecimal digits: one UTF-16 unit, half a character where two stand together.
fn hex_unit(chars: &mut std::str::Chars<'_>) -> Result<u16, ()> {
    let digits = chars.as_str().get(..4).ok_or(())?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(());
    }
    *chars = chars.as_str()[4..].chars();
    u16::from_str_radix(digits, 16).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::{BadEscape, parse};

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text)
            .unwrap()
            .into_iter()
            .map(|property| (property.key, property.value))
            .collect()
    }

    #[test]
    fn entries_are_read_as_java_reads_them() {
        let cases = [
            ("a=1", "a", "1"),
            ("  a = 1 ", "a", "1 "),
            ("a:1", "a", "1"),
            ("a 1", "a", "1"),
            ("a\t:\t1", "a", "1"),
            ("a", "a", ""),
            ("a=", "a", ""),
            ("a==1", "a", "=1"),
            ("a=b=c:d", "a", "b=c:d"),
            ("a\\=b=1", "a=b", "1"),
            ("a\\ b=1", "a b", "1"),
            ("a\\:b:1", "a:b", "1"),
            ("a=x\\ty\\nz\\q", "a", "x\ty\nzq"),
            ("a=\\u00e4\\ud83d\\ude00", "a", "ä😀"),
            ("a=1,\\\n   2,\\\r\n\t3", "a", "1,2,3"),
            ("a=1\\\\", "a", "1\\"),
            ("a=1\\", "a", "1"),
            ("a=1 # no comment", "a", "1 # no comment"),
            ("\u{feff}a=1", "a", "1"),
        ];
        for (text, key, value) in cases {
            assert_eq!(
                pairs(text),
                [(key.to_owned(), value.to_owned())],
                "{text:?}"
            );
        }
    }

    #[test]
    fn comments_and_empty_lines_are_nothing() {
        assert!(pairs("# a=1\n! b=2\n\n   \n\t#c=3\r\n").is_empty());
        // A comment is not continued, and a continued line may begin with what looks like one.
        assert_eq!(pairs("#x\\\na=1\\\n#2").len(), 1);
        assert_eq!(pairs("a=1\\\n#2")[0].1, "1#2");
    }

    #[test]
    fn lines_are_counted_where_an_entry_begins() {
        let lines: Vec<_> = parse("\n# x\na=1\\\n2\nb=3\n")
            .unwrap()
            .iter()
            .map(|property| property.line)
            .collect();
        assert_eq!(lines, [3, 5]);
    }

    #[test]
    fn a_broken_escape_names_its_line() {
        assert_eq!(parse("a=1\nb=\\u12g4"), Err(BadEscape { line: 2 }));
        assert_eq!(parse("b=\\u1"), Err(BadEscape { line: 1 }));
        assert_eq!(parse("b=\\u\u{e4}\u{e4}"), Err(BadEscape { line: 1 }));
    }
}
