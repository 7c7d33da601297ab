//! A server, connected when it is first needed: one for all apps of a source, with one pace and one pool of connections.

use std::{sync::Arc, time::Duration};

use aws_config::{
    BehaviorVersion, environment::EnvironmentVariableRegionProvider, meta::region::RegionProviderChain,
    profile::ProfileFileRegionProvider,
};
use aws_sdk_s3::{
    Client,
    config::{
        ConfigBag, Credentials, Intercept, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        RuntimeComponents, SharedHttpClient, StalledStreamProtectionConfig,
        interceptors::FinalizerInterceptorContextRef,
        retry::{RetryConfig, RetryPartition, TokenBucket},
        timeout::TimeoutConfig,
    },
    error::BoxError,
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use futures::FutureExt;
use tokio::sync::OnceCell;

use super::{
    adaptive::{Adaptive, Turn},
    digest_retry::DigestRetry,
    pace::Pace,
    settings::{Checksums, S3Credentials, S3Settings},
};
use crate::{Error, Result};

/// Between two attempts at a request it waits longer and longer, by chance.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// What the waiting requests draw on together, five or ten for each that is made again; what succeeds gives back.
const RETRY_TOKENS: usize = 5_000;
/// What servers are told that have no regions.
const ANY_REGION: &str = "us-east-1";
/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The least that an upload must bring in a second.
const LEAST_UPLOAD_RATE: u64 = 32 << 10;
/// How long the server may take to put an object together, or to copy a part of one.
const ASSEMBLY_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// A server that speaks S3. Cloning it shares connections, credentials and pace.
#[derive(Clone, Debug)]
pub struct S3Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: S3Settings,
    connected: OnceCell<Client>,
    adaptive: Arc<Adaptive>,
    pace: Pace,
}

impl S3Client {
    /// Nobody is asked yet.
    #[must_use]
    pub fn new(settings: S3Settings) -> Self {
        let pace = Pace::new(settings.requests_per_second);
        let inner = Inner { settings, connected: OnceCell::new(), adaptive: Arc::new(Adaptive::new()), pace };
        Self { inner: Arc::new(inner) }
    }

    /// What was set.
    #[must_use]
    pub fn settings(&self) -> &S3Settings {
        &self.inner.settings
    }

    /// The connected client; the credentials themselves are asked for by the first request.
    pub(super) async fn sdk(&self) -> Result<&Client> {
        self.inner.connected.get_or_try_init(|| connect(&self.inner)).await
    }

    /// Waits for a turn to make a request.
    pub(super) async fn turn(&self) -> Turn {
        let turn = self.inner.adaptive.turn().await;
        self.inner.pace.wait().await;
        turn
    }

    /// How long an upload of so many bytes may take, beside what the stall timeout allows.
    pub(super) fn upload_timeout(&self, bytes: usize) -> aws_sdk_s3::config::Builder {
        let sending = Duration::from_secs(bytes as u64 / LEAST_UPLOAD_RATE);
        reply_within(self.inner.settings.stall_timeout + sending)
    }
}

/// For requests that make the server work.
pub(super) fn assembly_timeout() -> aws_sdk_s3::config::Builder {
    reply_within(ASSEMBLY_TIMEOUT)
}

fn reply_within(limit: Duration) -> aws_sdk_s3::config::Builder {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(limit).build();
    aws_sdk_s3::config::Builder::new().timeout_config(timeouts)
}

async fn connect(inner: &Inner) -> Result<Client> {
    let settings = &inner.settings;
    let stall = settings.stall_timeout;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client(settings).await?)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(settings.attempts.get())
                .with_initial_backoff(FIRST_WAIT)
                .with_max_backoff(LONGEST_WAIT),
        )
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(stall).build())
        // What is read has a clock of our own, which stands still while nobody takes what has come.
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .upload_enabled(true)
                .download_enabled(false)
                .grace_period(stall)
                .build(),
        );
    match (&settings.region, &settings.endpoint) {
        (Some(region), _) => loader = loader.region(Region::new(region.clone())),
        // Elsewhere than at Amazon's nobody has to be asked for one.
        (None, Some(_)) => loader = loader.region(region_elsewhere()),
        (None, None) => {}
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(S3Credentials { access_key_id, secret_access_key }) = &settings.credentials {
        loader = loader.credentials_provider(Credentials::new(access_key_id, secret_access_key, None, None, "coffer"));
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let shared = loader.load().boxed().await;
    let (send, check) = match settings.checksums {
        Checksums::Supported => (RequestChecksumCalculation::WhenSupported, ResponseChecksumValidation::WhenSupported),
        Checksums::Required => (RequestChecksumCalculation::WhenRequired, ResponseChecksumValidation::WhenRequired),
    };
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .request_checksum_calculation(send)
        .response_checksum_validation(check)
        .retry_classifier(DigestRetry)
        .retry_partition(retries())
        .interceptor(Watch(Arc::clone(&inner.adaptive)));
    if shared.region().is_none() {
        config = config.region(Region::from_static(ANY_REGION));
    }
    // Only Amazon's own server is known to answer under a name for each bucket.
    let path_style = settings.path_style.unwrap_or(shared.endpoint_url().is_some());
    Ok(Client::from_conf(config.force_path_style(path_style).build()))
}

fn region_elsewhere() -> RegionProviderChain {
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::from_static(ANY_REGION))
}

/// How many requests may be made again before others that fail are given up at once: enough for all that run at once.
fn retries() -> RetryPartition {
    let tokens = TokenBucket::builder().capacity(RETRY_TOKENS).build();
    RetryPartition::custom("coffer").token_bucket(tokens).build()
}

async fn http_client(settings: &S3Settings) -> Result<SharedHttpClient> {
    let mut trust = TrustStore::default();
    if let Some(file) = &settings.ca_file {
        let what = || format!("reading the certificates in {}", file.display());
        let pem = tokio::fs::read(file).await.map_err(Error::io(what()))?;
        trust = trust.with_pem_certificate(pem);
    }
    let tls = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|error| Error::Setup { what: "TLS".into(), why: error.to_string() })?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .build_https())
}

/// Hears what each attempt at a request was answered.
#[derive(Debug)]
struct Watch(Arc<Adaptive>);

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        if context.response().is_some_and(|response| matches!(response.status().as_u16(), 429 | 503)) {
            self.0.slow_down();
        }
        Ok(())
    }
}
