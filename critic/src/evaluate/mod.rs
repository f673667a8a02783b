//! Critics measured on labelled cases: evaluated, calibrated, compared, trained.
//!
//! Promises: files are the caller's, as are clocks and engines; the same cases, critic and
//! seed give the same figures; no figure comes without its interval where one can be had;
//! cases of one source text are never taken for independent. What a critic skips is told
//! beside every figure, as figures are of what it judged.

pub mod calibrate;
pub mod compare;
pub mod figures;
pub mod labelled;
pub mod load;
pub mod measure;
pub mod observe;
pub mod ragtruth;
pub mod recipes;
pub mod report;
pub mod sets;
pub mod split;
pub mod train;

pub use calibrate::{Calibration, Goal, calibrate};
pub use compare::{Comparison, compare};
pub use figures::{Evaluation, Figure};
pub use labelled::Labelled;
pub use load::{BadLine, Filter, Format, Input, LoadError, load};
pub use measure::{Settings, measure};
pub use observe::{Judge, Observed, Watch, observe};

/// Judges every case and measures the judgements.
pub fn evaluate(judge: &Judge<'_>, cases: &[Labelled], watch: &mut Watch<'_>, settings: &Settings) -> Evaluation {
    measure(judge.version(), &observe(judge, cases, watch), settings)
}
