//! What others on this machine may write and should not.

use std::path::Path;

use crate::failure::Result;
use crate::folder::SETTINGS;
use crate::postoffice::Postoffice;

/// All warnings of a postoffice.
pub fn of(postoffice: &mut Postoffice) -> Result<Vec<String>> {
    let mut warnings = of_settings(&postoffice.folder);
    for place in postoffice.places()? {
        let open = postoffice.at_place(&place, |place| everybody_writes(place.root()));
        warnings.extend(open.is_ok_and(|open| open).then(|| of_place(place.root())));
    }
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

/// The warning for a shared folder that everybody may write.
fn of_place(root: &Path) -> String {
    format!(
        "everybody may write the shared folder \"{}\": who does so can delay, lose and repeat messages; \
         give it to one group, and `chmod o-w` it",
        root.display()
    )
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
