//! The maps that come with the program: files of the same syntax as everybody's.

use super::{Columns, Map};

/// A map with the name by which `--format` and `dirsync map` know it.
#[derive(Clone, Debug)]
pub struct NamedMap {
    /// The name.
    pub name: &'static str,
    /// The map.
    pub map: Map,
}

/// The names and texts of the built-in maps. A file is read by the first that fits its columns.
pub const BUILT_IN: [(&str, &str); 18] = [
    ("exchange", include_str!("../../maps/exchange.toml")),
    ("microsoft365", include_str!("../../maps/microsoft365.toml")),
    ("entra", include_str!("../../maps/entra.toml")),
    ("google-workspace", include_str!("../../maps/google-workspace.toml")),
    ("thunderbird", include_str!("../../maps/thunderbird.toml")),
    ("thunderbird-de", include_str!("../../maps/thunderbird-de.toml")),
    ("thunderbird-fr", include_str!("../../maps/thunderbird-fr.toml")),
    ("thunderbird-es", include_str!("../../maps/thunderbird-es.toml")),
    ("thunderbird-it", include_str!("../../maps/thunderbird-it.toml")),
    ("thunderbird-pt", include_str!("../../maps/thunderbird-pt.toml")),
    ("thunderbird-pt-br", include_str!("../../maps/thunderbird-pt-br.toml")),
    ("outlook", include_str!("../../maps/outlook.toml")),
    ("outlook-de", include_str!("../../maps/outlook-de.toml")),
    ("outlook-fr", include_str!("../../maps/outlook-fr.toml")),
    ("outlook-es", include_str!("../../maps/outlook-es.toml")),
    ("outlook-it", include_str!("../../maps/outlook-it.toml")),
    ("outlook-pt", include_str!("../../maps/outlook-pt.toml")),
    ("outlook-pt-br", include_str!("../../maps/outlook-pt-br.toml")),
];

impl Map {
    /// Whether a file has a column of each group by which the map is recognised.
    pub(crate) fn fits(&self, columns: &impl Columns) -> bool {
        let names = columns.names();
        let has = |name: &String| {
            let wanted = name.trim().to_lowercase();
            names.iter().any(|name| name.trim().to_lowercase() == wanted)
        };
        !self.recognised_by.is_empty()
            && self.recognised_by.iter().all(|group| group.iter().any(has))
    }
}
