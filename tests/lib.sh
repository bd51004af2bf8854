# Shared by tests/run, tests/bench/run, tests/fuzz/run and provisioning/quickstart: installs what they need and says so.
# Sourced, not run.

cache=${FYR_CACHE:-$HOME/.cache/fyr}
export FYR_CACHE=$cache CARGO_TARGET_DIR=$cache/target
mkdir -p "$cache"

step() { printf '==> %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$1" >&2
  [[ $# -lt 2 ]] || printf 'hint: %s\n' "$2" >&2
  exit 2
}

as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi; }

# need_package PROGRAM PACKAGE…: installs the packages if the program is missing.
need_package() {
  local program=$1
  shift
  command -v "$program" > /dev/null || [[ -x /usr/sbin/$program ]] && return
  step "installing $* with apt-get"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" > /dev/null \
    || die "apt-get could not install $*" "install them by hand and run this again"
}

need_build_tools() {
  command -v cargo > /dev/null || die "cargo is not installed" "install Rust 1.95 or later: https://rustup.rs"
  need_package cc build-essential
  need_package mold mold
  need_package git git
}

need_openssh() {
  need_package sshd openssh-server
  need_package ssh openssh-client
}

# Sets FYR_TEST_PROGRAMS to the folder with etcd, kube-apiserver and the rest.
need_test_cluster() {
  command -v go > /dev/null || die "go is not installed" "install Go 1.26 or later: https://go.dev/dl"
  FYR_TEST_PROGRAMS=$(tests/cluster/build)
  export FYR_TEST_PROGRAMS
}

# go_program PACKAGE@VERSION: builds a Go program into the cache once and prints its path.
go_program() {
  local package=$1 folder
  command -v go > /dev/null || die "go is not installed" "install Go 1.26 or later: https://go.dev/dl"
  folder=$cache/go/${package//[\/@]/_}
  local name=${package%@*}
  name=${name##*/}
  [[ $name =~ ^v[0-9]+$ ]] && name=$(basename "$(dirname "${package%@*}")")
  if [[ ! -x $folder/$name ]]; then
    step "building $package"
    GOBIN=$folder CGO_ENABLED=0 go install -ldflags='-s -w' "$package" >&2
  fi
  echo "$folder/$name"
}

need_kustomize() {
  FYR_KUSTOMIZE=$(go_program sigs.k8s.io/kustomize/kustomize/v5@v5.8.1)
  export FYR_KUSTOMIZE
}

need_cargo_deny() {
  command -v cargo-deny > /dev/null && return
  step "building cargo-deny (some minutes, once per machine)"
  # Its own release profile spends most of its time in link-time optimisation.
  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    CARGO_TARGET_DIR=$cache/cargo-deny cargo install --quiet --locked cargo-deny@0.20.2
}

need_cargo_fuzz() {
  cargo +nightly --version > /dev/null 2>&1 \
    || die "no nightly toolchain is installed" "rustup toolchain install nightly --profile minimal"
  command -v cargo-fuzz > /dev/null && return
  step "building cargo-fuzz (a minute, once per machine)"
  CARGO_TARGET_DIR=$cache/cargo-fuzz cargo install --quiet --locked cargo-fuzz
}
