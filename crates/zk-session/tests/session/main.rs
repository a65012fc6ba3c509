//! The session against a scripted server, over in-memory streams in paused time.

mod support;
mod unheard;

mod cancel;
mod client;
mod close;
mod connect;
mod ends;
mod hostile;
mod reattach;
mod requests;
mod watches;
