//! The link: requestors reach their server by HTTPS, and open no port themselves.
//!
//! The server serves the messages that wait for each requestor, and the bodies that travel to it, to that requestor
//! alone. [`wire`] has all requests and answers, and [`server::Desk`] what a postoffice has to offer for them. A
//! requestor's [`client::Link`] is a [`Carrier`](dirsync_carrier::Carrier) for an exchange, and moves bodies from any
//! byte on.
//!
//! The core, the worlds and their tests are built without this crate.
#![deny(missing_docs)]

pub mod certificate;
pub mod client;
pub mod connector;
pub mod server;
pub mod trust;
pub mod wire;
