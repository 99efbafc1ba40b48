//! What of a Rust text is code: enough of the language's lexer to tell it from comments and literals.

/// The text with comments and the insides of literals as spaces; lines keep their numbers.
pub(crate) fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        if let Some(end) = end_of_prose(&chars, at) {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { c } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// How many lines precede the test module at the end of the text: all of them where there is none.
pub(crate) fn tests_begin(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |&at: &usize| {
        lines[at] == "#[cfg(test)]" && lines[at..].iter().take(4).any(|line| line.starts_with("mod tests"))
    };
    (0..lines.len()).rev().find(begins).unwrap_or(lines.len())
}

/// The words of a line: identifiers and keywords, where the line is code.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

/// Where the comment or literal that begins at `at` ends, if one does.
fn end_of_prose(chars: &[char], at: usize) -> Option<usize> {
    let next = |offset: usize| chars.get(at + offset).copied();
    match (chars[at], next(1)) {
        ('/', Some('/')) => Some(find(chars, at, &['\n']).unwrap_or(chars.len())),
        ('/', Some('*')) => Some(end_of_block_comment(chars, at)),
        ('"', _) => Some(end_of_quoted(chars, at + 1, '"')),
        ('\'', Some('\\')) => Some(end_of_quoted(chars, at + 1, '\'')),
        ('\'', Some(_)) if next(2) == Some('\'') => Some(at + 3), // else it is a lifetime
        ('r', Some('"' | '#')) => end_of_raw(chars, at),
        _ => None,
    }
}

fn end_of_block_comment(chars: &[char], begin: usize) -> usize {
    let (mut depth, mut at) = (0, begin);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => depth += 1,
            ('*', Some('/')) => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn end_of_quoted(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `r"..."` and `r#"..."#`, also after `b` or `c`; not the end of a longer word, nor `r#name`.
fn end_of_raw(chars: &[char], at: usize) -> Option<usize> {
    let before: String = chars[..at].iter().rev().take_while(|&&c| is_word(c)).collect();
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let quoted = chars.get(at + 1 + hashes) == Some(&'"');
    if !quoted || !matches!(before.as_str(), "" | "b" | "c") {
        return None;
    }
    let mut close = vec!['"'];
    close.resize(1 + hashes, '#');
    Some(find(chars, at + 2 + hashes, &close).map_or(chars.len(), |begin| begin + close.len()))
}

fn find(chars: &[char], from: usize, what: &[char]) -> Option<usize> {
    chars[from..].windows(what.len()).position(|window| window == what).map(|offset| from + offset)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn comments_and_literals_are_blanked() {
    for (text, left) in [
        ("a // b", "a"),
        ("a /* b /* c */ d */ e", "a e"),
        (r#"f("b \" c", d)"#, "f( , d)"),
        (r##"f(r#"b " c"#, br"\", d)"##, "f( , b , d)"),
        (r"f('\'', 'x', '/', &'a str)", "f( , , , &'a str)"),
        ("let r = r#type;", "let r = r#type;"),
        ("unclosed \"b", "unclosed"),
    ] {
        let code: Vec<String> = blank(text).split_whitespace().map(str::to_owned).collect();
        assert_eq!(code.join(" "), left, "{text}");
    }
    assert_eq!(blank("a\n\"b\nc\"\nd").lines().count(), 4);
}

#[test]
fn tests_at_the_end_are_found() {
    assert_eq!(tests_begin("fn a() {}\n#[cfg(test)]\nmod tests {\n}\n"), 1);
    assert_eq!(tests_begin("fn a() {}\n#[cfg(test)]\nfn only_in_tests() {}\n"), 3);
}
