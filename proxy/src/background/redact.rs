//! Takes secrets and personal data out of text before anything is kept.
