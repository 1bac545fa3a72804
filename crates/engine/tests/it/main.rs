//! Stories of the engine: time is given, things happen, someone is told.

mod book;
mod examples;
mod faults;
mod heartbeats;
mod hosts;
mod incidents;
mod live;
mod releases;
mod replay;
mod rules;
mod suspects;
mod verbs;
mod world;
