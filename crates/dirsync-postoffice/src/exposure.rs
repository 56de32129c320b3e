//! What others on this machine may write and should not.

use std::path::Path;

use dirsync_carrier::FolderCarrier;

use crate::failure::Result;
use crate::folder::SETTINGS;
use crate::postoffice::Postoffice;

/// All warnings of a postoffice.
pub fn of(postoffice: &mut Postoffice) -> Result<Vec<String>> {
    let mut warnings = of_settings(&postoffice.folder);
    warnings.extend(of_places(&postoffice.places()?));
    Ok(warnings)
}

/// A warning for each place that everybody may write: the settings, whose `alarm` is a command that the
/// agent runs, and the folder that they are in.
pub fn of_settings(folder: &Path) -> Vec<String> {
    let settings = folder.join(SETTINGS);
    let places = [(folder, "folder"), (&settings, "file")];
    let open = places.into_iter().filter(|(path, _)| everybody_writes(path));
    open.map(|(path, what)| {
        format!(
            "everybody may write the {what} \"{}\": who does so has commands run as the agent; \
             `chmod o-w` it",
            path.display()
        )
    })
    .collect()
}

/// A warning for each shared folder that everybody may write.
fn of_places(places: &[FolderCarrier]) -> Vec<String> {
    let open = places.iter().map(FolderCarrier::root).filter(|root| everybody_writes(root));
    open.map(|root| {
        format!(
            "everybody may write the shared folder \"{}\": who does so can speak as any postoffice; \
             give it to one group, and `chmod o-w` it",
            root.display()
        )
    })
    .collect()
}

#[cfg(unix)]
fn everybody_writes(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn everybody_writes(_: &Path) -> bool {
    false
}
