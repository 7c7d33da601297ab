//! Addresses, pools, TLS, passwords and names.

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::Postgres;
use coffer_tests::shell;

use super::{PASSWORD, SMALL, ensure_comes_back, server, source, with_app};

#[test]
fn a_pool_that_shares_its_sessions_is_found_out() -> Result<()> {
    let tenants = with_app(server()?, "pool", SMALL)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    let pool = server()?.pgbouncer("transaction")?;
    tenants.configure(&source(&pool.url(tenants.db.name(), "pg")))?;
    tenants.export("one", "y.tar.gz", &[])?.ends_with(1, &["pool", "session mode"]).context("an export")?;
    ensure!(!tenants.coffer.path("y.tar.gz").exists(), "it left a file");
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(1, &["pool"]).context("an import")?;
    ensure!(tenants.things_in("tenant_two")? == 0, "something is left");
    let pool = server()?.pgbouncer("session")?;
    tenants.configure(&source(&pool.url(tenants.db.name(), "pg")))?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    ensure_comes_back(&tenants, "notes")
}

#[test]
fn a_server_that_does_not_let_us_in_is_told_by_its_name() -> Result<()> {
    let tenants = with_app(server()?, "outside", SMALL)?;
    let (database, port) = (tenants.db.name().to_owned(), server()?.port());
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let plain = format!("postgres://reader@127.0.0.1:{port}/{database}");
    for (url, code, words) in [
        (
            format!("postgres://reader:wrong@127.0.0.1:{port}/{database}"),
            1,
            &["reader", "password authentication failed"][..],
        ),
        (format!("postgres://nobody_here:x@127.0.0.1:{port}/{database}"), 1, &["nobody_here"]),
        (format!("postgres://pg:pg@127.0.0.1:{port}/no_such_database"), 10, &["no_such_database"]),
        (format!("postgres://pg:pg@127.0.0.1:{free}/{database}"), 1, &["127.0.0.1", "can't be reached"]),
        (format!("postgres://pg:pg@no-such-host.invalid/{database}"), 1, &["no-such-host.invalid", "can't be reached"]),
        (format!("postgres://pg:pg@127.0.0.1:{port}/{database}?sslmode=require"), 1, &["127.0.0.1", "TLS"]),
        (plain, 1, &["reader"]),
    ] {
        tenants.configure(&source(&url))?;
        tenants.export("one", "x.tar.gz", &[])?.ends_with(code, words).context(url.clone())?;
        ensure!(!tenants.coffer.path("x.tar.gz").exists(), "{url}: it left a file");
        let outcome = tenants.coffer.run(["apps"])?;
        ensure!(outcome.code != 0 || url.contains("no_such_database"), "{url}: {outcome:?}");
    }
    Ok(())
}

/// Two authorities, of which the first signs the server's certificate.
const CERTIFICATES: &str = r"
    for name in right wrong; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -keyout $name.key -out $name.crt -subj /CN=$name
    done 2> /dev/null
    printf 'subjectAltName = DNS:localhost\nbasicConstraints = CA:FALSE\n' > extensions
    openssl req -new -key SERVER/server.key -subj /CN=localhost -out server.csr
    openssl x509 -req -in server.csr -CA right.crt -CAkey right.key -CAcreateserial -days 1 -extfile extensions -out server.crt 2> /dev/null
    cat server.crt > SERVER/server.crt";

#[test]
fn tls_is_spoken_and_a_wrong_authority_refused() -> Result<()> {
    let server = Postgres::start_with_tls()?;
    let tenants = with_app(&server, "tls", SMALL)?;
    // Nobody comes in without it.
    let rules = server.folder().join("data/pg_hba.conf");
    let text = std::fs::read_to_string(&rules)?.replace("\nhost ", "\nhostssl ");
    std::fs::write(&rules, text)?;
    shell(tenants.coffer.folder(), &CERTIFICATES.replace("SERVER", &server.folder().display().to_string()))?;
    server.restart()?;
    let url = |options: &str| format!("{}?{options}", tenants.db.superuser_url()).replace("127.0.0.1", "localhost");
    let right = tenants.coffer.path("right.crt").display().to_string();
    let wrong = tenants.coffer.path("wrong.crt").display().to_string();
    for (options, is_taken) in [
        (format!("sslmode=verify-full&sslrootcert={right}"), true),
        (format!("sslmode=verify-ca&sslrootcert={right}"), true),
        ("sslmode=require".to_owned(), true),
        ("sslmode=prefer".to_owned(), true),
        (format!("sslmode=verify-full&sslrootcert={wrong}"), false),
        (format!("sslmode=verify-ca&sslrootcert={wrong}"), false),
        ("sslmode=verify-full".to_owned(), false),
        ("sslmode=disable".to_owned(), false),
        (format!("sslmode=verify-full&sslrootcert={right}.missing"), false),
    ] {
        tenants.configure(&source(&url(&options)))?;
        let outcome = tenants.export("one", "x.tar.gz", &[])?;
        ensure!((outcome.code == 0) == is_taken, "{options}: {outcome:?}");
        if is_taken {
            std::fs::remove_file(tenants.coffer.path("x.tar.gz"))?;
        } else {
            outcome.ends_with(1, &["localhost"]).context(options)?;
        }
    }
    let by_address = url(&format!("sslmode=verify-full&sslrootcert={right}")).replace("localhost", "127.0.0.2");
    tenants.configure(&source(&by_address))?;
    let outcome = tenants.export("one", "x.tar.gz", &[])?;
    ensure!(outcome.code == 1, "a name that the certificate has not: {outcome:?}");
    Ok(())
}

#[test]
fn passwords_come_from_where_they_may_and_are_shown_nowhere() -> Result<()> {
    let tenants = with_app(server()?, "secret", SMALL)?;
    let (database, port) = (tenants.db.name().to_owned(), server()?.port());
    let url = format!("postgres://secretive@127.0.0.1:{port}/{database}");
    let coffer = &tenants.coffer;
    std::fs::write(coffer.path("password"), format!("{PASSWORD}\n"))?;
    std::fs::write(coffer.path("wrong-password"), format!("{PASSWORD}!\n"))?;
    std::fs::write(coffer.path("pgpass"), format!("127.0.0.1:{port}:*:secretive:{PASSWORD}\n"))?;
    shell(coffer.folder(), "chmod 600 password wrong-password pgpass")?;
    let encoded: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let in_url = format!("postgres://secretive:{encoded}@127.0.0.1:{port}/{database}");
    let with_file = |file: &str| format!("{}\ndatabase_password_file = {file:?}", source(&url));
    let pgpass = coffer.path("pgpass").display().to_string();
    let variable = "COFFER_SOURCE_CRM_DATABASE_PASSWORD";
    let password_file = coffer.path("password").display().to_string();
    for (config, variables, is_taken) in [
        (source(&in_url), vec![], true),
        (source(&format!("{url}?password={encoded}")), vec![], true),
        (with_file("password"), vec![], true),
        (source(&url), vec![("PGPASSWORD", PASSWORD)], true),
        (source(&url), vec![("PGPASSFILE", pgpass.as_str())], true),
        (source(&url), vec![(variable, PASSWORD)], true),
        (source(&url), vec![("COFFER_SOURCE_CRM_DATABASE_PASSWORD_FILE", password_file.as_str())], true),
        (with_file("wrong-password"), vec![(variable, PASSWORD)], true),
        (with_file("wrong-password"), vec![], false),
        (with_file("wrong-password"), vec![("PGPASSWORD", PASSWORD)], false),
        (source(&in_url.replace("%21", "").replacen(&encoded, &format!("{encoded}%21"), 1)), vec![], false),
        (with_file("no-such-file"), vec![], false),
        (
            source(&url),
            vec![(variable, PASSWORD), ("COFFER_SOURCE_CRM_DATABASE_PASSWORD_FILE", password_file.as_str())],
            false,
        ),
        (source(&format!("{in_url}?unknown={encoded}")), vec![], false),
        (source(&in_url.replace("postgres://", "postgres:/")), vec![], false),
        (source(&in_url.replace(&format!("@127.0.0.1:{port}"), "@127.0.0.1:notaport")), vec![], false),
        (source(&format!("postgres://secretive:{PASSWORD}@x@127.0.0.1:{port}/{database}")), vec![], false),
        (format!("{}\nnonsense = \"{encoded}\"", source(&in_url)), vec![], false),
    ] {
        tenants.configure(&config)?;
        for arguments in [
            &["export", "crm/one", "--no-encryption", "-o", "x.tar.gz"][..],
            &["--json", "export", "crm/one", "--no-encryption", "-o", "x.tar.gz"],
            &["apps"],
            &["config", "check"],
        ] {
            let mut command = coffer.command();
            command.args(arguments).env("RUST_LOG", "trace").envs(variables.iter().copied());
            let output = command.env("RUST_BACKTRACE", "1").output()?;
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            let told = || format!("{arguments:?} with {config} and {variables:?}: {said}");
            for secret in [PASSWORD, encoded.as_str(), &PASSWORD[..11]] {
                ensure!(!said.contains(secret), "the password is shown: {}", told());
            }
            if arguments.contains(&"export") {
                ensure!(output.status.success() == is_taken, told());
            }
        }
    }
    tenants.configure(&with_file("password"))?;
    let service = tenants.serve()?;
    let answer = service
        .call("/v1/apps/crm/one/export", &["-X", "POST", "-d", "{\"encryption\":\"none\"}", "-o", "/dev/null"])?;
    ensure!(answer.status == 200, "{answer:?}");
    let shown = std::fs::read(format!("/proc/{}/cmdline", service.process_id()))?;
    ensure!(!String::from_utf8_lossy(&shown).contains(PASSWORD), "the command line shows it");
    ensure!(!server()?.log()?.contains(PASSWORD), "the server's log shows it");
    Ok(())
}

#[test]
fn names_that_are_too_long_are_told() -> Result<()> {
    let tenants = with_app(server()?, "long", SMALL)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    let (fits, too_long) = ("a".repeat(56), "a".repeat(57));
    let words = ["63", "tenant_{app}", "64 bytes"];
    tenants.restore("x.tar.gz", &too_long, &[])?.ends_with(2, &words)?;
    tenants.export(&too_long, "y.tar.gz", &[])?.ends_with(2, &words)?;
    tenants.restore("x.tar.gz", &fits, &[])?.ends_with(0, &[])?;
    tenants.export(&fits, "y.tar.gz", &[])?.ends_with(0, &[])?;
    let service = tenants.serve()?;
    let path = format!("/v1/apps/crm/{too_long}/export");
    service.call(&path, &["-X", "POST"])?.ensure_problem(400, &words)?;
    tenants.export("nowhere", "z.tar.gz", &[])?.ends_with(10, &["tenant_nowhere"])
}

#[test]
fn a_database_of_no_encoding_is_told() -> Result<()> {
    let server = server()?;
    let tenants = with_app(server, "encoded", SMALL)?;
    tenants.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    server.psql("postgres", "CREATE DATABASE of_no_encoding TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")?;
    server.psql("of_no_encoding", SMALL)?;
    tenants.configure(&source(&server.superuser_url("of_no_encoding")))?;
    tenants.export("one", "y.tar.gz", &[])?.ends_with(1, &["SQL_ASCII", "of_no_encoding"])?;
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(1, &["SQL_ASCII"])?;
    ensure!(server.query("of_no_encoding", "SELECT to_regnamespace('tenant_two') IS NULL")? == "t");
    Ok(())
}
