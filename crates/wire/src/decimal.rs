//! Decimal numbers of the usual shapes, read eight digits at a time.
//!
//! `12345`, `-0.25`, `1795000000000`: what samples are written as. Every other shape (exponents, more digits than a float
//! holds exactly, `NaN`) is left to the standard library, and where a number is read here it has the very bits that the
//! standard library would give it: a mantissa below 2^53 divided by a power of ten up to 10^22 is rounded once (Clinger,
//! "How to Read Floating Point Numbers Accurately", 1990). Eight digits become a number by three multiplications (Lemire,
//! "Number Parsing at a Gigabyte per Second", 2021).

/// Most digits that fit into 64 bits whatever they are.
const DIGITS_MAX: usize = 19;
/// Above this not every whole number is a float.
const EXACT_MAX: u64 = 1 << 53;
/// The powers of ten that are floats.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
    1e22,
];
const WHOLE_POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// A decimal number as it stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// All digits as one number.
    mantissa: u64,
    /// How many of them stand behind the point.
    decimals: usize,
    negative: bool,
    /// Where it ends.
    pub end: usize,
}

impl Decimal {
    /// Reads the number that begins at `at`. `None` where there is none, or none that can be read here.
    #[inline(always)]
    pub(crate) fn read(bytes: &[u8], at: usize) -> Option<Decimal> {
        let negative = bytes.get(at) == Some(&b'-');
        let start = at + usize::from(negative);
        let (mut mantissa, point) = digits(bytes, start, 0)?;
        let mut count = point - start;
        let (mut decimals, mut end) = (0, point);
        if bytes.get(point) == Some(&b'.') {
            (mantissa, end) = digits(bytes, point + 1, mantissa)?;
            decimals = end - point - 1;
            count += decimals;
            if decimals == 0 {
                return None;
            }
        }
        if point == start || count > DIGITS_MAX {
            return None;
        }
        Some(Decimal { mantissa, decimals, negative, end })
    }

    /// The nearest float, where one rounding finds it.
    #[inline(always)]
    pub(crate) fn float(self) -> Option<f64> {
        let size = if self.decimals == 0 {
            self.mantissa as f64
        } else if self.mantissa <= EXACT_MAX {
            self.mantissa as f64 / POWERS[self.decimals]
        } else {
            return None;
        };
        Some(if self.negative { -size } else { size })
    }

    /// The number, if it is a whole one of 64 bits with a sign.
    #[inline(always)]
    pub(crate) fn integer(self) -> Option<i64> {
        if self.decimals > 0 {
            return None;
        }
        if self.negative { 0i64.checked_sub_unsigned(self.mantissa) } else { i64::try_from(self.mantissa).ok() }
    }

    /// The number, if it is a whole one of 64 bits without a sign.
    #[inline(always)]
    pub(crate) fn unsigned(self) -> Option<u64> {
        (self.decimals == 0 && !self.negative).then_some(self.mantissa)
    }
}

/// Appends the digits from `at` on to `number`, and says where they end. `None` where they can't fit.
#[inline(always)]
fn digits(bytes: &[u8], mut at: usize, mut number: u64) -> Option<(u64, usize)> {
    let start = at;
    loop {
        let (count, value) = up_to_eight(chunk(bytes, at));
        // Too many digits are seen by the caller or here; what overflowed until then is never used.
        number = number.wrapping_mul(WHOLE_POWERS[count]).wrapping_add(value);
        at += count;
        if count < 8 {
            return Some((number, at));
        }
        if at - start > DIGITS_MAX {
            return None;
        }
    }
}

/// Eight bytes from `at` on, the first lowest; zeros behind the end.
#[inline(always)]
pub(crate) fn chunk(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..at + 8) {
        Some(eight) => u64::from_le_bytes(eight.try_into().expect("eight bytes")),
        None => last_chunk(bytes, at),
    }
}

#[cold]
fn last_chunk(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    let rest = bytes.get(at..).unwrap_or(&[]);
    eight[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(eight)
}

/// How many of the first bytes are digits, and their number.
#[inline(always)]
fn up_to_eight(chunk: u64) -> (usize, u64) {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let digits = chunk ^ ZEROS;
    // The top bit of each byte that is above 9 or was no ASCII.
    let others = (digits | (digits & 0x7f7f_7f7f_7f7f_7f7f).wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080;
    let count = (others.trailing_zeros() / 8) as usize;
    if count == 0 {
        return (0, 0);
    }
    // The digits move to the end, zeros before them: eight digits, whatever their count.
    let mut value = digits << (64 - 8 * count);
    value = value.wrapping_mul(10).wrapping_add(value >> 8);
    let low = (value & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = ((value >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    (count, low.wrapping_add(high) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<(f64, usize)> {
        let decimal = Decimal::read(text.as_bytes(), 0)?;
        Some((decimal.float()?, decimal.end))
    }

    #[test]
    fn usual_shapes() {
        let cases = [
            ("0", Some((0.0, 1))),
            ("7,", Some((7.0, 1))),
            ("-12.50 ", Some((-12.5, 6))),
            ("12345678", Some((12_345_678.0, 8))),
            ("123456789", Some((123_456_789.0, 9))),
            ("1795000000000\n", Some((1_795_000_000_000.0, 13))),
            ("9999999999999999999", Some((9_999_999_999_999_999_999.0, 19))),
            ("99999999999999999999", None),
            ("0.1234567890123456789012345678901234567890", None),
            ("9007199254740993.5", None),
            ("5.", None),
            (".5", None),
            ("-", None),
            ("", None),
            ("1e5", Some((1.0, 1))),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text), wanted, "{text}");
        }
        assert_eq!(read("-0").unwrap().0.to_bits(), (-0.0f64).to_bits());
    }

    #[test]
    fn whole_numbers_at_their_ends() {
        let integer = |text: &str| Decimal::read(text.as_bytes(), 0).and_then(Decimal::integer);
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer("-9223372036854775809"), None);
        assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer("9223372036854775808"), None);
        assert_eq!(integer("1.0"), None);
        assert_eq!(Decimal::read(b"-1", 0).and_then(Decimal::unsigned), None);
    }

    fn agrees(text: &str) {
        if let Some((value, end)) = read(text) {
            let wanted: f64 = text[..end].parse().unwrap();
            assert_eq!(value.to_bits(), wanted.to_bits(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn same_bits_as_the_standard_library(text in "-?[0-9]{1,20}(\\.[0-9]{1,20})?[ ,ei]?[0-9]{0,9}") {
            agrees(&text);
        }

        #[test]
        fn same_bits_for_any_float(bits in any::<u64>(), decimals in 0usize..8, scale in 0i32..15) {
            let value = f64::from_bits(bits);
            agrees(&value.to_string());
            let usual = (bits >> 11) as f64 / 10f64.powi(scale);
            agrees(&format!("{usual:.decimals$}"));
            prop_assert!(read(&(bits >> 20).to_string()).is_some());
        }

        #[test]
        fn any_bytes_end_where_the_digits_do(bytes in proptest::collection::vec(any::<u8>(), 0..30), at in 0usize..40) {
            let (count, _) = up_to_eight(chunk(&bytes, at));
            let wanted = bytes.iter().skip(at).take(8).take_while(|byte| byte.is_ascii_digit()).count();
            prop_assert_eq!(count, wanted);
        }
    }
}
