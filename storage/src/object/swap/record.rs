//! A plan as it stands in an import's place: blocks of lines, and a last note that tells a whole one from a begun one.

use bytes::Bytes;
use futures::FutureExt;
use serde::{Deserialize, Serialize};

use super::{
    each::each,
    line::{Line, Op},
    shelves::{Room, Shelves},
};
use crate::{Error, ImportId, Result, SwapPlan};

/// The most lines in a block, and when their keys are long, the most bytes of keys.
const BLOCK_LINES: usize = 1_000;
const BLOCK_BYTES: usize = 1 << 20;
/// The note that ends a plan.
pub(super) const COMPLETE: &str = "plan/complete";

/// A whole plan.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) blocks: u32,
    /// How many lines wait for others to go.
    pub(super) late: u64,
    pub(super) plan: SwapPlan,
}

impl Record {
    /// The plan of an import; none where none was finished.
    pub(super) async fn read(shelves: &dyn Shelves, import: &ImportId) -> Result<Option<Self>> {
        let Some(bytes) = shelves.read_note(import, COMPLETE).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(COMPLETE, import, &error))
    }

    /// One of its blocks.
    pub(super) async fn block(shelves: &dyn Shelves, import: &ImportId, number: u32) -> Result<Vec<Line>> {
        let name = block_name(number);
        let bytes = shelves.read_note(import, &name).await?;
        let bytes = bytes.ok_or_else(|| Error::NotFound { what: format!("{name} of import {import}") })?;
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(|error| damaged(&name, import, &error))).collect()
    }
}

fn block_name(number: u32) -> String {
    format!("plan/{number:08}")
}

fn damaged(name: &str, import: &ImportId, error: &serde_json::Error) -> Error {
    Error::Corrupt { what: format!("{name} of import {import}"), why: error.to_string() }
}

/// A plan in the making.
pub(super) struct Draft<'a> {
    shelves: &'a dyn Shelves,
    lines: Vec<Line>,
    key_bytes: usize,
    record: Record,
}

impl<'a> Draft<'a> {
    pub(super) fn new(shelves: &'a dyn Shelves) -> Self {
        Self { shelves, lines: Vec::new(), key_bytes: 0, record: Record::default() }
    }

    /// Takes the next line, in the order of their keys.
    pub(super) async fn add(&mut self, line: Line) -> Result<()> {
        self.key_bytes += line.key.as_bytes().len();
        self.lines.push(line);
        if self.lines.len() < BLOCK_LINES && self.key_bytes < BLOCK_BYTES {
            return Ok(());
        }
        self.end_block().await
    }

    /// Writes the rest, and that this is all.
    pub(super) async fn finish(mut self) -> Result<SwapPlan> {
        self.end_block().await?;
        self.shelves.sync().await?;
        self.shelves.write_note(COMPLETE, written(&self.record)?.into()).await?;
        Ok(self.record.plan)
    }

    async fn end_block(&mut self) -> Result<()> {
        self.key_bytes = 0;
        let shelves = self.shelves;
        let decided = |line| decide(shelves, line).boxed();
        let mut lines = each(std::mem::take(&mut self.lines), shelves.at_once(), decided).await?;
        if lines.is_empty() {
            return Ok(());
        }
        lines.sort_by(|one, other| one.key.cmp(&other.key));
        let mut block = Vec::new();
        for line in &lines {
            self.count(line);
            block.extend(written(line)?);
            block.push(b'\n');
        }
        self.shelves.write_note(&block_name(self.record.blocks), block.into()).await?;
        self.record.blocks += 1;
        Ok(())
    }

    fn count(&mut self, line: &Line) {
        let plan = &mut self.record.plan;
        match line.op {
            Op::New => plan.new += 1,
            Op::Late => {
                plan.new += 1;
                self.record.late += 1;
            }
            Op::Changed => plan.changed += 1,
            Op::Same => plan.same += 1,
            Op::Gone => plan.gone += 1,
            Op::Left => {}
        }
        if matches!(line.op, Op::Changed | Op::Gone) {
            plan.replaced_bytes += line.live.as_ref().map_or(0, |live| live.size);
        }
    }
}

/// Sees what the listings alone did not tell.
async fn decide(shelves: &dyn Shelves, mut line: Line) -> Result<Line> {
    match (line.op, &line.coming, &line.live) {
        (Op::New, ..) => match shelves.room(&line.key).await? {
            Room::Blocked => line.op = Op::Late,
            Room::Free(folders) => line.folders = folders,
        },
        (Op::Changed, Some(coming), Some(live)) if shelves.is_same(&line.key, coming, live).await? => {
            line.op = Op::Same;
        }
        _ => {}
    }
    // Better now than when half of them are replaced.
    if matches!(line.op, Op::Changed | Op::Gone) {
        shelves.check_kept(&line.key)?;
    }
    Ok(line)
}

fn written(value: &impl Serialize) -> Result<Vec<u8>> {
    let failed = |error: serde_json::Error| Error::Io { what: "writing down a plan".into(), source: error.into() };
    serde_json::to_vec(value).map_err(failed)
}

/// What a note says that is only a number.
pub(super) async fn read_count(shelves: &dyn Shelves, import: &ImportId, name: &str) -> Result<Option<u64>> {
    let Some(bytes) = shelves.read_note(import, name).await? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(name, import, &error))
}

/// Writes such a note.
pub(super) async fn write_count(shelves: &dyn Shelves, name: &str, count: u64) -> Result<()> {
    shelves.write_note(name, Bytes::from(count.to_string())).await
}
