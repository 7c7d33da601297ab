//! An archive of ours taken apart and written anew, with something in it that no app would give us.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use coffer_archive::{Compression, Event, Limits, Manifest, ObjectHeader, Reader, Signature, Writer, fingerprint};

/// What one small archive holds; every part can be changed before it is written.
#[derive(Debug, Clone)]
pub struct Contents {
    /// `manifest.json`; its fingerprint is made when it is written.
    pub manifest: Manifest,
    /// `schema.json`.
    pub schema: Vec<u8>,
    /// `pre-data.sql`.
    pub pre_data: Vec<u8>,
    /// `post-data.sql`.
    pub post_data: Vec<u8>,
    /// Tables with their rows.
    pub rows: Vec<(String, Vec<u8>)>,
    /// `sequences.json`.
    pub sequences: Vec<u8>,
    /// Objects with their content, in any order.
    pub objects: Vec<(ObjectHeader, Vec<u8>)>,
    /// The signature in `summary.json`; it is written as it was read.
    pub signature: Option<Signature>,
}

impl Contents {
    /// Takes an unsealed archive apart.
    ///
    /// # Errors
    /// It can't be read.
    pub fn read(archive: &Path) -> Result<Self> {
        let mut reader = Reader::new(File::open(archive)?, Limits::default());
        let Some(Event::Manifest(manifest)) = reader.next_event()? else { anyhow::bail!("no manifest") };
        let Some(Event::Structure { schema, pre_data, post_data }) = reader.next_event()? else {
            anyhow::bail!("no structure")
        };
        let mut contents = Self {
            manifest: *manifest,
            schema: schema.to_vec(),
            pre_data: pre_data.to_vec(),
            post_data: post_data.to_vec(),
            rows: Vec::new(),
            sequences: Vec::new(),
            objects: Vec::new(),
            signature: None,
        };
        while let Some(event) = reader.next_event()? {
            contents.add(event)?;
        }
        contents.signature = reader.into_verified_summary().context("it was not verified")?.signature;
        Ok(contents)
    }

    fn add(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Rows { table, bytes } => match self.rows.last_mut().filter(|(name, _)| **name == *table) {
                Some((_, rows)) => rows.extend_from_slice(&bytes),
                None => self.rows.push((table.to_string(), bytes.to_vec())),
            },
            Event::Sequences(sequences) => self.sequences = sequences.to_vec(),
            Event::Object(header) => self.objects.push((*header, Vec::new())),
            Event::ObjectAgain(header) => {
                self.objects.pop();
                self.objects.push((*header, Vec::new()));
            }
            Event::ObjectBytes(bytes) => {
                self.objects.last_mut().context("no object was begun")?.1.extend_from_slice(&bytes);
            }
            Event::ObjectEnd | Event::Manifest(_) | Event::Structure { .. } => {}
        }
        Ok(())
    }

    /// Adds an object of a few bytes under any key.
    pub fn add_object(&mut self, key: &[u8]) {
        let content = b"evil".to_vec();
        let header = ObjectHeader { key: key.to_vec(), size: content.len() as u64, ..ObjectHeader::default() };
        self.objects.push((header, content));
    }

    /// Writes it as an unsealed archive that is whole.
    ///
    /// # Errors
    /// The format has no place for it.
    pub fn write(mut self, archive: &Path) -> Result<()> {
        self.manifest.fingerprint = fingerprint(&self.schema, &self.pre_data, &self.post_data);
        self.objects.sort_by(|(one, _), (other, _)| one.key.cmp(&other.key));
        let mut writer = Writer::new(File::create(archive)?, &self.manifest, Compression::default())?;
        writer.structure(&self.schema, &self.pre_data, &self.post_data)?;
        for (table, rows) in &self.rows {
            writer.rows(table, rows)?;
        }
        writer.sequences(&self.sequences)?;
        for (header, content) in &self.objects {
            writer.begin_object(header)?;
            writer.object_bytes(content)?;
            writer.end_object()?;
        }
        writer.finish(|_| self.signature)?;
        Ok(())
    }
}
