#!/bin/sh
# Resolves the dependencies of both distributions anew and writes them with hashes, for every
# platform and without the address of an index: 'pip install --require-hashes' checks the bytes.
set -eu
cd "$(dirname "$0")/../.."

if ! command -v uv >/dev/null; then
  echo "uv is needed to resolve for all platforms at once. Run: pipx install uv" >&2
  exit 1
fi

lock() {
  output=$1
  shift
  uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
    --no-emit-index-url --no-annotate --no-header "$@" --output-file "$output" \
    pyproject.toml sdk/pyproject.toml
}

lock requirements/runtime.txt --group embedded --group build
lock requirements/dev.txt --group embedded --group build --group dev
