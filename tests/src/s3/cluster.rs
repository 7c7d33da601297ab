//! A gateway's folder: its settings, its certificate, and the three processes behind it, by Ceph's own programs.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::tool;

/// Nothing here has to outlive a crash of the machine, and nothing is waited for that a test would have to wait for: a
/// monitor proposes at once, and who missed an answer asks again at once. So a start takes two seconds in place of twelve.
/// What was deleted is freed soon, for it may be memory.
const SETTINGS: &str = "
fsid = 5b8b2cbc-3c4f-4d4f-9a51-6f0f6d5a3c11
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
auth_allow_insecure_global_id_reclaim = false
admin_socket =
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_client_watch_timeout = 2
osd_heartbeat_interval = 1
osd_memory_target = 1073741824
osd_op_queue = wpq
memstore_device_bytes = 68719476736
bluestore_block_size = 68719476736
bluestore_block_db_create = false
bluestore_block_wal_create = false
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 1
paxos_propose_interval = 0.02
paxos_min_wait = 0.005
objecter_tick_interval = 0.2
debug_rgw = 0/0
debug_osd = 0/0
debug_ms = 0/0
debug_memstore = 0/0
debug_objecter = 0/0
debug_rados = 0/0
debug_objclass = 0/0
rgw_thread_pool_size = 64
rgw_crypt_require_ssl = false
rgw_gc_obj_min_wait = 2
rgw_gc_processor_period = 2
rgw_gc_processor_max_time = 2
";
const DISK: &str = "7e0b3f3e-6d5e-4d43-8f0a-0a1a6a1f5b0e";
/// The names that it goes by, beside Ceph's own.
const SUBJECT: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";

/// Where objects lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Memory,
    Disk,
}

/// Ports of one start.
pub(super) struct Ports {
    pub(super) monitor: u16,
    pub(super) plain: u16,
    pub(super) secure: u16,
}

impl Ports {
    pub(super) fn free() -> Result<Self> {
        let listen = || Ok::<_, anyhow::Error>(std::net::TcpListener::bind("127.0.0.1:0")?);
        // All held at once, so that they differ.
        let (monitor, plain, secure) = (listen()?, listen()?, listen()?);
        let port = |listener: &std::net::TcpListener| Ok::<_, anyhow::Error>(listener.local_addr()?.port());
        Ok(Self { monitor: port(&monitor)?, plain: port(&plain)?, secure: port(&secure)? })
    }
}

/// A process of the server, killed when this is dropped.
pub(super) struct Process(Child);

impl Process {
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Writes settings, keys and an empty monitor's store.
pub(super) fn prepare(folder: &Path, ports: &Ports, place: Place) -> Result<()> {
    std::fs::create_dir(folder.join("mon"))?;
    std::fs::create_dir(folder.join("osd"))?;
    make_certificate(folder)?;
    std::fs::write(folder.join("ceph.conf"), settings(folder, ports, place))?;
    let key = String::from_utf8(ceph("ceph-authtool", folder, &["--gen-print-key"])?)?;
    std::fs::write(folder.join("keyring"), keyring(key.trim()))?;
    let here = |name: &str| folder.join(name).display().to_string();
    let monitor = format!("[v2:127.0.0.1:{}]", ports.monitor);
    let fsid = SETTINGS.lines().find_map(|line| line.strip_prefix("fsid = ")).unwrap_or_default();
    tool("monmaptool", ["--create", "--fsid", fsid, "--addv", "a", &monitor, &here("monmap")])?;
    let files = ["--monmap", &here("monmap"), "--keyring", &here("keyring")];
    ceph("ceph-mon", folder, &[&["-i", "a", "--mkfs"], files.as_slice()].concat()).map(drop)
}

/// Starts the monitor and the store; what comes back ends in the other order.
pub(super) fn start_store(folder: &Path) -> Result<(Process, Process)> {
    let monitor = spawn("ceph-mon", folder, &["-i", "a"])?;
    ceph("ceph", folder, &["--connect-timeout", "30", "osd", "new", DISK])?;
    ceph("ceph-osd", folder, &["-i", "0", "--mkfs", "--osd-uuid", DISK])?;
    Ok((spawn("ceph-osd", folder, &["-i", "0"])?, monitor))
}

/// Starts the gateway; it does not answer yet.
pub(super) fn start_gateway(folder: &Path) -> Result<Process> {
    spawn("radosgw", folder, &["-n", "client.admin"])
}

/// Runs one of Ceph's programs on the cluster of a folder, and gives back what it wrote to standard output.
pub(super) fn ceph(program: &str, folder: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let settings = folder.join("ceph.conf").display().to_string();
    tool(program, ["-c", &settings].iter().chain(arguments))
}

/// What all processes of a folder have said.
pub(super) fn log(folder: &Path) -> String {
    let files = ["mon", "osd", "radosgw"].map(|name| folder.join(format!("{name}.log")));
    let mut text = String::new();
    for file in files.iter().chain(&["ceph-mon.out", "ceph-osd.out", "radosgw.out"].map(|name| folder.join(name))) {
        text.push_str(&String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()));
    }
    text
}

fn spawn(program: &str, folder: &Path, arguments: &[&str]) -> Result<Process> {
    // Its number is written before it runs, so that no moment is without somebody who ends it.
    let mut command = Command::new("sh");
    command.args(["-c", r#"echo $$ >"$0"; exec "$@""#]).arg(folder.join(format!("{program}.pid")));
    command.args([program, "-f", "-c"]).arg(folder.join("ceph.conf")).args(arguments);
    let said = std::fs::File::create(folder.join(format!("{program}.out")))?;
    command.current_dir("/").stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
    Ok(Process(command.spawn().with_context(|| format!("{program} can't be started"))?))
}

fn settings(folder: &Path, ports: &Ports, place: Place) -> String {
    let (here, Ports { monitor, plain, secure }) = (folder.display(), ports);
    let store = if place == Place::Memory { "memstore" } else { "bluestore" };
    let certificate = format!("ssl_certificate={here}/server.crt ssl_private_key={here}/server.key");
    format!(
        "[global]\nmon_host = [v2:127.0.0.1:{monitor}/0]\nkeyring = {here}/keyring\nrun_dir = {here}\ncrash_dir = {here}\n\
         mon_data = {here}/mon\nosd_data = {here}/osd\nrgw_data = {here}\nosd_objectstore = {store}{SETTINGS}\
         [mon]\nlog_file = {here}/mon.log\n[osd]\nlog_file = {here}/osd.log\n[client.admin]\n\
         log_file = {here}/radosgw.log\n\
         rgw_frontends = beast endpoint=127.0.0.1:{plain} ssl_endpoint=127.0.0.1:{secure} {certificate} tcp_nodelay=1\n"
    )
}

fn keyring(key: &str) -> String {
    format!(
        "[mon.]\n\tkey = {key}\n\tcaps mon = \"allow *\"\n\
         [client.admin]\n\tkey = {key}\n\tcaps mon = \"allow *\"\n\tcaps osd = \"allow *\"\n\tcaps mgr = \"allow *\"\n\
         [osd.0]\n\tkey = {key}\n\tcaps mon = \"allow profile osd\"\n\tcaps osd = \"allow *\"\n"
    )
}

/// An authority of its own, and a certificate for `localhost` and 127.0.0.1 that it signed, good for a day.
fn make_certificate(folder: &Path) -> Result<()> {
    let here = |name: &str| folder.join(name).display().to_string();
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let (authority, authority_key) = (here("authority.crt"), here("authority.key"));
    let own = ["req", "-x509", "-days", "1", "-subj", "/CN=authority of a test", "-keyout", &authority_key];
    tool("openssl", own.iter().chain(&["-out", &authority]).chain(&curve))?;
    let (key, request, extensions) = (here("server.key"), here("server.csr"), here("server.ext"));
    let wanted = ["req", "-new", "-subj", "/CN=localhost", "-keyout", &key, "-out", &request];
    tool("openssl", wanted.iter().chain(&curve))?;
    std::fs::write(&extensions, format!("{SUBJECT}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"))?;
    let signed = ["x509", "-req", "-days", "1", "-in", &request, "-extfile", &extensions, "-out", &here("server.crt")]
        .map(str::to_owned);
    let by = ["-CA", &authority, "-CAkey", &authority_key, "-CAcreateserial"].map(str::to_owned);
    tool("openssl", signed.iter().chain(&by))?;
    ensure!(folder.join("server.crt").exists(), "openssl made no certificate");
    Ok(())
}
