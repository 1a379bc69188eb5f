//! Rows to values and back.

use super::known::Known;
use crate::model::text_of;
use crate::words::spaced;
use crate::{
    Entry, Incoming, Kind, Message, Outgoing, Pending, ReceiptKind, ReceiptRequest, Sequence, State,
    StoreError,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

pub(super) const QUEUED: i64 = 0;
pub(super) const SENDING: i64 = 1;
pub(super) const ACCEPTED: i64 = 2;
pub(super) const FAILED: i64 = 3;
pub(super) const UNKNOWN: i64 = 4;
pub(super) const WAITING: i64 = 10;
pub(super) const ACKNOWLEDGED: i64 = 11;

/// The columns that [`entry`] and [`pending`] read, of `messages m JOIN peers p ON p.id = m.peer`.
pub(super) const COLUMNS: &str = "m.sequence, m.state, m.kind, m.id, m.remote, m.local, m.display_name, m.content_type, \
    m.body, m.at, m.sent_at, m.expires, m.status, m.why, m.call_id, m.from_tag, m.wants, m.delivered_at, m.displayed_at, \
    p.address, m.claimed_from, m.owes";

pub(super) fn sql(sequence: Sequence) -> i64 {
    i64::try_from(sequence.0).unwrap_or(i64::MAX)
}

pub(super) fn sequence(row: &Row<'_>) -> rusqlite::Result<Sequence> {
    Ok(Sequence(row.get::<_, i64>(0)?.unsigned_abs()))
}

pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit.min(crate::MAX_PAGE)).unwrap_or(i64::MAX)
}

pub(super) fn incoming(row: &Row<'_>) -> rusqlite::Result<Incoming> {
    Ok(Incoming {
        // What is seen again is known by the table of keys; a stored message needs it no more.
        key: String::new(),
        id: row.get(3)?,
        from: row.get(4)?,
        to: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
        display_name: row.get(6)?,
        claimed_from: row.get(20)?,
        content_type: row.get(7)?,
        body: row.get(8)?,
        received_at: row.get(9)?,
        sent_at: row.get(10)?,
        expires_at: row.get(11)?,
        wants: request(row)?,
        owes_receipt: row.get::<_, Option<i64>>(21)?.is_some(),
    })
}

fn outgoing(row: &Row<'_>) -> rusqlite::Result<Outgoing> {
    Ok(Outgoing {
        kind: if row.get::<_, i64>(2)? == 0 { Kind::Message } else { Kind::Receipt },
        id: row.get(3)?,
        to: row.get(4)?,
        content_type: row.get(7)?,
        body: row.get(8)?,
        created_at: row.get(9)?,
        expires: row.get(11)?,
        call_id: row.get::<_, Option<String>>(14)?.unwrap_or_default(),
        from_tag: row.get::<_, Option<String>>(15)?.unwrap_or_default(),
        wants: request(row)?,
    })
}

fn state(row: &Row<'_>) -> rusqlite::Result<State> {
    let status: Option<u16> = row.get(12)?;
    let why = || Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(13)?.unwrap_or_default());
    Ok(match row.get::<_, i64>(1)? {
        QUEUED => State::Queued,
        SENDING => State::Sending,
        ACCEPTED => State::Accepted { status: status.unwrap_or(200) },
        FAILED => State::Failed { status, why: why()? },
        _ => State::Unknown { status, why: why()? },
    })
}

/// A state as its number, status and words.
pub(super) fn columns(state: &State) -> (i64, Option<u16>, Option<&str>) {
    match state {
        State::Queued => (QUEUED, None, None),
        State::Sending => (SENDING, None, None),
        State::Accepted { status } => (ACCEPTED, Some(*status), None),
        State::Failed { status, why } => (FAILED, *status, Some(why)),
        State::Unknown { status, why } => (UNKNOWN, *status, Some(why)),
    }
}

pub(super) fn pending(row: &Row<'_>) -> rusqlite::Result<Pending> {
    Ok(Pending { sequence: sequence(row)?, message: outgoing(row)?, state: state(row)? })
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let message = if row.get::<_, i64>(1)? >= WAITING {
        Message::Incoming(incoming(row)?)
    } else {
        Message::Outgoing {
            message: outgoing(row)?,
            state: state(row)?,
            delivered_at: row.get(17)?,
            displayed_at: row.get(18)?,
        }
    };
    Ok(Entry { sequence: sequence(row)?, peer: row.get(19)?, message })
}

pub(super) fn letter(kind: ReceiptKind) -> char {
    match kind {
        ReceiptKind::Delivered => 'd',
        ReceiptKind::Displayed => 's',
        ReceiptKind::Failed => 'f',
    }
}

/// The receipts that are asked for, as text: a line of letters, three for what the receipt repeats, then the route.
pub(super) fn wants(request: Option<&ReceiptRequest>) -> Option<String> {
    let request = request?;
    let all = [
        (request.delivered, ReceiptKind::Delivered),
        (request.displayed, ReceiptKind::Displayed),
        (request.failed, ReceiptKind::Failed),
    ];
    let letters: String = all.iter().filter(|(wanted, _)| *wanted).map(|(_, kind)| letter(*kind)).collect();
    let repeated = [&request.date_time, &request.recipient, &request.original_recipient];
    // A line end in a value would make two of one; no header value has any.
    let line = |text: &String| text.replace('\n', " ");
    let repeated = repeated.into_iter().map(|value| value.as_ref().map(line).unwrap_or_default());
    let lines = std::iter::once(letters).chain(repeated).chain(request.route.iter().map(line));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

fn request(row: &Row<'_>) -> rusqlite::Result<Option<ReceiptRequest>> {
    let Some(text) = row.get::<_, Option<String>>(16)? else { return Ok(None) };
    let mut lines = text.split('\n');
    let letters = lines.next().unwrap_or_default();
    let mut repeated = || lines.next().filter(|text| !text.is_empty()).map(str::to_owned);
    let (date_time, recipient, original_recipient) = (repeated(), repeated(), repeated());
    Ok(Some(ReceiptRequest {
        delivered: letters.contains('d'),
        displayed: letters.contains('s'),
        failed: letters.contains('f'),
        date_time,
        recipient,
        original_recipient,
        route: lines.map(str::to_owned).collect(),
    }))
}

/// The number of a peer; it is made if it is new.
pub(super) fn peer(connection: &Connection, known: &Known, address: &str) -> Result<i64, StoreError> {
    known.peer(address, || {
        let found = connection
            .prepare_cached("SELECT id FROM peers WHERE address = ?1")?
            .query_row([address], |row| row.get(0))
            .optional()?;
        match found {
            Some(id) => Ok(id),
            None => {
                connection.prepare_cached("INSERT INTO peers(address) VALUES (?1)")?.execute([address])?;
                Ok(connection.last_insert_rowid())
            }
        }
    })
}

/// The word in the index that stands for a peer.
pub(super) fn peer_word(peer: i64) -> String {
    format!("p{peer}")
}

/// A message is the newest of its conversation: it moves to the top, counts as `unread`, and its words can be found.
pub(super) fn enters(
    connection: &Connection,
    sequence: i64,
    peer: i64,
    unread: i64,
    content_type: &str,
    body: &[u8],
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE peers SET last = ?1, unread = unread + ?2 WHERE id = ?3")?
        .execute([sequence, unread, peer])?;
    if let Some(text) = text_of(content_type, body) {
        connection
            .prepare_cached("INSERT INTO search(rowid, peer, text) VALUES (?1, ?2, ?3)")?
            .execute(params![sequence, peer_word(peer), spaced(&text)])?;
    }
    Ok(())
}

/// Takes the words of a message out of the index.
pub(super) fn forget_words(
    connection: &Connection,
    sequence: i64,
    peer: i64,
    content_type: &str,
    body: &[u8],
) -> Result<(), StoreError> {
    if let Some(text) = text_of(content_type, body) {
        connection
            .prepare_cached("INSERT INTO search(search, rowid, peer, text) VALUES ('delete', ?1, ?2, ?3)")?
            .execute(params![sequence, peer_word(peer), spaced(&text)])?;
    }
    Ok(())
}

/// Makes the index of words anew.
pub(super) fn index_all(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch("INSERT INTO search(search) VALUES ('delete-all')")?;
    let mut insert = connection.prepare("INSERT INTO search(rowid, peer, text) VALUES (?1, ?2, ?3)")?;
    let mut all =
        connection.prepare("SELECT sequence, peer, content_type, body FROM messages WHERE kind = 0")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (sequence, peer): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (content_type, body): (String, Vec<u8>) = (row.get(2)?, row.get(3)?);
        if let Some(text) = text_of(&content_type, &body) {
            insert.execute(params![sequence, peer_word(peer), spaced(&text)])?;
        }
    }
    Ok(())
}
