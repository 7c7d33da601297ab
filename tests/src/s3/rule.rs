//! Which requests the proxy breaks, and how.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::Seen;
use super::sign::percent_decode;
use crate::Random;

/// Something of the test's that is done in the middle of a request. Where it fails, the request's connection is closed and
/// [`super::Proxy::failures`] tells why.
#[derive(Clone)]
pub struct Call(pub(super) Arc<dyn Fn() -> Result<()> + Send + Sync>);

/// Something of the test's that makes another answer of the server's.
#[derive(Clone)]
pub struct Rewrite(pub(super) Arc<dyn Fn(String) -> String + Send + Sync>);

/// What is done to a request. Offsets are of bodies; one that a body does not reach does nothing.
#[derive(Clone, Debug)]
pub enum Action {
    /// Answers with this status and S3's XML of this error code. The server is not asked.
    Status(u16, &'static str),
    /// Asks the server, so that the request takes effect, and then answers so.
    StatusAfter(u16, &'static str),
    /// Asks the server, so that the request takes effect, and then closes the connection without a word.
    CloseAfterwards,
    /// Closes the connection after so many bytes of the answer, whose length is told as the server told it.
    CloseAfter(u64),
    /// Closes both connections after so many bytes of the request, whose length was told whole.
    CloseRequestAfter(u64),
    /// Leaves out so many bytes at the end of the answer, and tells the length that remains.
    ShortBody(u64),
    /// Turns one bit of this byte of the answer.
    FlipResponse(u64),
    /// Turns one bit of this byte of the request.
    FlipRequest(u64),
    /// Sends so many bytes of the answer and then nothing more, for as long as the client waits.
    StallAfter(u64),
    /// Reads nothing of the request's body and never answers.
    StallRequest,
    /// Cuts an answer of XML within its middle `Contents`, or in its middle, and tells the length that remains.
    TruncateXml,
    /// Makes another text of an answer of XML.
    RewriteXml(Rewrite),
    /// Waits before the server is asked.
    Delay(Duration),
    /// Calls before the server is asked.
    Before(Call),
    /// Calls when so many bytes of the answer were sent; no further byte is sent until it returns.
    DuringResponse(u64, Call),
}

impl Action {
    /// [`Action::RewriteXml`].
    pub fn rewrite_xml(rewrite: impl Fn(String) -> String + Send + Sync + 'static) -> Self {
        Self::RewriteXml(Rewrite(Arc::new(rewrite)))
    }

    /// [`Action::Before`].
    pub fn before(call: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        Self::Before(Call(Arc::new(call)))
    }

    /// [`Action::DuringResponse`].
    pub fn during_response(bytes: u64, call: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        Self::DuringResponse(bytes, Call(Arc::new(call)))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Call")
    }
}

impl fmt::Debug for Rewrite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Rewrite")
    }
}

/// An action and the requests it is done to: each one, until a method of this says less.
#[derive(Debug)]
pub struct Rule {
    action: Action,
    method: Option<&'static str>,
    parts: Vec<String>,
    others: Vec<String>,
    occurrence: Occurrence,
    matched: u64,
}

#[derive(Debug)]
enum Occurrence {
    Each,
    Nth(u64),
    First(u64),
    After(u64),
    OneIn(usize, Random),
}

impl Rule {
    /// Does this to each request.
    #[must_use]
    pub fn new(action: Action) -> Self {
        let occurrence = Occurrence::Each;
        Self { action, method: None, parts: Vec::new(), others: Vec::new(), occurrence, matched: 0 }
    }

    /// Of these requests, those of this method.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }

    /// Of these requests, those with this text in path or query, as they are or decoded: `/key`, `partNumber=2`, `uploads`.
    #[must_use]
    pub fn with(mut self, part: &str) -> Self {
        self.parts.push(part.to_owned());
        self
    }

    /// Of these requests, those without this text in path and query.
    #[must_use]
    pub fn without(mut self, part: &str) -> Self {
        self.others.push(part.to_owned());
        self
    }

    /// Of these requests, the one of this number, counted from 1.
    #[must_use]
    pub fn nth(mut self, number: u64) -> Self {
        self.occurrence = Occurrence::Nth(number);
        self
    }

    /// Of these requests, the first so many.
    #[must_use]
    pub fn first(mut self, count: u64) -> Self {
        self.occurrence = Occurrence::First(count);
        self
    }

    /// Of these requests, all but the first so many.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.occurrence = Occurrence::After(count);
        self
    }

    /// Of these requests, about one in so many, drawn by this seed.
    #[must_use]
    pub fn one_in(mut self, share: usize, seed: u64) -> Self {
        self.occurrence = Occurrence::OneIn(share, Random::new(seed));
        self
    }

    /// What is to be done to this request. It is counted.
    pub(super) fn meets(&mut self, request: &Seen) -> Option<Action> {
        if !self.matches(request) {
            return None;
        }
        self.matched += 1;
        let is_it = match &mut self.occurrence {
            Occurrence::Each => true,
            Occurrence::Nth(number) => self.matched == *number,
            Occurrence::First(count) => self.matched <= *count,
            Occurrence::After(count) => self.matched > *count,
            Occurrence::OneIn(share, random) => random.below(*share) == 0,
        };
        is_it.then(|| self.action.clone())
    }

    fn matches(&self, request: &Seen) -> bool {
        let target = format!("{}?{}", request.path, request.query);
        let plain = percent_decode(&target);
        let has = |part: &String| target.contains(part) || plain.contains(part);
        let is_method = self.method.is_none_or(|method| method == request.method);
        is_method && self.parts.iter().all(has) && !self.others.iter().any(has)
    }
}
