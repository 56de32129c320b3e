//! The decisions log of a server, as a file of its folder.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use dirsync_agent::decisions::{CUT_OFF, Decision, DecisionsLog};
use dirsync_carrier::access::{Access, Links, open_file};
use dirsync_carrier::durable;

use crate::failure::Result;

/// The log's file in a postoffice's folder.
const DECISIONS: &str = "decisions.log";

/// The decisions log as a file.
pub struct FileDecisions {
    path: PathBuf,
}

impl FileDecisions {
    /// The log of the postoffice in a folder.
    pub fn of(folder: &Path) -> Self {
        Self { path: folder.join(DECISIONS) }
    }

    /// Writes the log anew; the one before is kept beside. Returns where.
    pub fn replace(&mut self, decisions: &[Decision]) -> Result<PathBuf> {
        let kept = self.path.with_extension("log.before-renewal");
        let old = self.text()?;
        durable::replace_file(&kept, Access::Own, |output| output.write_all(old.as_bytes()))?;
        durable::replace_file(&self.path, Access::Own, |output| {
            decisions.iter().try_for_each(|decision| writeln!(output, "{decision}"))
        })?;
        Ok(kept)
    }

    fn ends_in_a_line_cut_off(&self) -> std::io::Result<bool> {
        let mut file = match open_file(&self.path, Links::Follow) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        if file.metadata()?.len() == 0 {
            return Ok(false);
        }
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last != *b"\n")
    }

    /// Its text; a byte that is none of UTF-8 makes its line one that is no decision.
    fn text(&self) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        let opened = open_file(&self.path, Links::Follow);
        match opened.and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(std::io::Error::new(
                error.kind(),
                format!("could not read \"{}\": {error}", self.path.display()),
            )),
        }
    }
}

impl DecisionsLog for FileDecisions {
    fn append(&mut self, decision: &Decision) -> std::io::Result<()> {
        if self.ends_in_a_line_cut_off()? {
            // What a crash cut off may look like a decision, about somebody else.
            std::fs::OpenOptions::new()
                .append(true)
                .open(&self.path)
                .and_then(|mut file| file.write_all(format!("{CUT_OFF}\n").as_bytes()))?;
        }
        durable::append_line(&self.path, &decision.to_string()).map_err(std::io::Error::other)
    }

    fn lines(&mut self) -> std::io::Result<Vec<String>> {
        let text = self.text()?;
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        Ok(whole.split_terminator('\n').map(str::to_owned).collect())
    }
}
