//! Backups as rows.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row, query};

use super::super::record::{Backup, BackupId, PREFIX, Place, Record, State};
use super::super::word;
use super::BackupFilter;
use crate::{Error, Result};

type Statement = Query<'static, Any, AnyArguments>;

fn value<T: DeserializeOwned>(word: &str) -> Result<T> {
    serde_json::from_value(Value::String(word.to_owned())).map_err(|_| unreadable("a word of a later version"))
}

fn unreadable(what: &str) -> Error {
    Error::State { place: "backups".into(), why: format!("{what} stands there") }
}

fn count(value: Option<u64>) -> Option<i64> {
    value.and_then(|value| i64::try_from(value).ok())
}

/// Everything that is known of a good backup.
pub(super) fn upsert(record: &Record) -> Result<Statement> {
    let sql = "INSERT INTO backups (id, source, app, created, state, started_by, milliseconds, bytes, sha256, row_count,
                   table_count, object_count, object_bytes, vanished, skipped, index_digest, engine, recipients, signed_by, notice)
               VALUES ($1, $2, $3, $4, 'good', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
               ON CONFLICT (id) DO UPDATE SET created = excluded.created,
                   state = CASE backups.state WHEN 'deleting' THEN 'deleting' ELSE 'good' END, started_by = excluded.started_by,
                   milliseconds = excluded.milliseconds, bytes = excluded.bytes, sha256 = excluded.sha256,
                   row_count = excluded.row_count, table_count = excluded.table_count, object_count = excluded.object_count,
                   object_bytes = excluded.object_bytes, vanished = excluded.vanished, skipped = excluded.skipped,
                   index_digest = excluded.index_digest, engine = excluded.engine, recipients = excluded.recipients,
                   signed_by = excluded.signed_by, notice = excluded.notice, error = NULL,
                   worker = CASE backups.state WHEN 'deleting' THEN backups.worker ELSE NULL END";
    let recipients = list(&record.recipients);
    // A figure of seconds with three digits is exact in milliseconds for some thousand years.
    let milliseconds =
        record.seconds.map(|seconds| std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let milliseconds = milliseconds.and_then(|duration| i64::try_from(duration.as_millis()).ok());
    Ok(query(sql)
        .bind(record.id()?.0.to_string())
        .bind(record.source.clone())
        .bind(record.app.clone())
        .bind(record.created()?.as_second())
        .bind(word(&record.trigger))
        .bind(milliseconds)
        .bind(count(record.bytes))
        .bind(record.sha256.clone())
        .bind(count(record.rows))
        .bind(count(record.tables))
        .bind(count(record.objects))
        .bind(count(record.object_bytes))
        .bind(count(record.vanished))
        .bind(count(record.skipped))
        .bind(record.index_digest.clone())
        .bind(record.engine.clone())
        .bind(recipients)
        .bind(record.signed_by.clone())
        .bind(record.notice.clone()))
}

/// Where an archive stands.
pub(super) fn upsert_place(id: BackupId, place: &Place) -> Statement {
    let sql = "INSERT INTO copies (backup, vault, path, bytes, sha256, recipients) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (backup, vault) DO UPDATE SET path = excluded.path, bytes = excluded.bytes,
                   sha256 = excluded.sha256, recipients = excluded.recipients";
    let insert = query(sql).bind(id.0.to_string()).bind(place.vault.clone()).bind(place.path.clone());
    insert.bind(count(place.bytes)).bind(place.sha256.clone()).bind(list(&place.recipients))
}

fn list(texts: &Option<Vec<String>>) -> Option<String> {
    texts.as_ref().map(|list| Value::from(list.as_slice()).to_string())
}

/// The rows of backups, each with each of its places.
pub(super) fn select(filter: &BackupFilter) -> Statement {
    let sql = "SELECT b.*, c.vault, c.path, c.bytes AS copy_bytes, c.sha256 AS copy_sha256, c.recipients AS copy_recipients FROM (
                   SELECT * FROM backups
                   WHERE ($1 = '' OR source = $1) AND ($2 = '' OR app = $2) AND ($3 = '' OR state = $3)
                     AND ($4 = 0 OR state <> 'failed') AND created <= $5
                     AND (created < $6 OR (created = $6 AND id < $7))
                   ORDER BY created DESC, id DESC LIMIT $8) b
               LEFT JOIN copies c ON c.backup = b.id
               ORDER BY b.created DESC, b.id DESC, c.vault";
    let name = |name: &Option<crate::name::Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
    let (after, after_id) = match filter.after {
        Some((time, id)) => (time.as_second(), id.0.to_string()),
        None => (i64::MAX, String::new()),
    };
    let limit = if filter.limit == 0 { i64::MAX } else { i64::from(filter.limit) };
    query(sql)
        .bind(name(&filter.source))
        .bind(name(&filter.app))
        .bind(filter.state.as_ref().map(word).unwrap_or_default())
        .bind(i64::from(filter.without_failed && filter.state.is_none()))
        .bind(filter.until.map_or(i64::MAX, Timestamp::as_second))
        .bind(after)
        .bind(after_id)
        .bind(limit)
}

/// Those whose id begins so; at most a few.
pub(super) fn select_by_beginning(digits: &str) -> Statement {
    let sql = "SELECT b.*, c.vault, c.path, c.bytes AS copy_bytes, c.sha256 AS copy_sha256, c.recipients AS copy_recipients FROM (SELECT * FROM backups WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT 3) b
               LEFT JOIN copies c ON c.backup = b.id ORDER BY b.created DESC, b.id DESC, c.vault";
    let last = format!("{digits:f<32}");
    query(sql).bind(digits.to_owned()).bind(last)
}

/// One backup from the rows of its places.
pub(super) fn join(rows: Vec<AnyRow>) -> Result<Vec<Backup>> {
    let mut backups: Vec<Backup> = Vec::new();
    for row in rows {
        let (backup, place) = read(&row).map_err(|error| unreadable(&error.to_string()))??;
        let last = match backups.last_mut() {
            Some(last) if last.record.id == backup.record.id => last,
            _ => {
                backups.push(backup);
                let Some(last) = backups.last_mut() else { continue };
                last
            }
        };
        if let Some(place) = place {
            last.vaults.push(place.vault.clone());
            last.places.push(place);
        }
    }
    Ok(backups)
}

fn read(row: &AnyRow) -> sqlx::Result<Result<(Backup, Option<Place>)>> {
    let number = |column: &str| -> sqlx::Result<Option<u64>> {
        Ok(row.try_get::<Option<i64>, _>(column)?.and_then(|number| u64::try_from(number).ok()))
    };
    let text = |column: &str| row.try_get::<Option<String>, _>(column);
    let texts = |column: &str| -> sqlx::Result<Option<Vec<String>>> {
        Ok(text(column)?.and_then(|list| serde_json::from_str(&list).ok()))
    };
    let (trigger, state): (String, String) = (row.try_get("started_by")?, row.try_get("state")?);
    let created = Timestamp::from_second(row.try_get("created")?).unwrap_or(Timestamp::UNIX_EPOCH);
    let milliseconds = number("milliseconds")?.and_then(|milliseconds| u32::try_from(milliseconds).ok());
    let record = |trigger| -> sqlx::Result<Record> {
        Ok(Record {
            id: format!("{}{}", PREFIX, row.try_get::<String, _>("id")?),
            source: row.try_get("source")?,
            app: row.try_get("app")?,
            created: format!("{created:.0}"),
            trigger,
            seconds: milliseconds.map(|milliseconds| f64::from(milliseconds) / 1_000.0),
            bytes: number("bytes")?,
            sha256: text("sha256")?,
            rows: number("row_count")?,
            tables: number("table_count")?,
            objects: number("object_count")?,
            object_bytes: number("object_bytes")?,
            vanished: number("vanished")?,
            skipped: number("skipped")?,
            index_digest: text("index_digest")?,
            engine: text("engine")?,
            recipients: texts("recipients")?,
            signed_by: text("signed_by")?,
            notice: text("notice")?,
        })
    };
    let place = match text("vault")?.zip(text("path")?) {
        Some((vault, path)) => {
            let (bytes, sha256) = (number("copy_bytes")?, text("copy_sha256")?);
            Some(Place { vault, path, bytes, sha256, recipients: texts("copy_recipients")? })
        }
        None => None,
    };
    let (trigger, state) = match (value(&trigger), value::<State>(&state)) {
        (Ok(trigger), Ok(state)) => (trigger, state),
        (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
    };
    let error = text("error")?;
    let backup = Backup { record: record(trigger)?, state, vaults: Vec::new(), error, places: Vec::new() };
    Ok(Ok((backup, place)))
}
