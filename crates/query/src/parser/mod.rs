//! The parser: tokens to a checked tree, by operator precedence.
//!
//! Refuses texts over [`TEXT_MAX`] bytes and trees over [`DEPTH_MAX`] levels before they can cost memory or stack. Every
//! tree that it gives out has passed the type check.

mod check;
mod primary;
mod selector;

use crate::ast::{Binary, BinaryOp, Cardinality, Expr, ExprKind, Matching, Span, Unary};
use crate::error::{ParseError, ParseErrorKind};
use crate::features::{Experimental, Features, first_refused};
use crate::function::{KEYWORDS, nearest};
use crate::lexer::{self, Mistake, Token, TokenKind};

/// Longest text of a query, in bytes.
pub const TEXT_MAX: usize = 1 << 20;
/// Most levels of a query's tree, a chain of operators counted link by link.
pub const DEPTH_MAX: u32 = 200;
/// Most levels of parentheses, calls and signs: a level of these takes the most stack. A thread of 2 MiB overflowed between
/// 140 and 190 without optimisation.
pub const NESTING_MAX: u32 = 120;

/// Most regular expressions in a query: each may take 1 MiB and some milliseconds to compile.
pub const PATTERNS_MAX: usize = 200;

/// Words that can't be a metric's name where an expression begins.
const RESERVED: [&str; 6] = ["bool", "on", "ignoring", "group_left", "group_right", "atan2"];

/// Parses and checks a query, the experimental parts of the language allowed.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, &Features::ALL)
}

/// Parses and checks a query. An experimental part that is not allowed is refused at its place, with the feature's name.
pub fn parse_with(text: &str, allowed: &Features) -> Result<Expr, ParseError> {
    let located = |(kind, span, message, hint): Mistake| {
        let (line, column) = span.line_column(text);
        ParseError { kind, message, hint, span, line, column }
    };
    if text.len() > TEXT_MAX {
        let message = format!("the query is {} bytes long, {TEXT_MAX} at most", text.len());
        return Err(located((ParseErrorKind::Limit, Span::default(), message, None)));
    }
    let tokens = lexer::tokens(text).map_err(located)?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0, lenient: false, patterns: 0 };
    let expr = parser.whole().map_err(located)?;
    match first_refused(&expr, allowed) {
        None => Ok(expr),
        Some(Experimental { span, what, feature }) => {
            let message = format!("not enabled here, since it is experimental: {what}");
            let hint = format!("`--enable-feature={feature}` allows it");
            Err(located((ParseErrorKind::Experimental, span, message, Some(hint))))
        }
    }
}

/// An expression and how many levels it has.
type Deep = (Expr, u32);

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    /// The next selector may match every series: it only picks labels, for `info`.
    lenient: bool,
    /// Regular expressions so far.
    patterns: usize,
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Result<Expr, Mistake> {
        if self.kind() == TokenKind::End {
            return Err((ParseErrorKind::Unexpected, self.token().span, "the query is empty".into(), None));
        }
        let (expr, _) = self.expression(0)?;
        if self.kind() != TokenKind::End {
            return self.unexpected("an operator or the end");
        }
        Ok(expr)
    }

    fn token(&self) -> Token {
        self.tokens[self.at]
    }

    fn kind(&self) -> TokenKind {
        self.token().kind
    }

    fn kind_after(&self, ahead: usize) -> TokenKind {
        self.tokens.get(self.at + ahead).map_or(TokenKind::End, |token| token.kind)
    }

    fn take(&mut self) -> Token {
        let token = self.token();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        token
    }

    fn accept(&mut self, kind: TokenKind) -> Option<Token> {
        (self.kind() == kind).then(|| self.take())
    }

    fn expect(&mut self, kind: TokenKind, wanted: &str) -> Result<Token, Mistake> {
        match self.accept(kind) {
            Some(token) => Ok(token),
            None => self.unexpected(wanted),
        }
    }

    fn text_of(&self, token: Token) -> &'a str {
        token.span.of(self.text)
    }

    /// The word at hand in lower case, empty where there is none.
    fn word(&self) -> String {
        if self.kind() == TokenKind::Word { self.text_of(self.token()).to_ascii_lowercase() } else { String::new() }
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.kind() == TokenKind::Word && self.text_of(self.token()).eq_ignore_ascii_case(word);
        if found {
            self.take();
        }
        found
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T, Mistake> {
        let token = self.token();
        let shown = shortened(self.text_of(token));
        let message = match token.kind {
            TokenKind::End => format!("the query ends where {wanted} was expected"),
            _ => format!("`{shown}` stands where {wanted} was expected"),
        };
        let open_paren = token.kind == TokenKind::End
            && self.tokens.iter().filter(|token| token.kind == TokenKind::LeftParen).count()
                > self.tokens.iter().filter(|token| token.kind == TokenKind::RightParen).count();
        let hint = if open_paren {
            Some("a `(` is not closed".to_string())
        } else if token.kind == TokenKind::Word {
            let known = KEYWORDS.iter().map(|(word, _)| *word).filter(|word| *word != shown);
            nearest(&shown, known).map(|word| format!("did you mean `{word}`?"))
        } else {
            None
        };
        Err((ParseErrorKind::Unexpected, token.span, message, hint))
    }

    fn wrong<T>(&self, kind: ParseErrorKind, span: Span, message: impl Into<String>) -> Result<T, Mistake> {
        Err((kind, span, message.into(), None))
    }

    /// One level deeper into parentheses, calls and signs.
    fn enter(&mut self) -> Result<(), Mistake> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            let message = format!("the query is nested more than {NESTING_MAX} levels deep");
            return self.wrong(ParseErrorKind::Limit, self.token().span, message);
        }
        Ok(())
    }

    fn limit_depth(&self, levels: u32, span: Span) -> Result<(), Mistake> {
        if levels > DEPTH_MAX {
            return self.wrong(ParseErrorKind::Limit, span, format!("the query has more than {DEPTH_MAX} levels of operators"));
        }
        Ok(())
    }

    /// An expression whose operators bind stronger than `floor`.
    fn expression(&mut self, floor: u8) -> Result<Deep, Mistake> {
        self.enter()?;
        let (mut lhs, mut levels) = self.prefixed()?;
        while let Some(op) = self.operator() {
            let binding = op.binding();
            if binding <= floor {
                break;
            }
            let op_span = self.take().span;
            let (return_bool, matching) = self.matching()?;
            // `^` alone groups to the right.
            let (rhs, rhs_levels) = self.expression(if op == BinaryOp::Pow { binding - 1 } else { binding })?;
            levels = levels.max(rhs_levels) + 1;
            let span = lhs.span.to(rhs.span);
            self.limit_depth(levels, span)?;
            let binary = Binary { op, lhs, rhs, return_bool, matching, op_span };
            check::binary(&binary, span)?;
            lhs = Expr { kind: ExprKind::Binary(Box::new(binary)), span };
        }
        self.depth -= 1;
        Ok((lhs, levels))
    }

    fn operator(&self) -> Option<BinaryOp> {
        Some(match self.kind() {
            TokenKind::Plus => BinaryOp::Add,
            TokenKind::Minus => BinaryOp::Sub,
            TokenKind::Star => BinaryOp::Mul,
            TokenKind::Slash => BinaryOp::Div,
            TokenKind::Percent => BinaryOp::Mod,
            TokenKind::Caret => BinaryOp::Pow,
            TokenKind::EqualEqual => BinaryOp::Equal,
            TokenKind::NotEqual => BinaryOp::NotEqual,
            TokenKind::Less => BinaryOp::Less,
            TokenKind::LessEqual => BinaryOp::LessEqual,
            TokenKind::Greater => BinaryOp::Greater,
            TokenKind::GreaterEqual => BinaryOp::GreaterEqual,
            TokenKind::TrimUpper => BinaryOp::TrimUpper,
            TokenKind::TrimLower => BinaryOp::TrimLower,
            TokenKind::Word => match self.word().as_str() {
                "and" => BinaryOp::And,
                "or" => BinaryOp::Or,
                "unless" => BinaryOp::Unless,
                "atan2" => BinaryOp::Atan2,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// What may stand between an operator and its right side: `bool`, `on`, `ignoring`, `group_left`, `fill`.
    fn matching(&mut self) -> Result<(bool, Matching), Mistake> {
        let return_bool = self.accept_word("bool");
        let mut matching = Matching::default();
        let mut by_labels = false;
        if self.accept_word("on") {
            matching.on = true;
            by_labels = true;
        } else if self.accept_word("ignoring") {
            by_labels = true;
        }
        if by_labels {
            matching.labels = self.label_list()?;
        }
        let side = match self.word().as_str() {
            "group_left" => Cardinality::ManyToOne,
            "group_right" => Cardinality::OneToMany,
            _ => Cardinality::OneToOne,
        };
        if side != Cardinality::OneToOne {
            let token = self.take();
            if !by_labels {
                let message = format!("`{}` needs `on (...)` or `ignoring (...)` before it", self.text_of(token));
                return self.wrong(ParseErrorKind::Unexpected, token.span, message);
            }
            matching.cardinality = side;
            if self.kind() == TokenKind::LeftParen {
                matching.include = self.label_list()?;
            }
        }
        while self.kind_after(1) == TokenKind::LeftParen {
            let (left, right) = match self.word().as_str() {
                "fill" => (true, true),
                "fill_left" => (true, false),
                "fill_right" => (false, true),
                _ => break,
            };
            let span = self.take().span;
            self.take();
            let sign = if self.accept(TokenKind::Minus).is_some() { -1.0 } else { 1.0 };
            self.accept(TokenKind::Plus);
            let value = sign * self.number()?.value;
            self.expect(TokenKind::RightParen, "`)`")?;
            let twice = left && matching.fill_left.is_some() || right && matching.fill_right.is_some();
            if twice {
                return self.wrong(ParseErrorKind::Meaning, span, "this side is filled twice");
            }
            matching.fill_left = if left { Some(value) } else { matching.fill_left };
            matching.fill_right = if right { Some(value) } else { matching.fill_right };
        }
        Ok((return_bool, matching))
    }

    /// `(a, b, "c.d")`, a comma at the end allowed.
    fn label_list(&mut self) -> Result<Vec<String>, Mistake> {
        self.expect(TokenKind::LeftParen, "`(` and labels")?;
        let mut labels = Vec::new();
        while self.accept(TokenKind::RightParen).is_none() {
            let token = self.token();
            let label = match token.kind {
                TokenKind::Word | TokenKind::Metric => self.text_of(token).to_string(),
                TokenKind::String => self.unquoted(token)?,
                _ => return self.unexpected("a label or `)`"),
            };
            if label.is_empty() {
                return self.wrong(ParseErrorKind::Meaning, token.span, "a label's name can't be empty");
            }
            self.take();
            labels.push(label);
            if self.kind() != TokenKind::RightParen {
                self.expect(TokenKind::Comma, "`,` or `)`")?;
            }
        }
        Ok(labels)
    }

    /// A sign and what it stands before, or something with its ranges and modifiers.
    fn prefixed(&mut self) -> Result<Deep, Mistake> {
        if !matches!(self.kind(), TokenKind::Plus | TokenKind::Minus) {
            return self.postfixed();
        }
        let sign = self.take();
        let negative = sign.kind == TokenKind::Minus;
        // Signs bind like `*`: -2 ^ 2 is -(2 ^ 2).
        let (expr, levels) = self.expression(BinaryOp::Mul.binding())?;
        let span = sign.span.to(expr.span);
        if let ExprKind::Number(mut number) = expr.kind {
            number.value = if negative { -number.value } else { number.value };
            return Ok((Expr { kind: ExprKind::Number(number), span }, levels));
        }
        self.limit_depth(levels + 1, span)?;
        check::unary(&expr)?;
        Ok((Expr { kind: ExprKind::Unary(Box::new(Unary { negative, expr })), span }, levels + 1))
    }
}

/// A piece of the query for a message.
fn shortened(text: &str) -> String {
    const LETTERS: usize = 60;
    match text.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests;
