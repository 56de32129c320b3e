//! The server's state, and the state that it keeps about each requestor.

use dirsync_directory::{BucketSums, PostofficeName, escape, unescape};
use dirsync_message::{Health, ReqSeq, Side, SrvSeq};
use dirsync_protocol::tables::{
    Agreement, Answered, Copies, Position, Registration, RegistrationState, ServerState,
    SideAnswer, Stored,
};
use rusqlite::params;

use super::columns::{Columns, integer, text_of, words_of};
use super::requestor_state::{read_sent, sent_text};
use super::transaction::SqliteTransaction;

/// Selects the columns in the order in which [`read_registration`] reads them.
macro_rules! select_registration {
    ($rest:literal) => {
        concat!(
            "SELECT name, state, key, invitation, expires, places, view_allowed, view_wanted, \
             epoch, retired, acknowledged, answer_due, send_own, challenge, \
             challenged, side_answers, taken, copies, point, list_digest, list_bad, bucket_bits, buckets, list_equal, list_since, \
             answered_in, answered_upto, spoke_in, own_digest, last_contact, version, held, quarantined, clock FROM registration ",
            $rest
        )
    };
}

const PUT: &str = "REPLACE INTO registration (folded, name, state, key, invitation, expires, \
     places, view_allowed, view_wanted, epoch, retired, acknowledged, \
     answer_due, send_own, challenge, challenged, side_answers, taken, copies, point, list_digest, list_bad, bucket_bits, \
     buckets, list_equal, list_since, answered_in, answered_upto, spoke_in, own_digest, last_contact, version, held, \
     quarantined, clock) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, \
     ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35)";

fn state_word(state: RegistrationState) -> &'static str {
    match state {
        RegistrationState::Invited => "invited",
        RegistrationState::Active => "active",
        RegistrationState::Suspended => "suspended",
        RegistrationState::Removed => "removed",
    }
}

fn read_state(word: &str) -> Option<RegistrationState> {
    match word {
        "invited" => Some(RegistrationState::Invited),
        "active" => Some(RegistrationState::Active),
        "suspended" => Some(RegistrationState::Suspended),
        "removed" => Some(RegistrationState::Removed),
        _ => None,
    }
}

fn copies_word(copies: Copies) -> &'static str {
    match copies {
        Copies::One => "one",
        Copies::Contest => "contest",
        Copies::Fenced => "fenced",
    }
}

fn read_copies(word: &str) -> Option<Copies> {
    match word {
        "one" => Some(Copies::One),
        "contest" => Some(Copies::Contest),
        "fenced" => Some(Copies::Fenced),
        _ => None,
    }
}

fn side_line(answer: &SideAnswer) -> String {
    let side = answer.side.word();
    format!("{} {side} {} {}\n", answer.epoch, answer.answers, answer.request_id)
}

fn read_side_line(line: &str) -> Option<SideAnswer> {
    let mut words = line.split(' ');
    Some(SideAnswer {
        epoch: words.next()?.parse().ok()?,
        side: Side::of_word(words.next()?)?,
        answers: words.next()?.parse().ok()?,
        request_id: words.next()?.parse().ok()?,
    })
}

fn places_text(places: &[String]) -> String {
    places.iter().map(|place| format!("{}\n", escape(place))).collect()
}

fn read_places(text: &str) -> Option<Vec<String>> {
    text.lines().map(|line| unescape(line).map(String::from)).collect()
}

fn buckets_text(sums: &BucketSums) -> String {
    sums.0.iter().map(|(bucket, digest)| format!("{bucket} {digest}\n")).collect()
}

fn read_buckets(text: &str) -> Option<BucketSums> {
    let bucket = |line: &str| {
        let (bucket, digest) = line.split_once(' ')?;
        Some((bucket.parse().ok()?, digest.parse().ok()?))
    };
    text.lines().map(bucket).collect::<Option<_>>().map(BucketSums)
}

fn read_position(columns: &mut Columns<'_, '_>) -> Stored<Position> {
    Ok(Position {
        point: columns.optional_parsed()?,
        digest: columns.parsed()?,
        bad: columns.flag()?,
        buckets: match columns.optional_small()? {
            Some(bits) => Some((bits, columns.read(read_buckets)?)),
            None => {
                columns.skip(1);
                None
            }
        },
    })
}

fn read_agreement(columns: &mut Columns<'_, '_>) -> Stored<Agreement> {
    let equal = columns.optional_integer()?.map(|flag| flag != 0);
    Ok(Agreement { equal, since: columns.number()? })
}

fn read_invitation(columns: &mut Columns<'_, '_>) -> Stored<Option<(String, u64)>> {
    let Some(hash) = columns.optional_text()? else {
        columns.skip(1);
        return Ok(None);
    };
    Ok(Some((hash.into(), columns.number()?)))
}

fn read_registration(columns: &mut Columns<'_, '_>) -> Stored<Registration> {
    Ok(Registration {
        name: columns.parsed()?,
        state: columns.read(read_state)?,
        key: columns.optional_text()?.map(str::to_owned),
        invitation: read_invitation(columns)?,
        places: columns.read(read_places)?,
        view_allowed: columns.view()?,
        view_wanted: columns.view()?,
        epoch: columns.optional_parsed()?,
        retired: columns.words()?,
        acknowledged: ReqSeq(columns.number()?),
        answer_due: columns.flag()?,
        send_own: columns.flag()?,
        challenge: columns.optional_parsed()?,
        challenged: columns.optional_parsed()?,
        side_answers: columns.read(|text| text.lines().map(read_side_line).collect())?,
        taken: read_sent(columns)?,
        copies: columns.read(read_copies)?,
        position: read_position(columns)?,
        agreement: read_agreement(columns)?,
        answered: Answered { cycle: columns.number()?, upto: SrvSeq(columns.number()?) },
        spoke_in: columns.optional_parsed()?,
        own_digest: columns.parsed()?,
        last_contact: columns.number()?,
        health: Health {
            version: columns.text()?.into(),
            held: columns.number()?,
            quarantined: columns.number()?,
            clock: columns.number()?,
        },
    })
}

impl SqliteTransaction<'_> {
    pub(super) fn read_registrations(&mut self) -> Stored<Vec<Registration>> {
        let sql = select_registration!("ORDER BY folded");
        self.all("read the registrations", sql, [], |columns, _| read_registration(columns))
    }

    pub(super) fn find_registration(
        &mut self,
        name: &PostofficeName,
    ) -> Stored<Option<Registration>> {
        let sql = select_registration!("WHERE folded = ?1");
        self.one("read a registration", sql, [name.folded()], |columns, _| {
            read_registration(columns)
        })
    }

    pub(super) fn write_registration(&mut self, registration: &Registration) -> Stored<()> {
        let action = "write a registration";
        let (position, health) = (&registration.position, &registration.health);
        let invitation = registration.invitation.as_ref();
        let buckets = position.buckets.as_ref();
        let params = params![
            registration.name.folded(),
            registration.name.as_str(),
            state_word(registration.state),
            registration.key,
            invitation.map(|(hash, _)| hash),
            invitation.map(|(_, expires)| integer(action, *expires)).transpose()?,
            places_text(&registration.places),
            registration.view_allowed.to_string(),
            registration.view_wanted.to_string(),
            text_of(&registration.epoch),
            words_of(&registration.retired),
            integer(action, registration.acknowledged.0)?,
            registration.answer_due,
            registration.send_own,
            text_of(&registration.challenge),
            text_of(&registration.challenged),
            registration.side_answers.iter().map(side_line).collect::<String>(),
            sent_text(&registration.taken),
            copies_word(registration.copies),
            text_of(&position.point),
            position.digest.to_string(),
            position.bad,
            buckets.map(|(bits, _)| bits),
            buckets.map(|(_, sums)| buckets_text(sums)),
            registration.agreement.equal,
            integer(action, registration.agreement.since)?,
            integer(action, registration.answered.cycle)?,
            integer(action, registration.answered.upto.0)?,
            text_of(&registration.spoke_in),
            registration.own_digest.to_string(),
            integer(action, registration.last_contact)?,
            health.version,
            integer(action, health.held)?,
            integer(action, health.quarantined)?,
            integer(action, health.clock)?,
        ];
        self.execute(action, PUT, params).map(|_| ())
    }

    pub(super) fn read_server(&mut self) -> Stored<Option<ServerState>> {
        let sql = "SELECT epoch, head, horizon, recovering, fenced, cycle, claims, last_run, \
                   overtaken, overtaken_at FROM server";
        self.one("read the server's state", sql, [], |columns, _| {
            Ok(ServerState {
                epoch: columns.parsed()?,
                head: SrvSeq(columns.number()?),
                horizon: SrvSeq(columns.number()?),
                recovering: columns.flag()?,
                fenced: columns.flag()?,
                cycle: columns.number()?,
                claims: columns.number()?,
                last_run: columns.number()?,
                overtaken: columns.number()?,
                overtaken_at: columns.number()?,
            })
        })
    }

    pub(super) fn write_server(&mut self, state: &ServerState) -> Stored<()> {
        let action = "write the server's state";
        let sql = "REPLACE INTO server (one, epoch, head, horizon, recovering, fenced, cycle, \
                   claims, last_run, overtaken, overtaken_at) \
                   VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let params = params![
            state.epoch.to_string(),
            integer(action, state.head.0)?,
            integer(action, state.horizon.0)?,
            state.recovering,
            state.fenced,
            integer(action, state.cycle)?,
            integer(action, state.claims)?,
            integer(action, state.last_run)?,
            integer(action, state.overtaken)?,
            integer(action, state.overtaken_at)?,
        ];
        self.execute(action, sql, params).map(|_| ())
    }
}
