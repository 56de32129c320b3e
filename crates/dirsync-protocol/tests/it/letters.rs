//! Messages under way, as text: what is posted passes through the codec of `dirsync-message`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, PostofficeName, Record};
use dirsync_message::{
    Body, BodyError, BodyReader, BodyWriter, Change, Head, Health, Request, Transaction, Update,
};
use dirsync_protocol::context::{ReceiveError, TransactionSource};
use dirsync_protocol::requestor::{self, Applied, make_request, visit_request_body};
use dirsync_protocol::server::{self, Answer, BodyPlan, ListPlan, Received};

use crate::checker::{listed, published};
use crate::world::{World, postoffice};

/// A message under way.
#[derive(Clone, Debug)]
pub struct Letter {
    pub number: u64,
    pub is_request: bool,
    /// The requestor that it comes from or goes to.
    pub name: String,
    pub head: String,
    pub body: Vec<u8>,
    /// What the server published when it made the update.
    pub made_of: Option<Snapshot>,
}

/// What a server publishes: by entry, its owner and content.
pub type Listed = BTreeMap<EntryId, (PostofficeName, Record)>;

/// See [`Letter::made_of`].
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The addressee's view.
    pub view: Listed,
    /// All addresses that are held.
    pub addresses: BTreeSet<String>,
}

/// How an answer that could have parts is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// In one part.
    One,
    /// The first half of it, and the rest is lost.
    Half,
    /// One transaction a part.
    Each,
}

impl World {
    /// T1. Returns whether something was sent.
    pub fn request(&mut self, machine: &str) -> bool {
        let posted = self.run_at(machine, |tables, context| {
            let request = make_request(tables, context, "", Health::default()).unwrap()?;
            let mut writer = BodyWriter::new(Vec::new());
            visit_request_body(tables, &request.own, &mut |transaction| {
                write(&mut writer, transaction);
                ControlFlow::Continue(())
            })
            .unwrap();
            Some((request.to_text(), writer.finish().unwrap()))
        });
        let Some((head, body)) = posted else { return false };
        self.post(true, &machine[..1], head, body, None);
        true
    }

    fn post(
        &mut self,
        is_request: bool,
        name: &str,
        head: String,
        body: Vec<u8>,
        made_of: Option<Snapshot>,
    ) {
        self.posted += 1;
        let number = self.posted;
        self.letters.push(Letter { number, is_request, name: name.into(), head, body, made_of });
    }

    /// T2, first half.
    pub fn take_request(
        &mut self,
        server: &str,
        letter: &Letter,
    ) -> Result<Received, ReceiveError> {
        let request = letter.request();
        let mut body = Source(BodyReader::new(&letter.body[..]));
        self.run_at(server, |tables, context| {
            tables.savepoint().unwrap();
            let taken = server::receive(tables, context, &request, &mut body);
            match taken {
                Ok(_) => tables.release_savepoint().unwrap(),
                Err(_) => tables.rollback_savepoint().unwrap(),
            }
            taken
        })
    }

    /// Whether a server has something to say to a postoffice.
    pub fn answer_is_due(&mut self, server: &str, name: &str) -> bool {
        self.read(server, |tables| server::pending(tables)).contains(&postoffice(name))
    }

    /// T2, second half, for one postoffice.
    pub fn answer(&mut self, server: &str, name: &str, parts: Parts) {
        let to = postoffice(name);
        let answers = self.run_at(server, |tables, context| {
            let outcomes = server::outcomes(tables).unwrap();
            let mut answers = server::side_answers(tables, &to).unwrap();
            answers.extend(server::prepare(tables, context, &to, &outcomes).unwrap());
            answers
        });
        for Answer { head, plan } in answers {
            match plan {
                BodyPlan::None => {
                    let body = BodyWriter::new(Vec::new()).finish().unwrap();
                    self.post(false, name, head.to_text(), body, None);
                }
                BodyPlan::Own => {
                    let mut writer = BodyWriter::new(Vec::new());
                    self.read(server, |tables| {
                        server::own_body(tables, &to, &mut |transaction| {
                            write(&mut writer, transaction);
                            ControlFlow::Continue(())
                        })
                    });
                    self.post(false, name, head.to_text(), writer.finish().unwrap(), None);
                }
                BodyPlan::List(plan) => self.answer_list(server, name, head, &plan, parts),
            }
        }
    }

    fn answer_list(
        &mut self,
        server: &str,
        name: &str,
        head: Update,
        plan: &ListPlan,
        parts: Parts,
    ) {
        let stated = self.registration(server, name).position.point;
        let made_of = self.snapshot(server, plan);
        let count = self.read(server, |tables| {
            let mut count = 0;
            server::list_body(tables, plan, plan.from, &mut |_| {
                count += 1;
                ControlFlow::Continue(())
            })?;
            Ok(count)
        });
        let size = match parts {
            Parts::One => u64::MAX,
            Parts::Half if count >= 2 => count / 2,
            Parts::Half => u64::MAX,
            Parts::Each => 1,
        };
        let mut from = plan.from;
        for part in 1.. {
            let (letter, reached) = self.run_at(server, |tables, context| {
                let epoch = tables.server().unwrap().unwrap().epoch;
                let mut writer = BodyWriter::new(Vec::new());
                let ended = server::list_body(tables, plan, from, &mut |transaction| {
                    write(&mut writer, transaction);
                    if plan.is_cut_by_number() && writer.count() >= size {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                })
                .unwrap();
                let reached = ended.unwrap_or(plan.upto);
                let draws = &mut *context.draws;
                let complete = ended.is_none();
                let issued =
                    server::issue_point(tables, draws, epoch, plan.view.0, reached, complete);
                let (to, digest) = issued.unwrap();
                let view_from = plan.view_from.as_ref().map(|(hash, _)| *hash);
                let body = Body {
                    kind: plan.kind.to_body_kind(),
                    from,
                    from_epoch: if part > 1 { Some(epoch) } else { plan.from_epoch },
                    view_from: if part > 1 { Some(plan.view.0) } else { view_from },
                    stated,
                    to,
                    head: plan.upto,
                    view: plan.view.1.clone(),
                    digest,
                    part,
                };
                let head = Update { body: Some(body), ..head.clone() };
                ((head.to_text(), writer.finish().unwrap()), ended)
            });
            self.post(false, name, letter.0, letter.1, Some(made_of.clone()));
            match reached {
                Some(reached) if parts == Parts::Each => from = reached,
                _ => return,
            }
        }
    }

    fn snapshot(&mut self, server: &str, plan: &ListPlan) -> Snapshot {
        let published = published(self.servers.get_mut(server).unwrap());
        let addresses =
            published.values().flat_map(|(_, record)| record.as_ref().address_keys()).collect();
        Snapshot { view: listed(published, &plan.view.1), addresses }
    }

    /// T3.
    pub fn take_update(&mut self, machine: &str, letter: &Letter) -> Result<Applied, ReceiveError> {
        let update = letter.update();
        let mut body = Source(BodyReader::new(&letter.body[..]));
        self.run_at(machine, |tables, context| {
            tables.savepoint().unwrap();
            let taken = requestor::receive(tables, context, &update, &mut body);
            match taken {
                Ok(_) => tables.release_savepoint().unwrap(),
                Err(_) => tables.rollback_savepoint().unwrap(),
            }
            taken
        })
    }

    /// The positions of the letters of one kind and postoffice, oldest first.
    pub fn letters_of(&self, is_request: bool, name: &str) -> Vec<usize> {
        let matching = self.letters.iter().enumerate();
        matching
            .filter(|(_, letter)| letter.is_request == is_request && letter.name == name)
            .map(|(at, _)| at)
            .collect()
    }
}

impl Letter {
    /// The head of a request.
    pub fn request(&self) -> Request {
        match Head::parse(&self.head).unwrap() {
            Head::Request(request) => *request,
            Head::Update(_) => panic!("a request is wanted"),
        }
    }

    /// The head of an update.
    pub fn update(&self) -> Update {
        match Head::parse(&self.head).unwrap() {
            Head::Update(update) => *update,
            Head::Request(_) => panic!("an update is wanted"),
        }
    }

    /// The ids that the body names, in order.
    pub fn named(&self) -> Vec<EntryId> {
        let mut reader = BodyReader::new(&self.body[..]);
        let mut named = Vec::new();
        while let Some(transaction) = reader.next().unwrap() {
            named.push(transaction.id);
        }
        named
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A body as the steps read it.
pub struct Source<'b>(pub BodyReader<&'b [u8]>);

impl TransactionSource for Source<'_> {
    fn next(&mut self) -> Result<Option<Transaction<'_>>, BodyError> {
        self.0.next()
    }
}

/// Writes a transaction.
pub fn write(writer: &mut BodyWriter<Vec<u8>>, transaction: &Transaction<'_>) {
    let Transaction { number, stamp, id, owner, first_origin, key, released_to, .. } = *transaction;
    match transaction.change {
        Change::Delete { approved } => writer.delete(number, stamp, id, approved),
        Change::Whole(record) => writer.whole(
            number,
            stamp,
            owner.unwrap(),
            first_origin.unwrap(),
            key,
            released_to.flatten(),
            record,
        ),
        Change::Delta { kind, name, addresses, details } => writer.modify(
            number,
            stamp,
            owner.unwrap(),
            first_origin.unwrap(),
            key,
            kind,
            name,
            addresses,
            details,
            released_to,
        ),
    }
    .unwrap();
}
