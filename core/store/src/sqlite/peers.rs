//! Whom we know.

use super::known::Known;
use super::row;
use crate::{Peer, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "address, reads_cpim, largest, refuses, learned_at";

fn peer(row: &Row<'_>) -> rusqlite::Result<Peer> {
    let refuses: Option<String> = row.get(3)?;
    Ok(Peer {
        address: row.get(0)?,
        reads_cpim: row.get(1)?,
        largest: row.get(2)?,
        refuses: refuses.iter().flat_map(|text| text.lines()).map(str::to_owned).collect(),
        learned_at: row.get::<_, Option<i64>>(4)?.unwrap_or_default(),
    })
}

pub(super) fn get(connection: &Connection, address: &str) -> Result<Option<Peer>, StoreError> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM peers WHERE address = ?1 AND learned_at IS NOT NULL"
        ))?
        .query_row([address], peer)
        .optional()?;
    Ok(found)
}

pub(super) fn list(connection: &Connection, limit: usize) -> Result<Vec<Peer>, StoreError> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM peers WHERE learned_at IS NOT NULL ORDER BY learned_at DESC LIMIT ?1"
        ))?
        .query_map([row::limit(limit)], peer)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

pub(super) fn put(connection: &Connection, known: &Known, peer: &Peer) -> Result<(), StoreError> {
    let id = row::peer(connection, known, &peer.address)?;
    let refuses = (!peer.refuses.is_empty()).then(|| peer.refuses.join("\n"));
    connection
        .prepare_cached(
            "UPDATE peers SET reads_cpim = ?1, largest = ?2, refuses = ?3, learned_at = ?4 WHERE id = ?5",
        )?
        .execute(params![peer.reads_cpim, peer.largest, refuses, peer.learned_at, id])?;
    Ok(())
}
