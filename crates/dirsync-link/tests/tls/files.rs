use std::fs;
use std::fs::{File, Permissions};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use tempfile::TempDir;

use super::*;

/// The files of a server whose certificates come from elsewhere.
struct Files {
    folder: TempDir,
    authority: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
    changes: u64,
}

impl Files {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), authority, changes: 0 }
    }

    fn trust(&self) -> Trust {
        Trust::Root(self.authority.der().clone())
    }

    fn chain(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn pair(&self) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let chain = params.signed_by(&key, &self.authority).unwrap();
        (chain.pem(), key.serialize_pem())
    }

    fn write(&mut self, path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, mode(0o600)).unwrap();
        // Two changes within one tick of the file system's clock would look alike.
        self.changes += 1;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + self.changes);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    fn write_pair(&mut self) {
        let (chain, key) = self.pair();
        self.write(&self.chain(), &chain);
        self.write(&self.key(), &key);
    }

    fn open(&self, clock: Clock) -> Result<Arc<ServerCertificates>, String> {
        ServerCertificates::files(self.chain(), self.key(), clock)
            .map_err(|error| error.to_string())
    }
}

fn mode(mode: u32) -> Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

#[test]
fn files_are_read_again_when_both_have_changed() {
    let mut files = Files::new();
    files.write_pair();
    let (clock, time) = clock(NOW);
    let certificates = files.open(clock).unwrap();
    let port = serve(Arc::clone(&certificates));
    let shown = |files: &Files| shown_by(&files.trust(), port).swap_remove(0);
    let first = shown(&files);

    let (chain, key) = files.pair();
    files.write(&files.chain(), &chain);
    assert_eq!(shown(&files), first);
    assert_eq!(certificates.warning(), None, "the files are looked at once a second");
    time.fetch_add(1, Ordering::SeqCst);
    assert_eq!(shown(&files), first, "the key is still the old one");
    let warning = certificates.warning().unwrap();
    let start = format!(
        "the certificate \"{}\" and the key \"{}\" do not belong together: ",
        files.chain().display(),
        files.key().display()
    );
    assert!(warning.starts_with(&start), "{warning}");
    assert!(
        warning.ends_with("; the certificate that was read before is shown further"),
        "{warning}"
    );

    files.write(&files.key(), &key);
    time.fetch_add(1, Ordering::SeqCst);
    assert_ne!(shown(&files), first);
    assert_eq!(certificates.warning(), None);
    let url = format!("https://127.0.0.1:{port}/");
    assert_eq!(get(&files.trust(), &url).unwrap(), "here");
}

#[test]
fn a_key_that_cannot_be_read_leaves_the_old_pair_until_it_can() {
    let mut files = Files::new();
    files.write_pair();
    let (clock, time) = clock(NOW);
    let certificates = files.open(clock).unwrap();
    let port = serve(Arc::clone(&certificates));
    let shown = |files: &Files| shown_by(&files.trust(), port).swap_remove(0);
    let first = shown(&files);

    let (chain, key) = files.pair();
    files.write(&files.chain(), &chain);
    fs::remove_file(files.key()).unwrap();
    time.fetch_add(1, Ordering::SeqCst);
    assert_eq!(shown(&files), first);
    let missing = format!("cannot read \"{}\": ", files.key().display());
    assert!(certificates.warning().unwrap().starts_with(&missing));

    files.write(&files.key(), &key);
    fs::set_permissions(files.key(), mode(0o644)).unwrap();
    time.fetch_add(1, Ordering::SeqCst);
    assert_eq!(shown(&files), first);
    let open = format!(
        "the private key \"{}\" can be read by other users: run chmod 600",
        files.key().display()
    );
    assert!(certificates.warning().unwrap().starts_with(&open));

    // Neither size nor time changes.
    fs::set_permissions(files.key(), mode(0o600)).unwrap();
    time.fetch_add(1, Ordering::SeqCst);
    assert_ne!(shown(&files), first);
    assert_eq!(certificates.warning(), None);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let mut files = Files::new();
    let open = |files: &Files| files.open(clock(NOW).0).unwrap_err();
    let (chain, key) = (files.chain().display().to_string(), files.key().display().to_string());
    assert_eq!(
        open(&files),
        format!("cannot read \"{chain}\": No such file or directory (os error 2)")
    );

    files.write(&files.chain(), "certificate\n");
    assert_eq!(open(&files), format!("\"{chain}\" holds no certificate in PEM"));

    let (text, _) = files.pair();
    files.write(&files.chain(), &text);
    files.write(&files.key(), &text);
    assert_eq!(open(&files), format!("\"{key}\" holds no private key in PEM"));

    fs::remove_file(files.key()).unwrap();
    fs::create_dir(files.key()).unwrap();
    assert_eq!(open(&files), format!("cannot read \"{key}\": it is a folder, not a file"));
}

#[test]
fn names_of_files_are_those_of_the_files() {
    let mut files = Files::new();
    files.write_pair();
    let certificates = files.open(clock(NOW).0).unwrap();
    let before = certificates.current();
    certificates.set_hosts(&[]).unwrap();
    assert!(Arc::ptr_eq(&before, &certificates.current()));
}
