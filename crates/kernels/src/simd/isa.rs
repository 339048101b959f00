//! Which instruction set: found once at run time, or chosen; and the one place that turns the choice into a token.

use std::fmt;
use std::str::FromStr;

#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
use super::{Kernel, Scalar};
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};

/// An instruction set that this processor has: a value of this type is made only after asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Scalar(Scalar),
}

impl Isa {
    /// The names that [`Isa::from_str`] knows, fastest first.
    pub const NAMES: [&'static str; 4] = ["avx512", "avx2", "neon", "scalar"];

    /// The fastest instruction set of this processor.
    pub fn best() -> Isa {
        Isa::available().next().expect("the scalar set is always there")
    }

    /// All instruction sets of this processor, fastest first; the last one is `scalar`.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::NAMES.into_iter().filter_map(|name| name.parse().ok())
    }

    /// The portable code, which every processor has.
    pub fn scalar() -> Isa {
        Isa(Kind::Scalar(Scalar))
    }

    /// `avx512`, `avx2`, `neon` or `scalar`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
            Kind::Scalar(_) => "scalar",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is unknown, or this processor lacks the instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnavailableIsa(String);

impl fmt::Display for UnavailableIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Isa::NAMES.contains(&self.0.as_str());
        let what = if known { "is not available on this processor" } else { "is not an instruction set" };
        write!(f, "'{}' {what}; available here:", self.0)?;
        Isa::available().try_for_each(|isa| write!(f, " {isa}"))
    }
}

impl std::error::Error for UnavailableIsa {}

impl FromStr for Isa {
    type Err = UnavailableIsa;
    fn from_str(name: &str) -> Result<Isa, UnavailableIsa> {
        let kind = match name {
            #[cfg(target_arch = "x86_64")]
            "avx512" => Avx512::detect().map(Kind::Avx512),
            #[cfg(target_arch = "x86_64")]
            "avx2" => Avx2::detect().map(Kind::Avx2),
            #[cfg(target_arch = "aarch64")]
            "neon" => Neon::detect().map(Kind::Neon),
            "scalar" => Some(Kind::Scalar(Scalar)),
            _ => None,
        };
        kind.map(Isa).ok_or_else(|| UnavailableIsa(name.to_string()))
    }
}

/// Runs `kernel` in the code compiled for `isa`.
#[inline]
pub fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512(token) => token.run(kernel),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2(token) => token.run(kernel),
        #[cfg(target_arch = "aarch64")]
        Kind::Neon(token) => token.run(kernel),
        Kind::Scalar(token) => kernel.run(token),
    }
}
