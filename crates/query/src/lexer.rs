//! Cuts the text of a query into tokens. Knows brackets and braces, because words and colons mean other things there.
//!
//! Never allocates per token: a token is a kind and a span.

use crate::ast::Span;
use crate::error::ParseErrorKind;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A word; a keyword is a word too, the parser decides by place.
    Word,
    /// A word with a colon: only a metric can have it.
    Metric,
    Number,
    Duration,
    /// A quoted string, with its quotes.
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    At,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Caret,
    Equal,
    EqualEqual,
    NotEqual,
    EqualRegex,
    NotRegex,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    TrimUpper,
    TrimLower,
    End,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

/// A mistake of the lexer: kind, place, sentence, hint.
pub(crate) type Mistake = (ParseErrorKind, Span, String, Option<String>);

/// All tokens of the text; the last is [`TokenKind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut lexer = Lexer { text, at: 0, in_braces: false, in_brackets: false, out: Vec::with_capacity(text.len() / 3 + 1) };
    while lexer.next()? {}
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    in_braces: bool,
    in_brackets: bool,
    out: Vec<Token>,
}

impl Lexer<'_> {
    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn wrong<T>(&self, start: usize, end: usize, message: impl Into<String>, hint: Option<&str>) -> Result<T, Mistake> {
        Err((ParseErrorKind::Lexical, Span::new(start, end), message.into(), hint.map(str::to_string)))
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        self.out.push(Token { kind, span: Span::new(start, self.at) });
    }

    /// Reads one token; false behind the last.
    fn next(&mut self) -> Result<bool, Mistake> {
        self.skip_blank();
        let start = self.at;
        if start >= self.text.len() {
            self.push(TokenKind::End, start);
            return Ok(false);
        }
        let byte = self.byte(0);
        match byte {
            b'"' | b'\'' | b'`' => self.string(byte)?,
            b'0'..=b'9' => self.number()?,
            b'.' if self.byte(1).is_ascii_digit() => self.number()?,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(),
            b':' if !self.in_brackets && !self.in_braces && (is_word(self.byte(1)) || self.byte(1) == b':') => self.word(),
            _ => self.sign(byte)?,
        }
        Ok(true)
    }

    fn skip_blank(&mut self) {
        loop {
            match self.byte(0) {
                b' ' | b'\t' | b'\n' | b'\r' if self.at < self.text.len() => self.at += 1,
                b'#' => {
                    let rest = &self.text.as_bytes()[self.at..];
                    self.at += rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    fn sign(&mut self, byte: u8) -> Result<(), Mistake> {
        let start = self.at;
        let (kind, len) = match (byte, self.byte(1)) {
            (b'(', _) => (TokenKind::LeftParen, 1),
            (b')', _) => (TokenKind::RightParen, 1),
            (b'{', _) => (TokenKind::LeftBrace, 1),
            (b'}', _) => (TokenKind::RightBrace, 1),
            (b'[', _) => (TokenKind::LeftBracket, 1),
            (b']', _) => (TokenKind::RightBracket, 1),
            (b',', _) => (TokenKind::Comma, 1),
            (b':', _) => (TokenKind::Colon, 1),
            (b'@', _) => (TokenKind::At, 1),
            (b'+', _) => (TokenKind::Plus, 1),
            (b'-', _) => (TokenKind::Minus, 1),
            (b'*', _) => (TokenKind::Star, 1),
            (b'/', _) => (TokenKind::Slash, 1),
            (b'%', _) => (TokenKind::Percent, 1),
            (b'^', _) => (TokenKind::Caret, 1),
            (b'=', b'=') if !self.in_braces => (TokenKind::EqualEqual, 2),
            (b'=', b'~') => (TokenKind::EqualRegex, 2),
            (b'=', _) => (TokenKind::Equal, 1),
            (b'!', b'=') => (TokenKind::NotEqual, 2),
            (b'!', b'~') => (TokenKind::NotRegex, 2),
            (b'<', b'=') => (TokenKind::LessEqual, 2),
            (b'<', b'/') => (TokenKind::TrimUpper, 2),
            (b'<', _) => (TokenKind::Less, 1),
            (b'>', b'=') => (TokenKind::GreaterEqual, 2),
            (b'>', b'/') => (TokenKind::TrimLower, 2),
            (b'>', _) => (TokenKind::Greater, 1),
            _ => {
                let odd = self.text[start..].chars().next().unwrap_or(' ');
                let hint = match odd {
                    '!' => Some("write `unless` or `!=`"),
                    '&' => Some("write `and`"),
                    '|' => Some("write `or`"),
                    '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}' => Some("use straight quotes"),
                    _ if odd.is_alphabetic() => Some("quote names beyond ASCII in braces: {\"name\"}"),
                    _ => None,
                };
                return self.wrong(start, start + odd.len_utf8(), format!("`{odd}` has no meaning here"), hint);
            }
        };
        match kind {
            TokenKind::LeftBrace => self.in_braces = true,
            TokenKind::RightBrace => self.in_braces = false,
            TokenKind::LeftBracket => self.in_brackets = true,
            TokenKind::RightBracket => self.in_brackets = false,
            _ => {}
        }
        self.at += len;
        self.push(kind, start);
        Ok(())
    }

    fn word(&mut self) {
        let start = self.at;
        let colon_too = !self.in_brackets && !self.in_braces;
        while is_word(self.byte(0)) || colon_too && self.byte(0) == b':' {
            self.at += 1;
        }
        let kind = if self.text[start..self.at].contains(':') { TokenKind::Metric } else { TokenKind::Word };
        self.push(kind, start);
    }

    fn string(&mut self, quote: u8) -> Result<(), Mistake> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.byte(0) {
                _ if self.at >= self.text.len() => break,
                b'\n' if quote != b'`' => break,
                b'\\' if quote != b'`' => self.at += 2,
                byte => {
                    self.at += 1;
                    if byte == quote {
                        self.push(TokenKind::String, start);
                        return Ok(());
                    }
                }
            }
        }
        self.wrong(start, (start + 1).min(self.text.len()), "the string that begins here does not end", Some("close the quote"))
    }

    /// A number or a duration. Reads all that could belong to either and then decides, so that the message shows it whole.
    fn number(&mut self) -> Result<(), Mistake> {
        let start = self.at;
        loop {
            match self.byte(0) {
                b'+' | b'-' if self.after_exponent(start) => self.at += 1,
                byte if is_word(byte) || byte == b'.' => self.at += 1,
                _ => break,
            }
        }
        let text = &self.text[start..self.at];
        let kind = if crate::literal::number(text).is_some() {
            TokenKind::Number
        } else if crate::literal::duration(text).is_some() {
            TokenKind::Duration
        } else {
            let hint = "write numbers like 1.5e3, 0x1F or 1_000, durations like 1h30m (units y w d h m s ms, largest first)";
            return self.wrong(
                start,
                self.at,
                format!("`{}` is neither a number nor a duration", text.get(..40).unwrap_or(text)),
                Some(hint),
            );
        };
        self.push(kind, start);
        Ok(())
    }

    fn after_exponent(&self, start: usize) -> bool {
        let so_far = &self.text.as_bytes()[start..self.at];
        let hex = so_far.starts_with(b"0x") || so_far.starts_with(b"0X");
        !hex && so_far.len() > 1 && matches!(so_far.last(), Some(b'e' | b'E')) && self.byte(1).is_ascii_digit()
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
