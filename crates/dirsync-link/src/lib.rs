//! The link: requestors reach their server by HTTPS, and open no port themselves.
#![deny(missing_docs)]
