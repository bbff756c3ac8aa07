#!/usr/bin/env bash
# Resolves pyproject.toml into the two locks that the make targets install from. Needs uv (pip install uv).
set -euo pipefail
cd "$(dirname "$0")/.."
flags=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --all-extras)
uv pip compile "${flags[@]}" --group build pyproject.toml -o requirements/run.lock "$@"
uv pip compile "${flags[@]}" --group build --group dev -c requirements/run.lock pyproject.toml -o requirements/dev.lock "$@"
