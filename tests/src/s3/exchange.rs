//! One request of the proxy: to the server, and its answer back.

use std::io;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use hyper::{Request, Response};

use super::body::{Fault, Flow, Side};
use super::connections::Body;
use super::proxy::Shared;
use super::rule::Action;
use super::seen::{InFlight, Record};

/// No answer of XML is longer.
const LONGEST_XML: usize = 64 << 20;

/// The answer to a request, after all that the rules do; with an error the connection is closed.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>> {
    let in_flight = shared.books.enter();
    let record = shared.books.note(&request);
    let actions = shared.actions(record.head());
    let exchange = Exchange { shared, record, actions };
    exchange.answer(request, in_flight).await
}

struct Exchange {
    shared: Arc<Shared>,
    record: Arc<Record>,
    actions: Vec<Action>,
}

impl Exchange {
    async fn answer(self, request: Request<Incoming>, in_flight: InFlight) -> Result<Response<Body>> {
        self.before().await?;
        if let Some(&Action::Status(status, code)) = self.find(|action| matches!(action, Action::Status(..))) {
            drain(request.into_body()).await?;
            drop(in_flight);
            return self.error(status, code);
        }
        let mut connection = self.shared.connections.take().await?;
        let response = connection.send_request(self.forwarded(request)).await?;
        let (mut head, body) = response.into_parts();
        remove_hop_by_hop(&mut head.headers);
        let shared = Arc::clone(&self.shared);
        let at_end = move || {
            drop(in_flight);
            shared.connections.give_back(connection);
        };
        self.finish(Response::from_parts(head, body), Box::new(at_end)).await
    }

    fn find(&self, wanted: impl Fn(&Action) -> bool) -> Option<&Action> {
        self.actions.iter().find(|action| wanted(action))
    }

    /// What is done before the server is asked.
    async fn before(&self) -> Result<()> {
        for action in &self.actions {
            match action {
                Action::Delay(time) => tokio::time::sleep(*time).await,
                Action::Before(call) => self.shared.call(call.clone()).await?,
                Action::StallRequest => {
                    self.record.mark_broken();
                    std::future::pending().await
                }
                _ => continue,
            }
            self.record.mark_broken();
        }
        Ok(())
    }

    fn forwarded(&self, request: Request<Incoming>) -> Request<Body> {
        let (mut head, body) = request.into_parts();
        remove_hop_by_hop(&mut head.headers);
        if body.is_end_stream() {
            // Of unknown length it would be sent in chunks.
            return Request::from_parts(head, whole(Bytes::new()));
        }
        let fault = |action: &Action| match action {
            Action::CloseRequestAfter(at) => Some(Fault::Close(*at)),
            Action::FlipRequest(at) => Some(Fault::Flip(*at)),
            _ => None,
        };
        let faults = self.actions.iter().filter_map(fault).collect();
        let length = length(&head.headers);
        let flow = self.flow(streamed(body), Side::Request, faults, length);
        Request::from_parts(head, flow.into_body())
    }

    /// What becomes of the server's answer.
    async fn finish(self, response: Response<Incoming>, at_end: Box<dyn FnOnce() + Send>) -> Result<Response<Body>> {
        let afterwards = |action: &Action| matches!(action, Action::StatusAfter(..) | Action::CloseAfterwards);
        if let Some(action) = self.find(afterwards) {
            let instead = match action {
                Action::StatusAfter(status, code) => Some((*status, *code)),
                _ => None,
            };
            self.record.mark_broken();
            drain(response.into_body()).await?;
            at_end();
            let Some((status, code)) = instead else { bail!("a rule of the test closes this connection") };
            return self.error(status, code);
        }
        let is_xml = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"/xml"));
        let rewrites = |action: &Action| matches!(action, Action::TruncateXml | Action::RewriteXml(_));
        let (mut head, body) = response.into_parts();
        let mut source = streamed(body);
        if is_xml && self.find(rewrites).is_some() {
            let text = self.rewritten(collect(source).await?);
            head.headers.insert(CONTENT_LENGTH, text.len().into());
            source = whole(text.into());
        }
        let status = head.status.as_u16();
        self.record.answered(status);
        let mut flow = if self.record.head().method == "HEAD" || matches!(status, 204 | 304) {
            self.flow(source, Side::Response, Vec::new(), Some(0))
        } else {
            self.shorten(&mut head.headers);
            let length = length(&head.headers);
            self.flow(source, Side::Response, self.response_faults(length), length)
        };
        flow.at_end = Some(at_end);
        Ok(Response::from_parts(head, flow.into_body()))
    }

    /// Tells a length that is less than the server's; the body ends where its length says.
    fn shorten(&self, headers: &mut HeaderMap) {
        for action in &self.actions {
            if let (Action::ShortBody(less), Some(length)) = (action, length(headers)) {
                headers.insert(CONTENT_LENGTH, length.saturating_sub(*less).into());
                self.record.mark_broken();
            }
        }
    }

    fn response_faults(&self, length: Option<u64>) -> Vec<Fault> {
        let fault = |action: &Action| match action {
            Action::CloseAfter(at) => Some(Fault::Close(*at)),
            Action::StallAfter(at) => Some(Fault::Stall(*at)),
            Action::FlipResponse(at) => Some(Fault::Flip(*at)),
            Action::DuringResponse(at, call) => Some(Fault::Call(*at, call.clone())),
            Action::ShortBody(_) => Some(Fault::End(length?)),
            _ => None,
        };
        self.actions.iter().filter_map(fault).collect()
    }

    /// An answer that no server gave, with S3's XML of an error.
    fn error(&self, status: u16, code: &str) -> Result<Response<Body>> {
        self.record.mark_broken();
        self.record.answered(status);
        let message = "a rule of the test answers so";
        let text = format!("<Error><Code>{code}</Code><Message>{message}</Message><RequestId>0</RequestId></Error>");
        let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{text}");
        let length = text.len();
        let record = &self.record;
        record.response_bytes.store(length.try_into()?, std::sync::atomic::Ordering::Relaxed);
        Ok(Response::builder().status(status).header(CONTENT_TYPE, "application/xml").body(whole(text.into()))?)
    }

    fn rewritten(&self, mut text: String) -> String {
        for action in &self.actions {
            text = match action {
                Action::TruncateXml => truncated(&text),
                Action::RewriteXml(rewrite) => (rewrite.0)(text),
                _ => continue,
            };
            self.record.mark_broken();
        }
        text
    }

    fn flow(&self, source: Body, side: Side, faults: Vec<Fault>, length: Option<u64>) -> Flow {
        let (record, shared) = (Arc::clone(&self.record), Arc::clone(&self.shared));
        Flow { source, faults, record, side, shared, length, at_end: None, at: 0, left: Bytes::new() }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// These are of one connection, and each side has its own.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn streamed(body: Incoming) -> Body {
    body.map_err(io::Error::other).boxed_unsync()
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

async fn drain(mut body: Incoming) -> Result<()> {
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(())
}

async fn collect(mut body: Body) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(&frame?.into_data().unwrap_or_default());
        ensure!(bytes.len() <= LONGEST_XML, "an answer of XML is longer than {LONGEST_XML} bytes");
    }
    Ok(String::from_utf8(bytes)?)
}

/// The text up to the middle of its middle `Contents`, or to its middle.
fn truncated(text: &str) -> String {
    let starts: Vec<_> = text.match_indices("<Contents>").map(|(at, _)| at).collect();
    let end = starts.get(starts.len() / 2).map_or(text.len() / 2, |start| start + "<Contents><Key>".len());
    text.char_indices().take_while(|&(at, _)| at < end).map(|(_, letter)| letter).collect()
}
