//! A desk over a folder, with the bodies of a real outbox.

use std::io::{Read as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use dirsync_carrier::{Carrier as _, CarrierFile, FolderCarrier, FolderTransit};
use dirsync_directory::PostofficeName;
use dirsync_link::server::{Desk, DeskError, Held, Served};
use dirsync_seal::{BodySealer, Content, ContentHash, LoginLines};
use dirsync_testing::{own_keys, peer_keys};
use dirsync_transit::{BodiesError, DiskBodies, FrozenBody, Outbox, Piece};

/// Files lie in the inboxes of their addressees in one folder. Bodies are in an outbox.
pub struct Folders {
    root: PathBuf,
    me: PostofficeName,
    requestors: Vec<PostofficeName>,
    pub outbox: Outbox,
    /// The number of calls that read or write files or bodies.
    pub asked: AtomicU64,
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DeskError {
    DeskError::Failed(error.into())
}

impl Folders {
    pub fn new(root: &Path, me: PostofficeName, requestors: Vec<PostofficeName>) -> Self {
        let outbox = Outbox::new(DiskBodies::open(root.join("bodies")).unwrap());
        Self { root: root.into(), me, requestors, outbox, asked: AtomicU64::new(0) }
    }

    /// The access of a postoffice to the folder.
    pub fn folder(&self, me: &PostofficeName) -> FolderCarrier {
        FolderCarrier::new(FolderTransit::new(self.root.clone(), me.clone()))
    }

    /// A body of bytes that do not compress, on its way to a requestor.
    pub fn freeze(&self, to: &PostofficeName, bytes: &[u8]) -> Content {
        freeze(&self.outbox, to, bytes)
    }

    fn note(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// The carrier of the tests has names that only a reader of another case uses.
    fn is_known(&self, requestor: &PostofficeName) -> bool {
        self.requestors.contains(requestor)
    }
}

/// Puts a body into an outbox. Returns its sealed content.
pub fn freeze(outbox: &Outbox, to: &PostofficeName, mut bytes: &[u8]) -> Content {
    let mut sealer = BodySealer::new(Vec::new(), 1).unwrap();
    std::io::copy(&mut bytes, &mut sealer).unwrap();
    let (sealed, sealed_bytes) = sealer.finish().unwrap();
    let (content, key) = (sealed.content, sealed.key);
    let body = FrozenBody { content, key, made_for: format!("{}", content.hash), made_at: 0 };
    outbox.freeze(to, &body, &mut sealed_bytes.as_slice()).unwrap();
    content
}

impl Desk for Folders {
    fn admit(&self, login: LoginLines) -> Served<PostofficeName> {
        let from = login.parties().from.clone();
        if !self.is_known(&from) {
            return Err(DeskError::Refused(format!("{from} is not registered here")));
        }
        let refused = |error: dirsync_seal::SealError| DeskError::Refused(error.to_string());
        login.verify(&own_keys(&self.me), &peer_keys(&from)).map_err(refused)?;
        Ok(from)
    }

    fn is_served(&self, requestor: &PostofficeName) -> bool {
        self.is_known(requestor)
    }

    fn waiting(&self, requestor: &PostofficeName) -> Served<Vec<(String, u64)>> {
        self.note();
        let files = self.folder(requestor).list().map_err(failed)?;
        Ok(files.into_iter().map(|file| (file.name, file.bytes.unwrap_or(0))).collect())
    }

    fn read(&self, requestor: &PostofficeName, name: &str) -> Served<Option<Vec<u8>>> {
        self.note();
        let file = CarrierFile { name: name.to_owned(), bytes: None };
        self.folder(requestor).fetch(&file, u64::MAX).map_err(failed)
    }

    fn taken(&self, requestor: &PostofficeName, name: &str) -> Served<()> {
        self.note();
        let file = CarrierFile { name: name.to_owned(), bytes: None };
        self.folder(requestor).taken(&file).map_err(failed)
    }

    fn deliver(&self, requestor: &PostofficeName, name: &str, bytes: &[u8]) -> Served<bool> {
        self.note();
        self.folder(requestor).put(&self.me, name, bytes).map_err(failed)?;
        Ok(true)
    }

    fn body(&self, requestor: &PostofficeName, hash: &ContentHash) -> Served<Option<Content>> {
        self.note();
        let (bodies, _) = self.outbox.frozen(requestor).map_err(failed)?;
        Ok(bodies.into_iter().map(|body| body.content).find(|content| content.hash == *hash))
    }

    fn read_part(&self, _: &PostofficeName, part: &Piece) -> Served<Option<Vec<u8>>> {
        self.note();
        let Some(mut file) = self.outbox.open(&part.body).map_err(failed)? else {
            return Ok(None);
        };
        file.seek(SeekFrom::Start(part.at))?;
        let mut bytes = Vec::new();
        file.take(part.bytes).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn held(&self, requestor: &PostofficeName, hash: &ContentHash) -> Served<Option<Held>> {
        self.note();
        let coming = self.outbox.coming(requestor).map_err(failed)?;
        let Some((body, _)) = coming.into_iter().find(|(body, _)| body.hash == *hash) else {
            return Ok(None);
        };
        let gap = self.outbox.gap(requestor, &body, 1).map_err(failed)?;
        Ok(Some(Held { body, bytes: gap.map_or(body.bytes, |gap| gap.at) }))
    }

    fn take_part(&self, requestor: &PostofficeName, part: &Piece, bytes: &[u8]) -> Served<()> {
        self.note();
        match self.outbox.take_piece(requestor, part, bytes, 0) {
            Ok(_) => Ok(()),
            Err(BodiesError::Refused(why)) => Err(DeskError::Refused(why.to_string())),
            Err(error) => Err(failed(error)),
        }
    }
}
