//! The words of SQL, as far as its text has to be understood here.

/// The words of SQL: without comments and blanks, in lower case but for strings, names without quotes where they need
/// none. A string in dollar quotes is one word, too.
pub fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = dollar_quoted_length(rest) {
            words.push(rest[..length].to_owned());
            length
        } else if first == '\'' {
            let length = quoted_length(rest, '\'');
            words.push(rest[..length].to_owned());
            length
        } else if let Some(close) = closing_quote(first) {
            let length = quoted_length(rest, close);
            words.push(name(&rest[..length], close));
            length
        } else {
            let length = run_length(rest, first);
            words.push(rest[..length].to_lowercase());
            length
        };
        rest = &rest[length..];
    }
    words
}

fn closing_quote(open: char) -> Option<char> {
    match open {
        '"' => Some('"'),
        '`' => Some('`'),
        '[' => Some(']'),
        _ => None,
    }
}

/// Up to the quote that closes; one that is doubled stands for itself.
fn quoted_length(text: &str, close: char) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == close {
            match characters.peek() {
                Some((_, next)) if *next == close => drop(characters.next()),
                _ => return at + close.len_utf8(),
            }
        }
    }
    text.len()
}

fn name(quoted: &str, close: char) -> String {
    let end = quoted.len().saturating_sub(1).max(1);
    let inner = quoted.get(1..end).unwrap_or_default();
    let inner = inner.replace(&format!("{close}{close}"), &close.to_string());
    quote(&inner.to_lowercase())
}

/// A name as SQL writes it: in quotes where it needs quotes.
pub fn quote(name: &str) -> String {
    let is_plain = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|one| one.is_alphanumeric() || one == '_');
    match is_plain {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

fn run_length(text: &str, first: char) -> usize {
    let is_word = |one: char| one.is_alphanumeric() || matches!(one, '_' | '.' | '$');
    let is_operator = |one: char| matches!(one, '<' | '>' | '=' | '!' | '|');
    let belongs: &dyn Fn(char) -> bool = if is_word(first) {
        &is_word
    } else if is_operator(first) {
        &is_operator
    } else {
        return first.len_utf8();
    };
    text.find(|one| !belongs(one)).unwrap_or(text.len())
}

/// `$tag$ … $tag$`, as PostgreSQL quotes the bodies of functions.
fn dollar_quoted_length(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('$')?;
    let (tag, _) = rest.split_once('$')?;
    let is_tag = tag.chars().all(|one| one.is_alphanumeric() || one == '_');
    let open = &text[..tag.len() + 2];
    let body = &text[open.len()..];
    is_tag.then(|| {
        body.find(open)
            .map_or(text.len(), |end| end + 2 * open.len())
    })
}
