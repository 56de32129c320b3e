//! Folders that are copied, and copies that are used.

use std::fs;
use std::path::{Path, PathBuf};

use super::place::Checked;
use super::step::Site;
use super::world::World;

/// What somebody who wants to know may ask at any time.
const QUESTIONS: [&[&str]; 12] = [
    &["status"],
    &["log", "--json"],
    &["held", "list"],
    &["quarantine", "list"],
    &["config", "check"],
    &["requestor", "list"],
    &["entry", "list"],
    &["why", "all0@x.example"],
    &["export", "--format", "ldif"],
    &["export", "--format", "vcard", "-o", "asked.vcf"],
    &["server", "recover", "--finish", "--dry-run"],
    &["check"],
];

/// So many times two machines of one name may take turns until one is fenced: four cycles, and as many
/// before them if the machine was copied right after it had begun a life that the server has yet to accept.
const TURNS_MAX: usize = 8;

/// What a failed file operation of a history was about.
pub(super) fn failed(what: &str, path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("no life: could not {what} {}: {error}", path.display())
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy_folder(&file.path(), &target)?;
        } else if file.file_type()?.is_file() {
            fs::copy(file.path(), target)?;
        }
    }
    Ok(())
}

impl World {
    fn copy_of(&self, site: Site) -> PathBuf {
        self.place.path(&format!("{site}.copy"))
    }

    pub(super) fn copy(&mut self, site: Site) -> Checked<()> {
        self.place.stop_agent(site)?;
        self.drop_copy(site);
        let (from, to) = (self.place.site(site), self.copy_of(site));
        copy_folder(&from, &to).map_err(failed("copy", &from))?;
        self.place.tell(format!("the folder of {site} is copied"));
        self.copies.insert(site, self.model.snapshot(site));
        Ok(())
    }

    pub(super) fn drop_copy(&mut self, site: Site) {
        self.copies.remove(&site);
        let _ = fs::remove_dir_all(self.copy_of(site));
    }

    /// A copied folder is used by mistake: it must stop before it sends anything.
    pub(super) fn use_copy(&mut self, site: Site) -> Checked<()> {
        if !self.copies.contains_key(&site) {
            return Ok(());
        }
        let folder = format!("{site}.copy");
        for words in [&["cycle"][..], &["entry", "add", "--address", "SMTP:x@x.example"]] {
            let ran = self.place.run_in(&folder, words, None)?;
            if ran.code != Some(1) || !ran.err.contains("moved") {
                return Err(format!("copy: {folder} {} ends with {:?}", words[0], ran.code));
            }
        }
        Ok(())
    }

    /// The machine is gone; the copy, with the newest log of decisions, takes its folder's place.
    fn take_copy(&mut self, site: Site) -> Checked<bool> {
        let Some(snapshot) = self.copies.remove(&site) else { return Ok(false) };
        self.place.stop_agent(site)?;
        let (old, copy) = (self.place.site(site), self.copy_of(site));
        for file in ["decisions.log", "dirsync.toml"] {
            let from = old.join(file);
            if from.exists() {
                fs::copy(&from, copy.join(file)).map_err(failed("copy", &from))?;
            }
        }
        fs::remove_dir_all(&old).map_err(failed("remove", &old))?;
        fs::rename(&copy, &old).map_err(failed("move", &copy))?;
        self.place.tell(format!("the copy is {site}'s folder"));
        self.model.put_back(&snapshot, true);
        self.model.site(site).by_hand = true;
        Ok(true)
    }

    pub(super) fn promote(&mut self) -> Checked<()> {
        if !self.take_copy(Site::Hq)? {
            return self.copy(Site::Hq);
        }
        self.place.must(Site::Hq, &["server", "promote"])?;
        // Backups of the old installation are another server's.
        self.backups.retain(|(_, snapshot)| snapshot.site != Site::Hq);
        Ok(())
    }

    /// The copy goes on in the place of the folder, as its own or as one of two.
    pub(super) fn move_to_copy(&mut self, site: Site, rejoin: bool) -> Checked<()> {
        if self.model.state(site).removed {
            return Ok(());
        }
        if !self.take_copy(site)? {
            return self.copy(site);
        }
        let rejoin = rejoin && site != Site::Hq;
        self.place.must(site, &[if rejoin { "rejoin" } else { "moved" }])?;
        Ok(())
    }

    /// A cloned machine, which nothing on it can tell: both work, until one of them is fenced. Then a
    /// person ends one; where the first was fenced it is the one to keep.
    pub(super) fn run_twins(&mut self, site: Site, number: usize) -> Checked<()> {
        let state = self.model.state(site);
        if state.removed || state.suspended || !self.faults.are_none(&self.place) {
            return Ok(());
        }
        self.place.stop_agent(site)?;
        self.place.stop_agent(Site::Hq)?;
        let twin = format!("{site}.twin");
        let (from, to) = (self.place.site(site), self.place.path(&twin));
        copy_folder(&from, &to).map_err(failed("copy", &from))?;
        let settings = to.join("dirsync.toml");
        let text = fs::read_to_string(&settings).map_err(failed("read", &settings))?;
        let text = format!("{text}[postoffice]\nhome_check = false\n");
        fs::write(&settings, text).map_err(failed("write", &settings))?;
        self.place.tell(format!("{site} runs twice"));
        let fenced = self.turns(&[site.folder(), &twin], number)?;
        fs::remove_dir_all(&to).map_err(failed("remove", &to))?;
        let Some(fenced) = fenced else {
            return Err(format!("twins: two machines of {site} take turns, and none is fenced"));
        };
        if fenced != twin {
            self.place.must(site, &["rejoin"])?;
        }
        self.place.must(Site::Hq, &["requestor", "resume", site.postoffice()])?;
        let state = self.model.site(site);
        (state.was_reset, state.lives) = (true, state.lives + 1);
        Ok(())
    }

    /// Machines of one name take turns, with the server between them or after them, until one is
    /// fenced. Returns which.
    fn turns(&mut self, machines: &[&str], number: usize) -> Checked<Option<String>> {
        for _ in 0..TURNS_MAX {
            for (at, machine) in machines.iter().enumerate() {
                let between = number.is_multiple_of(2) || at + 1 == machines.len();
                let words: &[&str] =
                    if (number / 2).is_multiple_of(2) { &["cycle"] } else { &["run", "--once"] };
                for folder in [*machine, "hq"].into_iter().take(1 + usize::from(between)) {
                    let ran = self.place.run_in(folder, words, None)?;
                    if !ran.is_done() {
                        return Err(format!("twins: {folder} {} fails: {}", words[0], ran.err));
                    }
                }
            }
            for machine in machines {
                let status = self.place.run_in(machine, &["status", "--json"], None)?.json()?;
                if status["stopped"] == "fenced" {
                    return Ok(Some((*machine).to_owned()));
                }
            }
        }
        Ok(None)
    }

    /// Somebody looks. That never fails, and changes nothing.
    pub(super) fn ask(&mut self, site: Site, number: usize) -> Checked<()> {
        let words = QUESTIONS[number % QUESTIONS.len()];
        let at_the_server_alone = matches!(words[0], "server" | "requestor");
        if at_the_server_alone && site != Site::Hq {
            return Ok(());
        }
        let ran = self.place.run(site, words, None)?;
        match ran.code {
            Some(0 | 3 | 4) => Ok(()),
            // Nobody may have this address.
            Some(1) if words[0] == "why" => Ok(()),
            code => Err(format!("ask: {site} {} ends with {code:?}: {}", words[0], ran.err)),
        }
    }
}
