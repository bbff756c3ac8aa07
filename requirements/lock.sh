#!/usr/bin/env bash
# Resolves pyproject.toml into the locks that the make targets and the image install from. Needs uv (pip install uv).
set -euo pipefail
cd "$(dirname "$0")/.."
flags=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header)
uv pip compile "${flags[@]}" --all-extras --group build pyproject.toml -o requirements/run.lock "$@"
uv pip compile "${flags[@]}" --all-extras --group build --group dev -c requirements/run.lock pyproject.toml -o requirements/dev.lock "$@"
# The image of the services: what they run on, and apart from it what builds the wheel.
image=(--extra services --extra postgres --extra query --extra redis --extra apprise)
uv pip compile "${flags[@]}" "${image[@]}" -c requirements/run.lock pyproject.toml -o requirements/services.lock "$@"
uv pip compile "${flags[@]}" -c requirements/run.lock --group build -o requirements/build.lock "$@"
