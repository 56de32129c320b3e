//! Hostile messages: every field at its limits, and texts that might break a line.

use std::collections::BTreeSet;

use dirsync_directory::*;
use dirsync_message::*;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;

/// Texts that try to end their field or line.
pub fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\x00-\\x7f]{0,12}",
        "\\PC{0,8}",
        prop::sample::select(vec![
            "",
            "\n[END] 0\n",
            "=",
            "\\",
            "\\x0a",
            "\r\n",
            "\t",
            ">",
            "*A/B",
            "-x/y",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "ß",
            "A.mailbox",
        ])
        .prop_map(String::from),
    ]
}

/// A counter or a time.
pub fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..=NUMBER_MAX, 1 => Just(NUMBER_MAX)]
}

pub fn postoffice() -> impl Strategy<Value = PostofficeName> {
    prop_oneof![
        3 => prop::sample::select(vec!["NORTH/HQ", "north/hq", "SOUTH/HQ", "Ost/Büro"])
            .prop_map(|text| text.parse().unwrap()),
        1 => ("[a-z0-9äö]{1,9}[_.&-]?/[A-ZÀ-Ö]{1,9}").prop_map(|text| text.parse().unwrap()),
    ]
}

pub fn id() -> impl Strategy<Value = EntryId> {
    any::<[u8; 16]>().prop_map(EntryId::from_bytes)
}

pub fn digest() -> impl Strategy<Value = SetDigest> {
    (any::<u64>(), any::<u128>()).prop_map(|(count, sum)| SetDigest { count, sum })
}

fn server_epoch() -> impl Strategy<Value = ServerEpoch> {
    (0..=GENERATION_MAX, any::<u64>(), any::<u64>()).prop_map(|(generation, instance, random)| {
        ServerEpoch { generation, instance: Instance(instance), random }
    })
}

fn view_hash() -> impl Strategy<Value = ViewHash> {
    any::<[u8; 16]>().prop_map(ViewHash::from_bytes)
}

fn point() -> impl Strategy<Value = SyncPoint> {
    (server_epoch(), number(), any::<u64>(), view_hash(), any::<bool>()).prop_map(
        |(epoch, number, mark, view, complete)| SyncPoint {
            epoch,
            srv_seq: SrvSeq(number),
            mark: Mark(mark),
            view,
            complete,
        },
    )
}

fn view() -> impl Strategy<Value = View> {
    let types = of(btree_set("[A-Z0-9]{1,5}", 0..3));
    let kinds = of(btree_set(prop::sample::select(EntryKind::ALL.to_vec()), 0..4));
    let filter = of(prop::sample::select(vec!["(ou=a*\\28\\5c)", "(!(|(name=*)(title=\\0a=)))"]));
    let attributes = of(btree_set("[a-z]{1,5}".prop_map(|text| text.parse().unwrap()), 0..3));
    (types, of(btree_set(postoffice(), 0..3)), kinds, filter, attributes).prop_map(
        |(types, origins, kinds, filter, attributes)| View {
            types,
            origins,
            kinds,
            filter: filter.map(|text| text.parse().unwrap()),
            attributes,
        },
    )
}

fn bucket_set() -> impl Strategy<Value = (u32, BTreeSet<Bucket>)> {
    (0..=BucketSums::BITS)
        .prop_flat_map(|bits| (Just(bits), btree_set(0..(1u32 << bits) as Bucket, 0..4)))
}

fn bucket_sums() -> impl Strategy<Value = (u32, BucketSums)> {
    (0..=BucketSums::BITS).prop_flat_map(|bits| {
        let sums = btree_map(0..(1u32 << bits) as Bucket, digest(), 0..4).prop_map(BucketSums);
        (Just(bits), sums)
    })
}

fn token() -> impl Strategy<Value = [u8; 16]> {
    any::<[u8; 16]>()
}

fn evidence() -> impl Strategy<Value = Evidence> {
    token().prop_map(Evidence)
}

fn own_part() -> impl Strategy<Value = OwnPart> {
    let kind =
        prop::sample::select(vec![RequestKind::Delta, RequestKind::Full, RequestKind::WantOwn]);
    (kind, number(), number(), digest(), of(token()), of(digest())).prop_map(
        |(kind, from, to, digest, challenge, base)| OwnPart {
            kind,
            from: ReqSeq(from),
            to: ReqSeq(to),
            digest,
            challenge: challenge.map(Challenge),
            base,
        },
    )
}

fn health() -> impl Strategy<Value = Health> {
    (hostile(), number(), 0..2u64, number()).prop_map(|(version, held, quarantined, clock)| {
        Health { version, held, quarantined, clock }
    })
}

pub fn request() -> impl Strategy<Value = Request> {
    let who = (postoffice(), postoffice(), token(), vec(token(), 0..3), number(), token());
    let heard = (of(server_epoch()), of(evidence()), of(point()), of(evidence()));
    let list = (heard, digest(), any::<bool>(), of(bucket_sums()));
    (who, own_part(), list, view(), health()).prop_map(|(who, own, list, view_wanted, health)| {
        let (from, to, epoch, lineage, number, id) = who;
        let (heard, list_digest, list_bad, list_buckets) = list;
        let (epoch_heard, epoch_evidence, point, point_evidence) = heard;
        Request {
            from,
            to,
            epoch: ReqEpoch(epoch),
            lineage: lineage.into_iter().map(ReqEpoch).collect(),
            number: RequestNo(number),
            id: RequestId(id),
            own,
            epoch_heard,
            epoch_evidence,
            point,
            point_evidence,
            list_digest,
            list_bad,
            list_buckets,
            view_wanted,
            health,
        }
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let address =
        || "[A-Z]{1,4}:[a-z@=\\\\]{1,5}".prop_map(|text| text.parse::<Address>().unwrap());
    let kind = prop_oneof![
        (address(), postoffice())
            .prop_map(|(address, holder)| OutcomeKind::Waiting { address, holder }),
        (address(), postoffice()).prop_map(|(address, by)| OutcomeKind::Contested { address, by }),
        Just(OutcomeKind::Held),
        postoffice().prop_map(|to| OutcomeKind::Transferred { to }),
        postoffice().prop_map(|owner| OutcomeKind::ForeignId { owner }),
        hostile().prop_map(|reason| OutcomeKind::Invalid { reason }),
    ];
    (id(), kind).prop_map(|(id, kind)| Outcome { id, kind })
}

/// A valid record with arbitrary texts.
fn offer() -> impl Strategy<Value = Offer> {
    let texts = (hostile(), "[^\\p{C}]{1,20}", "[^\\p{C}]{1,20}");
    (id(), number(), postoffice(), postoffice(), texts).prop_map(
        |(id, stamp, owner, first_origin, (key, name, title))| Offer {
            id,
            stamp: Stamp(stamp),
            owner,
            first_origin,
            key,
            record: Record {
                kind: "contact".into(),
                name: escape(&name).into_owned(),
                addresses: "SMTP:a@north.example".into(),
                details: format!("title/{}\n", escape(&title)),
            },
        },
    )
}

fn body_head() -> impl Strategy<Value = Body> {
    let kind = prop_oneof![
        Just(BodyKind::Delta),
        Just(BodyKind::Replace),
        bucket_set().prop_map(|(bits, buckets)| BodyKind::Repair { bits, buckets }),
    ];
    let from = (number(), of(server_epoch()), of(view_hash()), of(point()));
    let to = (point(), evidence());
    (kind, from, to, number(), view(), of(digest()), any::<u32>()).prop_map(
        |(kind, (from, from_epoch, view_from, stated), to, head, view, digest, part)| Body {
            kind,
            from: SrvSeq(from),
            from_epoch,
            view_from,
            stated,
            to: to.0,
            to_evidence: to.1,
            head: SrvSeq(head),
            view,
            digest,
            part,
        },
    )
}

fn server() -> impl Strategy<Value = (ServerEpoch, Evidence)> {
    (server_epoch(), evidence())
}

pub fn update() -> impl Strategy<Value = Update> {
    let who = (postoffice(), postoffice(), token(), number(), token(), server());
    let side = of(prop::sample::select(Side::ALL.to_vec()));
    let own = of((token(), digest(), token(), vec(token(), 0..3)));
    let rest = (vec(outcome(), 0..4), vec(offer(), 0..3), of(body_head()), any::<bool>());
    (who, number(), side, own, rest).prop_map(|(who, ack, side, own, rest)| {
        let (from, to, epoch, answers, request_id, (server_epoch, epoch_evidence)) = who;
        let (outcomes, offers, body, want_buckets) = rest;
        Update {
            from,
            to,
            epoch: ReqEpoch(epoch),
            answers: RequestNo(answers),
            request_id: RequestId(request_id),
            server_epoch,
            epoch_evidence,
            ack: ReqSeq(ack),
            side,
            own: own.map(|(challenge, digest, in_force, retired)| Own {
                challenge: Challenge(challenge),
                digest,
                in_force: ReqEpoch(in_force),
                retired: retired.into_iter().map(ReqEpoch).collect(),
            }),
            outcomes,
            offers,
            body,
            want_buckets,
        }
    })
}
