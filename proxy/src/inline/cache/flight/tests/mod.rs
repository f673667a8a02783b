//! Flights under scripted sources: scenes, single moments of concurrency, a random schedule
//! against a model, and threads.

mod model;
mod moments;
mod races;
mod scenes;
mod script;
