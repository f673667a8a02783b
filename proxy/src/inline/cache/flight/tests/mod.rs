//! Flights under scripted sources: scenes, a random schedule against a model, and threads.

mod model;
mod races;
mod scenes;
mod script;
