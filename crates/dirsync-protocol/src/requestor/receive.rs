//! T3: an update is taken (R1 to R18 of `docs/protocol.md`).
//!
//! [`receive`] reads from the top like the table. The rows about the head are in [`super::header`], those
//! about the list in [`super::list_update`].

use dirsync_message::Update;

use super::change::OwnChanges;
use super::header::Head;
use super::reception::{Applied, Reception};
use crate::bounds::check_update;
use crate::context::{Context, ReceiveError, TransactionSource};
use crate::tables::{Mode, Tables};

/// Takes an update, within the caller's transaction (commit point C5).
///
/// ```
/// use dirsync_message::{BodyReader, Head};
/// use dirsync_protocol::context::ReceiveError;
/// use dirsync_protocol::requestor;
/// use dirsync_protocol::row::Row;
/// use dirsync_testing::{SERVER, World};
///
/// let mut world = World::new(&["SOUTH/SALES"]);
/// world.at(SERVER).import(&[("1", "Ana Souza", "SMTP:ana@north.example", "100")]);
/// world.send(SERVER);
/// world.send("SOUTH/SALES");
/// world.process();
/// let letter = world.network.letters("SOUTH/SALES").remove(0);
/// let Ok(Head::Update(update)) = Head::parse(&letter.message.head) else { panic!("it is an update") };
/// let mut body = BodyReader::new(letter.message.body.as_bytes());
/// let taken = world.at("SOUTH/SALES").transact(|tables, context, _| {
///     let applied = requestor::receive(tables, context, &update, &mut body)?;
///     assert_eq!(applied.rows, 1);
///     // The log names the row that decided: the list fits, and was applied.
///     assert_eq!(context.events.last().map(|event| event.row), Some(Row::R17));
///     Ok::<_, ReceiveError>(())
/// });
/// assert!(taken.is_ok());
/// ```
///
/// # Errors
///
/// See [`ReceiveError`]: the transaction has to be rolled back, and for anything but a store
/// error the message is refused.
pub fn receive(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    update: &Update,
    body: &mut dyn TransactionSource,
) -> Result<Applied, ReceiveError> {
    let changes = OwnChanges::begin(tables, context.now)?;
    let mut reception = Reception { changes, context: context.reborrow(), update };
    let applied = reception.decide(body)?;
    reception.changes.finish()?;
    Ok(applied)
}

impl Reception<'_> {
    fn decide(&mut self, body: &mut dyn TransactionSource) -> Result<Applied, ReceiveError> {
        let (state, update) = (&self.changes.state, self.update);
        if update.to != state.name || update.from != state.server {
            return Err(ReceiveError::Contradiction(format!(
                "it is from {} to {}, and this is {} with the server {}",
                update.from, update.to, state.name, state.server
            )));
        }
        if matches!(state.mode, Mode::Fenced | Mode::Removed) {
            return Ok(Applied { for_another: self.is_for_another(), ..Applied::default() });
        }
        check_update(state, update)?;
        if !self.hear_server_epoch() {
            return Ok(Applied::default());
        }
        if let Some(side) = update.side.filter(|side| side.is_notice()) {
            let for_another = self.is_for_another();
            let notice = self.hear_notice(side);
            return Ok(Applied { notice, for_another, ..Applied::default() });
        }
        let previous_answer = match self.take_head(body)? {
            Head::Answer(previous) => previous,
            Head::Taken => return Ok(Applied::default()),
            Head::ForAnother => return Ok(Applied { for_another: true, ..Applied::default() }),
        };
        let answered = Applied { answered: true, ..Applied::default() };
        // R10: an answer without a list leaves the list as it is.
        let Some(list) = &update.body else { return Ok(answered) };
        self.take_list(list, previous_answer, body, answered)
    }
}
