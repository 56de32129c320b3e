//! The transactions of a request, in the order of their numbers.

use std::ops::ControlFlow;

use dirsync_message::{OwnPart, ReqSeq, RequestKind};
use dirsync_protocol::requestor::visit_request_body;
use dirsync_testing::rows::{own_row, own_tombstone};

use super::Given;
use crate::run;

/// More than two pieces of tombstones.
const LAST: u64 = 4000;

/// Whether the change of this number is a deletion: in runs of each kind, which end everywhere in a piece.
fn is_deletion(number: u64) -> bool {
    !number.is_multiple_of(700) && number % 900 > 100
}

fn part(from: u64) -> OwnPart {
    OwnPart {
        kind: RequestKind::Delta,
        from: ReqSeq(from),
        to: ReqSeq(LAST),
        digest: Default::default(),
        challenge: None,
        base: None,
    }
}

#[test]
fn deletions_and_entries_are_visited_in_one_order_whatever_their_number() {
    let mut store = Given::new().store;
    run(&mut store, |tables, _| {
        for number in 3..=LAST {
            match is_deletion(number) {
                true => tables.put_own_tombstone(&own_tombstone(number, number)).unwrap(),
                false => tables.put_own(&own_row(number, number)).unwrap(),
            }
        }
    });
    // The whole, from within each kind of piece, and with visitors that end early.
    for (from, most) in [(2, LAST), (1500, LAST), (3990, LAST), (LAST, LAST), (2, 1), (2, 1500)] {
        let mut visited = Vec::new();
        run(&mut store, |tables, _| {
            visit_request_body(tables, &part(from), &mut |transaction| {
                visited.push(transaction.number);
                match (visited.len() as u64) < most {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })
            .unwrap();
        });
        let expected: Vec<u64> = (from + 1..=LAST).take(most as usize).collect();
        assert_eq!(visited, expected, "after {from}, at most {most}");
    }
}
