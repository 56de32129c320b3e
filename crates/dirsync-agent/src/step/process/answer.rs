//! The second half of T2: requestors are answered.

use std::collections::{BTreeMap, VecDeque};

use dirsync_message::{Body, SyncPoint, Update};
use dirsync_protocol::context::Draws;
use dirsync_protocol::server::{self, Answer, BodyPlan, ListPlan};
use dirsync_protocol::tables::{Registration, Stored};
use dirsync_store::Store;
use dirsync_transit::FrozenBody;

use super::post::{AnswerBody, Post, Route, Way, is_refusal};
use super::{Places, ProcessReport, STEP};
use crate::peers::Peer;
use crate::route::Routes;
use crate::step::transport::encode_body;
use crate::step::under_way::{list_under_way, named_for, own_set_under_way};
use crate::step::{StepError, Surroundings, commit};

/// The second half of T2.
pub(super) struct Answering<'a> {
    around: &'a Surroundings,
    draws: &'a mut Draws,
    post: Post<'a>,
}

/// An answer with a part of the list.
struct ListAnswer {
    head: Update,
    /// The point that the addressee stated last.
    stated: Option<SyncPoint>,
}

/// Answers that share a body.
enum Group {
    /// Without a body.
    Bare(Vec<Update>),
    /// With the addressee's submitted set, compressed at this level.
    Own(i32, Box<Update>),
    /// With parts of a body that was made for an earlier answer and is on its way.
    UnderWay(Vec<(Update, FrozenBody)>),
    /// With a part of the list, compressed at this level.
    List(i32, Box<ListPlan>, Vec<ListAnswer>),
}

impl Group {
    fn into_heads(self) -> Vec<Update> {
        match self {
            Self::Bare(heads) => heads,
            Self::Own(_, head) => vec![*head],
            Self::UnderWay(parts) => parts.into_iter().take(1).map(|(head, _)| head).collect(),
            Self::List(_, _, answers) => answers.into_iter().map(|answer| answer.head).collect(),
        }
    }
}

impl<'a> Answering<'a> {
    pub(super) fn new(
        around: &'a Surroundings,
        draws: &'a mut Draws,
        report: &'a mut ProcessReport,
    ) -> Self {
        Self { around, draws, post: Post::new(report) }
    }

    /// Answers all requestors that are due, those with the same body together. If one body cannot be
    /// written, the answers that were not sent are due again.
    pub(super) fn answer_all(
        mut self,
        store: &mut dyn Store,
        places: &Places<'a>,
    ) -> Result<(), StepError> {
        let mut groups = self.prepare(store, places)?.into_iter();
        let answered = groups.by_ref().try_for_each(|mut group| {
            let sent = self.answer(store, &mut group);
            if sent.is_err() {
                self.post.unsent.extend(group.into_heads());
            }
            sent
        });
        self.post.unsent.extend(groups.flat_map(Group::into_heads));
        let kept_due = self.answer_unsent_again(store);
        answered?;
        Ok(kept_due?)
    }

    /// Prepares all answers that are due (C4: they are settled before one is sent).
    fn prepare(
        &mut self,
        store: &mut dyn Store,
        places: &Places<'a>,
    ) -> Result<Vec<Group>, StepError> {
        let mut tables = store.begin()?;
        let due = server::pending(&mut *tables)?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = server::outcomes(&mut *tables)?;
        let routes = Routes::load(&mut *tables)?;
        let own = self.around.sealing.as_peer();
        let mut lists: BTreeMap<(i32, Box<ListPlan>), Vec<ListAnswer>> = BTreeMap::new();
        let mut groups = Vec::new();
        let mut bare = Vec::new();
        let mut events = Vec::new();
        for name in due {
            let Some(registration) = tables.registration(&name)? else { continue };
            let ways = self.ways(&routes, &registration, places);
            // The one in use: those before it rarely take the answer.
            let Some(transit) = ways.back().map(|way| way.transit) else { continue };
            let aside = server::side_answers(&mut *tables, &self.around.evidence, &name)?;
            let not_admitted = if aside.iter().any(|answer| is_refusal(&answer.head)) {
                Peer::not_admitted(&mut *tables, &name)?
            } else {
                None
            };
            let peer = Peer::requestor(&mut *tables, &registration, &own)?;
            let level = self.around.level(transit);
            self.post.add_route(&name, Route { ways, peer, not_admitted });
            let main = self.around.run(self.draws, &mut events, |context| {
                server::prepare(&mut *tables, context, &name, &outcomes)
            })?;
            for Answer { head, plan } in aside.into_iter().chain(main) {
                let stated = registration.position.point;
                let under_way = if transit.is_slow() {
                    self.under_way(&head, &plan, stated.as_ref())?
                } else {
                    Vec::new()
                };
                if !under_way.is_empty() {
                    // Unasked, the peer is told nothing that the message on its way does not say.
                    if !self.around.outbox.is_named_for(&name, &named_for(&head))? {
                        groups.push(Group::UnderWay(under_way));
                    }
                    continue;
                }
                match plan {
                    BodyPlan::None => bare.push(head),
                    BodyPlan::Own => groups.push(Group::Own(level, Box::new(head))),
                    BodyPlan::List(plan) => {
                        let same = lists.entry((level, plan)).or_default();
                        same.push(ListAnswer { head, stated });
                    }
                }
            }
        }
        commit(tables, STEP, self.around, events, &mut self.post.report.events)?;
        if !bare.is_empty() {
            groups.push(Group::Bare(bare));
        }
        groups.extend(
            lists.into_iter().map(|((level, plan), answers)| Group::List(level, plan, answers)),
        );
        Ok(groups)
    }

    /// The places through which an answer may go now, in the order in which they are tried.
    fn ways(
        &self,
        routes: &Routes,
        registration: &Registration,
        places: &Places<'a>,
    ) -> VecDeque<Way<'a>> {
        let (to, of_it) = (&registration.name, &registration.places);
        let tried = routes.tried(of_it, to, &self.around.fall_back, self.around.now);
        let ways = of_it.iter().enumerate().filter_map(|(at, place)| {
            let (place, transit) = places.get_key_value(place)?;
            let way = Way { place: place.clone(), transit: *transit };
            tried.contains(at, *transit).then_some(way)
        });
        ways.collect()
    }

    /// The heads of an answer whose bodies were made for an earlier one and are on their way (B5). None if
    /// others have to be made.
    fn under_way(
        &self,
        head: &Update,
        plan: &BodyPlan,
        stated: Option<&SyncPoint>,
    ) -> Result<Vec<(Update, FrozenBody)>, StepError> {
        if head.side.is_some() {
            return Ok(Vec::new());
        }
        let plan = match plan {
            BodyPlan::None => return Ok(Vec::new()),
            BodyPlan::Own => {
                let body = own_set_under_way(self.around, head)?;
                return Ok(body.map(|body| (head.clone(), body)).into_iter().collect());
            }
            BodyPlan::List(plan) => plan,
        };
        let (parts, bodies): (Vec<Body>, Vec<FrozenBody>) =
            list_under_way(self.around, &head.to)?.into_iter().unzip();
        let fitting = server::parts_under_way(&parts, head.server_epoch, stated, plan);
        let before = parts.len() - fitting.len();
        let named = fitting.iter().zip(bodies.into_iter().skip(before)).map(|(part, body)| {
            let to_evidence = self.around.evidence.of_point(&part.to);
            let part = Body { to_evidence, ..part.clone() };
            (Update { body: Some(part), ..head.clone() }, body)
        });
        Ok(named.collect())
    }

    fn answer(&mut self, store: &mut dyn Store, group: &mut Group) -> Result<(), StepError> {
        match group {
            Group::Bare(heads) => {
                let level = self.around.compression;
                let encoded = encode_body(self.around, level, u64::MAX, |_| Ok(()))?;
                self.post.send(self.around, heads.iter(), AnswerBody::Made(&encoded.body))
            }
            Group::UnderWay(parts) => parts.iter().try_for_each(|(head, body)| {
                self.post.send(self.around, [head], AnswerBody::UnderWay(body))
            }),
            Group::Own(level, head) => {
                let mut tables = store.begin()?;
                let encoded = encode_body(self.around, *level, u64::MAX, |visit| {
                    server::own_body(&mut *tables, &head.to, visit)
                })?;
                self.post.report.bodies += 1;
                self.post.send(self.around, [&**head], AnswerBody::Made(&encoded.body))
            }
            Group::List(level, plan, answers) => {
                self.answer_with_list(store, *level, plan, answers)
            }
        }
    }

    /// Sends a list in parts (C4: the point that a part reaches is committed before a file names it).
    fn answer_with_list(
        &mut self,
        store: &mut dyn Store,
        level: i32,
        plan: &ListPlan,
        answers: &mut [ListAnswer],
    ) -> Result<(), StepError> {
        let Some(epoch) = answers.first().map(|answer| answer.head.server_epoch) else {
            return Ok(());
        };
        let bytes_max = match plan.is_cut_by_number() {
            true => self.around.part_bytes_max,
            false => u64::MAX,
        };
        let (mut from, mut from_epoch) = (plan.from, plan.from_epoch);
        let mut view_from = plan.view_from.as_ref().map(|(hash, _)| *hash);
        for part in 1.. {
            let mut tables = store.begin()?;
            let encoded = encode_body(self.around, level, bytes_max, |visit| {
                server::list_body(&mut *tables, plan, from, visit)
            })?;
            let ended = encoded.visited;
            let reached = ended.unwrap_or(plan.upto);
            let view = plan.view.0;
            let is_last = ended.is_none();
            let (to, digest) =
                server::issue_point(&mut *tables, self.draws, epoch, view, reached, is_last)?;
            tables.commit()?;
            let to_evidence = self.around.evidence.of_point(&to);
            for answer in answers.iter_mut() {
                answer.head.body = Some(Body {
                    kind: plan.kind.to_body_kind(),
                    from,
                    from_epoch,
                    view_from,
                    stated: answer.stated,
                    to,
                    to_evidence,
                    head: plan.upto,
                    view: plan.view.1.clone(),
                    digest,
                    part,
                });
            }
            self.post.report.bodies += 1;
            let heads = answers.iter().map(|answer| &answer.head);
            self.post.send(self.around, heads, AnswerBody::Made(&encoded.body))?;
            if is_last {
                break;
            }
            (from, from_epoch, view_from) = (reached, Some(epoch), Some(view));
        }
        Ok(())
    }

    /// Makes the answers that were not sent due again.
    fn answer_unsent_again(&mut self, store: &mut dyn Store) -> Stored<()> {
        if self.post.unsent.is_empty() {
            return Ok(());
        }
        let mut tables = store.begin()?;
        for head in &self.post.unsent {
            server::answer_again(&mut *tables, head)?;
        }
        tables.commit()
    }
}
