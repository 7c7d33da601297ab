//! What a reader accepts of an archive that it has no reason to trust.

/// Upper bounds for one reading; passing one ends it with [`crate::Error::Limit`].
#[derive(Debug, Clone)]
pub struct Limits {
    /// Entries, index blocks among them.
    pub entries: u64,
    /// Bytes of the tar layer.
    pub bytes: u64,
    /// Bytes of the tar layer for each byte of the compressed layer, asked once 64 MiB have been unpacked. Deflate
    /// itself can't pass 1,032 (RFC 1951), and zstd 32,768 by much (RFC 8878: 128 KiB in four bytes).
    pub expansion: u64,
    /// Bytes of manifest, schema, SQL, sequences and summary, each: they are held whole.
    pub document_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 1 << 36, bytes: 1 << 50, expansion: 1 << 16, document_bytes: Self::DOCUMENT_MAX_BYTES }
    }
}

impl Limits {
    /// The largest document that a writer makes and a reader takes where nothing else is said.
    pub(crate) const DOCUMENT_MAX_BYTES: u64 = 16 << 20;
    /// The largest manifest. It is a page, and its lists take many times their size in memory.
    pub(crate) const MANIFEST_MAX_BYTES: u64 = 1 << 20;
    /// Unpacked bytes below which nobody asks for the rate of expansion.
    pub(crate) const EXPANSION_FROM_BYTES: u64 = 64 << 20;
}
