//! The one function of the C mathematics library that the crates we build on ask for, out of Rust's own. With it the
//! program does without that library, of which every start would map some 340 KiB (measured: glibc 2.36).

/// `pow(3)`: `base` to the `exponent`.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "it has to have the name that is asked for")]
extern "C" fn pow(base: f64, exponent: f64) -> f64 {
    libm::pow(base, exponent)
}
