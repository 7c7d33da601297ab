# Everything is built in one profile: what users run is what is tested.
#
# The package coffer-tests declares the binary `coffer` a second time, to drive it as a process; it is built in a command
# of its own, so that the two do not write one file.

_list:
    @just --list --unsorted

# Every check and every test but the long ones
ci: fmt clippy docs deny machete test

# Is the code formatted?
fmt:
    cargo fmt --all --check

# Lints, warnings denied
clippy:
    cargo clippy --release --workspace --all-targets --all-features -- -D warnings

# Do the API docs build without a warning?
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --all-features --quiet

# Dependencies: duplicates, licences, sources
deny:
    cargo deny check bans licenses sources

# Dependencies that nothing uses
machete:
    cargo machete

# Every test but the long ones
test:
    cargo test --release --workspace --exclude coffer-tests --all-features
    cargo test --release --package coffer-tests

# The long tests: an app of 2 GiB and a file of 200 MiB
soak:
    cargo test --release --package coffer-tests --features soak --test soak -- --nocapture --test-threads=1
