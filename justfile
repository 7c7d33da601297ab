# Everything is built in one profile: what users run is what is tested.
#
# The package coffer-tests declares the binary `coffer` a second time, to drive it as a process; it is built in a command
# of its own, so that the two do not write one file.

_list:
    @just --list --unsorted

# Every check and every test but the long ones
ci: fmt clippy docs deny machete test k8s (fuzz "12")

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

# Do the Kubernetes manifests fit the schemas, and does the program take their configurations?
k8s:
    k8s/check.sh target/release/coffer

# Each fuzz target for so many seconds, beginning with its corpus. Without a sanitizer, which needs a nightly compiler: no
# code of ours is unsafe, and every panic, overflow and hang is found so too. What is found stands in fuzz/artifacts.
fuzz seconds="30":
    cd fuzz && cargo fuzz build --sanitizer none
    cd fuzz && for target in $(cargo fuzz list); do \
        mkdir -p "target/corpus/$target"; \
        cargo fuzz run --sanitizer none "$target" "target/corpus/$target" "corpus/$target" -- \
            -max_total_time={{ seconds }} -timeout=20 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 || exit 1; \
    done

# The long tests: an app of 2 GiB, a file of 200 MiB, a million objects, a table of 1 GiB, 10,000 schemas
soak:
    cargo test --release --package coffer-tests --features soak --test soak --test postgres_schemas --test postgres_fidelity -- --nocapture --test-threads=1
