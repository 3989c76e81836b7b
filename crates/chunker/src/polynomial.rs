//! Polynomials over GF(2), as restic's repositories name them in their configuration.

use std::fmt;
use std::str::FromStr;

/// The degree of every repository's polynomial.
const DEGREE: u32 = 53;

/// An irreducible polynomial of degree 53; bit n is the coefficient of x^n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polynomial(u64);

/// These are no coefficients of an irreducible polynomial of degree 53.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the chunker polynomial is not an irreducible one of degree 53")]
pub struct NoPolynomial;

impl Polynomial {
    /// A random one; `random` gives random bits. About one candidate in 53 will do.
    pub fn random(mut random: impl FnMut() -> u64) -> Self {
        loop {
            let candidate = (random() & ((1 << DEGREE) - 1)) | (1 << DEGREE) | 1;
            if is_irreducible(candidate) {
                return Self(candidate);
            }
        }
    }

    /// Its coefficients; bit n is that of x^n.
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl FromStr for Polynomial {
    type Err = NoPolynomial;

    /// In hexadecimal.
    fn from_str(text: &str) -> Result<Self, NoPolynomial> {
        u64::from_str_radix(text, 16)
            .map_err(|_| NoPolynomial)?
            .try_into()
    }
}

impl TryFrom<u64> for Polynomial {
    type Error = NoPolynomial;

    fn try_from(bits: u64) -> Result<Self, NoPolynomial> {
        if degree(bits) == Some(DEGREE) && is_irreducible(bits) {
            Ok(Self(bits))
        } else {
            Err(NoPolynomial)
        }
    }
}

impl fmt::Display for Polynomial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// The remainder of `a` divided by `modulus`, which is not zero.
pub(super) fn remainder(mut a: u64, modulus: u64) -> u64 {
    let Some(wanted) = degree(modulus) else {
        return 0;
    };
    while let Some(excess) = degree(a).and_then(|degree| degree.checked_sub(wanted)) {
        a ^= modulus << excess;
    }
    a
}

fn degree(a: u64) -> Option<u32> {
    a.checked_ilog2()
}

/// Ben-Or's test: no common factor with x^(2^i) - x for i up to half the degree.
fn is_irreducible(polynomial: u64) -> bool {
    const X: u64 = 0b10;
    let Some(degree) = degree(polynomial) else {
        return false;
    };
    let mut power = X;
    for _ in 0..degree / 2 {
        power = square(power, polynomial);
        if greatest_common_divisor(polynomial, power ^ X) != 1 {
            return false;
        }
    }
    true
}

/// The square of `a`, reduced; `a` is reduced already.
fn square(a: u64, modulus: u64) -> u64 {
    let mut product = 0;
    for bit in (0..64).rev() {
        product = remainder(product << 1, modulus);
        if a >> bit & 1 == 1 {
            product ^= a;
        }
    }
    product
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, remainder(a, b));
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn irreducible_polynomials_are_told_from_others() {
        assert_eq!(
            "3da3358b4dc173".parse(),
            Ok(Polynomial(0x003d_a335_8b4d_c173))
        );
        assert!(is_irreducible(0b111) && is_irreducible(0b1011));
        assert!(!is_irreducible(0b101) && !is_irreducible(0b110));
        for bad in ["", "zz", "1", "3da3358b4dc172", "ffffffffffffffff"] {
            assert_eq!(bad.parse::<Polynomial>(), Err(NoPolynomial), "{bad}");
        }
    }

    #[test]
    fn random_ones_can_be_read_back() {
        let mut state = 1_u64;
        let polynomial = Polynomial::random(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.rotate_left(20)
        });
        assert_eq!(polynomial.to_string().parse(), Ok(polynomial));
    }
}
