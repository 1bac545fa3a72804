//! Selectors and what may stand behind an expression: ranges, subqueries, `offset`, `@`, and durations with arithmetic.

use model::Time;
use model::labels::METRIC_NAME;

use super::{Deep, PATTERNS_MAX, Parser, shortened};
use crate::ast::{
    At, BinaryOp, DurationExpr, DurationKind, Edges, Expr, ExprKind, MatrixSelector, Number, Shift, Span, Subquery,
    VectorSelector,
};
use crate::error::ParseErrorKind;
use crate::function::nearest;
use crate::lexer::{Mistake, TokenKind};
use crate::source::{MatchOp, Matcher};

/// The largest duration in seconds: what fits Prometheus' nanoseconds.
const SECONDS_MAX: f64 = 9_223_372_036.0;

impl Parser<'_> {
    /// Something and its ranges and modifiers, which bind stronger than any operator.
    pub(super) fn postfixed(&mut self) -> Result<Deep, Mistake> {
        let (mut expr, mut levels) = self.primary()?;
        loop {
            match self.kind() {
                TokenKind::LeftBracket => {
                    (expr, levels) = self.ranged(expr, levels)?;
                    self.limit_depth(levels, expr.span)?;
                }
                TokenKind::At => self.pin(&mut expr)?,
                TokenKind::Word => match self.word().as_str() {
                    "offset" => self.offset(&mut expr)?,
                    "anchored" => self.edges(&mut expr, Edges::Anchored)?,
                    "smoothed" => self.edges(&mut expr, Edges::Smoothed)?,
                    _ => return Ok((expr, levels)),
                },
                _ => return Ok((expr, levels)),
            }
        }
    }

    pub(super) fn vector_selector(&mut self) -> Result<Deep, Mistake> {
        let start = self.token();
        let mut span = start.span;
        let mut name = None;
        let mut matchers = Vec::new();
        if start.kind != TokenKind::LeftBrace {
            self.take();
            name = Some(self.text_of(start).to_string());
        }
        if self.kind() == TokenKind::LeftBrace {
            self.take();
            span = span.to(self.matchers(&mut matchers)?);
        }
        if let Some(name) = &name {
            if let Some(twice) = matchers.iter().find(|matcher: &&Matcher| matcher.name == METRIC_NAME) {
                let message = format!("the metric's name is set twice: `{}` and `{}`", shortened(name), shortened(&twice.value));
                return self.wrong(ParseErrorKind::Meaning, span, message);
            }
            matchers.push(self.matcher(METRIC_NAME, MatchOp::Equal, name, span)?);
        }
        if !std::mem::take(&mut self.lenient) && matchers.iter().all(|matcher| matcher.matches("")) {
            let hint = Some("name a metric, or give one label a value that is not empty".to_string());
            return Err((ParseErrorKind::Meaning, span, "this selector would match every series".into(), hint));
        }
        let selector = VectorSelector { name, matchers, shift: Shift::default(), edges: None, span };
        Ok((Expr { kind: ExprKind::Vector(Box::new(selector)), span }, 1))
    }

    /// What stands in braces, the opening one taken already; returns where the closing one stands.
    fn matchers(&mut self, into: &mut Vec<Matcher>) -> Result<Span, Mistake> {
        let mut named: Option<Span> = None;
        loop {
            let token = self.token();
            let name = match token.kind {
                TokenKind::RightBrace => return Ok(self.take().span),
                TokenKind::Word => self.text_of(token).to_string(),
                TokenKind::String => self.unquoted(token)?,
                _ => return self.unexpected("a label or `}`"),
            };
            self.take();
            let op = match self.kind() {
                TokenKind::Equal => Some(MatchOp::Equal),
                TokenKind::NotEqual => Some(MatchOp::NotEqual),
                TokenKind::EqualRegex => Some(MatchOp::Regex),
                TokenKind::NotRegex => Some(MatchOp::NotRegex),
                TokenKind::Comma | TokenKind::RightBrace if token.kind == TokenKind::String => None,
                _ => return self.unexpected("`=`, `!=`, `=~` or `!~`"),
            };
            if let Some(op) = op {
                self.take();
                let value_token = self.token();
                if value_token.kind != TokenKind::String {
                    return self.unexpected("a quoted value");
                }
                let value = self.unquoted(value_token)?;
                self.take();
                into.push(self.matcher(&name, op, &value, token.span.to(value_token.span))?);
            } else {
                if named.is_some() || name.is_empty() {
                    return self.wrong(ParseErrorKind::Meaning, token.span, "the metric's name is empty or set twice");
                }
                named = Some(token.span);
                into.push(self.matcher(METRIC_NAME, MatchOp::Equal, &name, token.span)?);
            }
            if self.kind() != TokenKind::RightBrace {
                self.expect(TokenKind::Comma, "`,` or `}`")?;
            }
        }
    }

    fn matcher(&mut self, name: &str, op: MatchOp, value: &str, span: Span) -> Result<Matcher, Mistake> {
        if name.is_empty() {
            return self.wrong(ParseErrorKind::Meaning, span, "a label's name can't be empty");
        }
        self.patterns += usize::from(matches!(op, MatchOp::Regex | MatchOp::NotRegex));
        if self.patterns > PATTERNS_MAX {
            let message = format!("the query has more than {PATTERNS_MAX} regular expressions");
            return self.wrong(ParseErrorKind::Limit, span, message);
        }
        Matcher::new(name, op, value).map_err(|error| {
            let reason = match *error {
                regex::Error::CompiledTooBig(_) => "it grows too large".to_string(),
                ref other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_string(),
            };
            (ParseErrorKind::Meaning, span, format!("`{}` is no regular expression: {reason}", shortened(value)), None)
        })
    }

    /// `[5m]`, `[1h:5m]` or `[1h:]`.
    fn ranged(&mut self, expr: Expr, levels: u32) -> Result<Deep, Mistake> {
        let open = self.take();
        let range = self.positive_duration()?;
        if self.accept(TokenKind::Colon).is_some() {
            let step = if self.kind() == TokenKind::RightBracket { None } else { Some(self.positive_duration()?) };
            let close = self.expect(TokenKind::RightBracket, "`]`")?;
            let span = expr.span.to(close.span);
            super::check::subquery(&expr)?;
            let subquery = Subquery { expr, range, step, shift: Shift::default() };
            return Ok((Expr { kind: ExprKind::Subquery(Box::new(subquery)), span }, levels + 1));
        }
        let close = self.expect(TokenKind::RightBracket, "`:` or `]`")?;
        let brackets = open.span.to(close.span);
        let span = expr.span.to(close.span);
        match expr.kind {
            ExprKind::Vector(selector) if selector.shift == Shift::default() && selector.edges.is_none() => {
                Ok((Expr { kind: ExprKind::Matrix(Box::new(MatrixSelector { selector: *selector, range })), span }, levels))
            }
            ExprKind::Vector(_) => {
                self.wrong(ParseErrorKind::Meaning, brackets, "the range stands before `offset` and `@`, not behind them")
            }
            _ => {
                let message = "a range can only stand behind a selector".to_string();
                Err((ParseErrorKind::Type, brackets, message, Some("for an expression write a subquery: [5m:1m]".into())))
            }
        }
    }

    fn shift_of(expr: &mut Expr) -> Option<&mut Shift> {
        match &mut expr.kind {
            ExprKind::Vector(selector) => Some(&mut selector.shift),
            ExprKind::Matrix(matrix) => Some(&mut matrix.selector.shift),
            ExprKind::Subquery(subquery) => Some(&mut subquery.shift),
            _ => None,
        }
    }

    fn misplaced<T>(&self, span: Span, what: &str) -> Result<T, Mistake> {
        let hint = Some("put it inside, behind the selector".to_string());
        let message = format!("`{what}` can only stand behind a selector, a range or a subquery");
        Err((ParseErrorKind::Type, span, message, hint))
    }

    fn offset(&mut self, expr: &mut Expr) -> Result<(), Mistake> {
        let word = self.take();
        let offset = self.offset_duration()?;
        let end = offset.span;
        let Some(shift) = Self::shift_of(expr) else { return self.misplaced(word.span, "offset") };
        if shift.offset.is_some() {
            return self.wrong(ParseErrorKind::Meaning, word.span, "`offset` is set twice");
        }
        shift.offset = Some(offset);
        expr.span = expr.span.to(end);
        Ok(())
    }

    fn pin(&mut self, expr: &mut Expr) -> Result<(), Mistake> {
        let sign = self.take();
        let token = self.token();
        let (at, end) = match self.word().as_str() {
            word @ ("start" | "end") => {
                let at = if word == "start" { At::Start } else { At::End };
                self.take();
                self.expect(TokenKind::LeftParen, "`()`")?;
                (at, self.expect(TokenKind::RightParen, "`)`")?.span)
            }
            _ => {
                let negative = self.accept(TokenKind::Minus).is_some();
                if !negative {
                    self.accept(TokenKind::Plus);
                }
                let number = self.token().span;
                if !matches!(self.kind(), TokenKind::Number | TokenKind::Duration | TokenKind::Word) {
                    return self.unexpected("a time in seconds, `start()` or `end()`");
                }
                let Ok(Number { value, .. }) = self.number() else {
                    let hint = nearest(self.text_of(token), ["start", "end"].into_iter())
                        .map(|near| format!("did you mean `{near}()`?"));
                    let (kind, span, message, _) = self.unexpected::<()>("a time in seconds, `start()` or `end()`").unwrap_err();
                    return Err((kind, span, message, hint));
                };
                let seconds = if negative { -value } else { value };
                // Milliseconds in 64 bits, times 1,000 for ours.
                if !seconds.is_finite() || seconds.abs() >= 9.2e12 {
                    return self.wrong(ParseErrorKind::Meaning, number, "the time behind `@` is out of range");
                }
                (At::Time(Time::from_secs_f64(seconds)), number)
            }
        };
        let Some(shift) = Self::shift_of(expr) else { return self.misplaced(sign.span, "@") };
        if shift.at.is_some() {
            return self.wrong(ParseErrorKind::Meaning, sign.span, "`@` is set twice");
        }
        shift.at = Some(at);
        expr.span = expr.span.to(end);
        Ok(())
    }

    fn edges(&mut self, expr: &mut Expr, edges: Edges) -> Result<(), Mistake> {
        let word = self.take();
        let selector = match &mut expr.kind {
            ExprKind::Vector(selector) => selector,
            ExprKind::Matrix(matrix) => &mut matrix.selector,
            _ => {
                return self.wrong(
                    ParseErrorKind::Type,
                    word.span,
                    "`anchored` and `smoothed` can only stand behind a selector or a range",
                );
            }
        };
        if selector.edges.is_some() {
            return self.wrong(ParseErrorKind::Meaning, word.span, "`anchored` or `smoothed` is set twice");
        }
        selector.edges = Some(edges);
        expr.span = expr.span.to(word.span);
        Ok(())
    }

    fn positive_duration(&mut self) -> Result<DurationExpr, Mistake> {
        let duration = self.duration(0)?;
        if matches!(duration.kind, DurationKind::Number(number) if number.value <= 0.0) {
            return self.wrong(ParseErrorKind::Meaning, duration.span, "a duration here must be greater than 0");
        }
        Ok(duration)
    }

    /// Behind `offset`, arithmetic needs parentheses: `x offset -2 ^ 2` is `(x offset -2) ^ 2`.
    fn offset_duration(&mut self) -> Result<DurationExpr, Mistake> {
        self.duration(u8::MAX)
    }

    /// A duration whose operators bind stronger than `floor`.
    fn duration(&mut self, floor: u8) -> Result<DurationExpr, Mistake> {
        self.enter()?;
        let mut lhs = self.duration_prefixed(floor)?;
        let mut chain = 0;
        while let Some(op) = self.operator().filter(|op| matches!(op.binding(), 4..=6) && *op != BinaryOp::Atan2) {
            let binding = op.binding();
            if binding <= floor {
                break;
            }
            chain += 1;
            self.limit_depth(self.depth + chain, self.token().span)?;
            self.take();
            let rhs = self.duration(if op == BinaryOp::Pow { binding - 1 } else { binding })?;
            let span = lhs.span.to(rhs.span);
            lhs = DurationExpr { kind: DurationKind::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs) }, span };
        }
        self.depth -= 1;
        Ok(lhs)
    }

    fn duration_prefixed(&mut self, floor: u8) -> Result<DurationExpr, Mistake> {
        let token = self.token();
        match token.kind {
            TokenKind::Plus | TokenKind::Minus => {
                self.take();
                let negative = token.kind == TokenKind::Minus;
                let of = self.duration(floor.max(BinaryOp::Mul.binding()))?;
                let span = token.span.to(of.span);
                if let DurationKind::Number(mut number) = of.kind {
                    number.value = if negative { -number.value } else { number.value };
                    return Ok(DurationExpr { kind: DurationKind::Number(number), span });
                }
                Ok(DurationExpr { kind: DurationKind::Unary { negative, of: Box::new(of) }, span })
            }
            TokenKind::LeftParen => {
                self.take();
                let of = self.duration(0)?;
                let close = self.expect(TokenKind::RightParen, "an operator or `)`")?;
                Ok(DurationExpr { kind: DurationKind::Paren(Box::new(of)), span: token.span.to(close.span) })
            }
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number()?;
                if !number.value.is_finite() || number.value.abs() > SECONDS_MAX {
                    return self.wrong(ParseErrorKind::Meaning, token.span, "the duration is out of range");
                }
                Ok(DurationExpr { kind: DurationKind::Number(number), span: token.span })
            }
            TokenKind::Word => self.duration_word(),
            _ => self.unexpected("a duration"),
        }
    }

    fn duration_word(&mut self) -> Result<DurationExpr, Mistake> {
        let start = self.token().span;
        let word = self.word();
        match word.as_str() {
            "step" | "range" => {
                self.take();
                self.expect(TokenKind::LeftParen, "`()`")?;
                let close = self.expect(TokenKind::RightParen, "`)`")?;
                let kind = if word == "step" { DurationKind::Step } else { DurationKind::Range };
                Ok(DurationExpr { kind, span: start.to(close.span) })
            }
            "min_of" | "max_of" => {
                self.take();
                self.expect(TokenKind::LeftParen, "`(`")?;
                let lhs = Box::new(self.duration(0)?);
                self.expect(TokenKind::Comma, "`,`")?;
                let rhs = Box::new(self.duration(0)?);
                let close = self.expect(TokenKind::RightParen, "`)`")?;
                Ok(DurationExpr { kind: DurationKind::Pick { max: word == "max_of", lhs, rhs }, span: start.to(close.span) })
            }
            _ => self.unexpected("a duration, `step()` or `range()`"),
        }
    }
}
