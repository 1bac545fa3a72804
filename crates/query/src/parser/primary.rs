//! What stands between operators: numbers, strings, parentheses, aggregations, calls, and metrics by their names.

use super::{Deep, Parser, RESERVED, check, shortened};
use crate::ast::{Aggregate, AggregateOp, Call, Expr, ExprKind, Grouping, Number, Span};
use crate::error::ParseErrorKind;
use crate::function::{FUNCTIONS, Function, nearest};
use crate::lexer::{Mistake, Token, TokenKind};
use crate::literal;

impl<'a> Parser<'a> {
    pub(super) fn primary(&mut self) -> Result<Deep, Mistake> {
        let token = self.token();
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number()?;
                Ok((Expr { kind: ExprKind::Number(number), span: token.span }, 1))
            }
            TokenKind::String => {
                let value = self.unquoted(token)?;
                self.take();
                Ok((Expr { kind: ExprKind::String(value), span: token.span }, 1))
            }
            TokenKind::LeftParen => {
                self.take();
                let (inner, levels) = self.expression(0)?;
                let close = self.expect(TokenKind::RightParen, "an operator or `)`")?;
                let span = token.span.to(close.span);
                self.limit_depth(levels + 1, span)?;
                Ok((Expr { kind: ExprKind::Paren(Box::new(inner)), span }, levels + 1))
            }
            TokenKind::LeftBrace | TokenKind::Metric => self.vector_selector(),
            TokenKind::Word => self.named(token),
            _ => self.unexpected("an expression"),
        }
    }

    /// What begins with a word: a number in letters, an aggregation, a function or a metric.
    pub(super) fn named(&mut self, token: Token) -> Result<Deep, Mistake> {
        let name = self.text_of(token);
        if let Some(value) = literal::number(name) {
            self.take();
            return Ok((Expr { kind: ExprKind::Number(Number { value, duration: false }), span: token.span }, 1));
        }
        let called = self.kind_after(1) == TokenKind::LeftParen;
        if let Some(op) = AggregateOp::named(name) {
            let grouped = self.kind_after(1) == TokenKind::Word && self.kind_after(2) == TokenKind::LeftParen && {
                let next = self.text_of(self.tokens[self.at + 1]);
                next.eq_ignore_ascii_case("by") || next.eq_ignore_ascii_case("without")
            };
            if called || grouped {
                return self.aggregate(op);
            }
        }
        if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name)) {
            return self.unexpected("an expression");
        }
        if called { self.call(token, name) } else { self.vector_selector() }
    }

    pub(super) fn aggregate(&mut self, op: AggregateOp) -> Result<Deep, Mistake> {
        let name = self.take();
        let mut grouping = self.grouping()?;
        let open = self.token().span;
        if op == AggregateOp::CountValues {
            self.label_of_count_values()?;
        }
        let (mut args, levels, close) = self.arguments(false)?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let end = self.tokens[self.at - 1].span;
        let span = name.span.to(close).to(end);
        let wanted = if op.parameter().is_some() { 2 } else { 1 };
        if args.len() != wanted {
            let message =
                format!("`{}` takes {wanted} argument{}, not {}", op.text(), if wanted == 1 { "" } else { "s" }, args.len());
            return self.wrong(ParseErrorKind::Type, open.to(close), message);
        }
        let expr = args.pop().expect("counted above");
        let aggregate = Aggregate { op, expr, parameter: args.pop(), grouping: grouping.unwrap_or(Grouping::By(Vec::new())) };
        check::aggregate(&aggregate)?;
        self.limit_depth(levels + 1, span)?;
        Ok((Expr { kind: ExprKind::Aggregate(Box::new(aggregate)), span }, levels + 1))
    }

    /// Says that it is a label's name which is wrong, where the string ahead is no text.
    fn label_of_count_values(&self) -> Result<(), Mistake> {
        let Some(token) = self.tokens.get(self.at + 1).filter(|token| token.kind == TokenKind::String) else { return Ok(()) };
        let text = self.text_of(*token);
        match literal::unquote(text) {
            Err((_, sentence)) if sentence == literal::NOT_UTF8 => {
                let message = format!("invalid label name {}", shortened(text));
                Err((ParseErrorKind::Lexical, token.span, message, None))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn grouping(&mut self) -> Result<Option<Grouping>, Mistake> {
        Ok(if self.accept_word("by") {
            Some(Grouping::By(self.label_list()?))
        } else if self.accept_word("without") {
            Some(Grouping::Without(self.label_list()?))
        } else {
            None
        })
    }

    pub(super) fn call(&mut self, token: Token, name: &str) -> Result<Deep, Mistake> {
        let Some(function) = Function::named(name) else {
            let known = FUNCTIONS.iter().map(|function| function.name).chain(AggregateOp::ALL.map(AggregateOp::text));
            let hint = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
            return Err((
                ParseErrorKind::UnknownFunction,
                token.span,
                format!("there is no function `{}`", shortened(name)),
                hint,
            ));
        };
        self.take();
        let (args, levels, close) = self.arguments(name == "info")?;
        let span = token.span.to(close);
        let call = Call { function, args };
        check::call(&call, span)?;
        self.limit_depth(levels + 1, span)?;
        Ok((Expr { kind: ExprKind::Call(call), span }, levels + 1))
    }

    /// `(a, b)`: the arguments, the levels of the deepest and the closing parenthesis.
    pub(super) fn arguments(&mut self, second_lenient: bool) -> Result<(Vec<Expr>, u32, Span), Mistake> {
        self.expect(TokenKind::LeftParen, "`(`")?;
        let mut args = Vec::new();
        let mut levels = 0;
        if let Some(close) = self.accept(TokenKind::RightParen) {
            return Ok((args, levels, close.span));
        }
        loop {
            self.lenient = second_lenient && args.len() == 1;
            let (arg, arg_levels) = self.expression(0)?;
            levels = levels.max(arg_levels);
            args.push(arg);
            if let Some(close) = self.accept(TokenKind::RightParen) {
                return Ok((args, levels, close.span));
            }
            self.expect(TokenKind::Comma, "an operator, `,` or `)`")?;
            if self.kind() == TokenKind::RightParen {
                return self.unexpected("another argument");
            }
        }
    }

    pub(super) fn number(&mut self) -> Result<Number, Mistake> {
        let token = self.token();
        let text = self.text_of(token);
        let number = match token.kind {
            TokenKind::Number => literal::number(text).map(|value| Number { value, duration: false }),
            TokenKind::Word => literal::number(text).map(|value| Number { value, duration: false }),
            TokenKind::Duration => literal::duration(text).map(|millis| Number { value: millis as f64 / 1e3, duration: true }),
            _ => None,
        };
        match number {
            Some(number) => {
                self.take();
                Ok(number)
            }
            None => self.unexpected("a number or a duration"),
        }
    }

    pub(super) fn unquoted(&self, token: Token) -> Result<String, Mistake> {
        literal::unquote(self.text_of(token)).map_err(|(at, sentence)| {
            let start = token.span.start as usize + at;
            (ParseErrorKind::Lexical, Span::new(start, start + 2), sentence.to_string(), None)
        })
    }
}
