#!/usr/bin/env bash
# Packs the advisor, and optionally an engine, for a GPU host without a network: Linux x86-64, Python 3.12.
# usage: bundle.sh OUT [ENGINE_WHEELS]
#   OUT            folder for bundle.tar.xz.0, .1, …: pieces of at most 58 MiB
#   ENGINE_WHEELS  folder of wheels: the engine (vllm-*.whl) and what it needs beside the host's own torch
#   ADVISOR_EXTRAS  (variable) extras of the advisor to pack, as installed here: ray, search, …
#   ENGINE_LEFT_OUT  (variable) paths inside the engine that the host's GPU never loads, to save room
# On the host: install.sh IN TARGET.
set -euo pipefail
out=$(realpath -m "${1:?usage: bundle.sh OUT [ENGINE_WHEELS]}")
wheels=${2:+$(realpath "$2")}
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
work=$out/work
python=${PYTHON:-.venv/bin/python}
left_out='^(hf-xet|sqlite-vec|pip|setuptools)=='  # never imported by the advisor
tokenizer=${SHAPE_TOKENIZER:-$(find "$HOME/.cache/inference-advisor/models" -maxdepth 1 -type d -name "smollm2-*" 2>/dev/null | sort | tail -1 || true)}

platforms=$(for n in $(seq 39 -1 5); do printf -- '--platform manylinux_2_%s_x86_64 ' "$n"; done)
platforms+="--platform manylinux2014_x86_64 --platform manylinux2010_x86_64"
platforms+=" --platform manylinux1_x86_64 --platform linux_x86_64"
install() {  # TARGET ARGUMENTS…: as pip would lay the wheels out on the host
  # shellcheck disable=SC2086
  "$python" -m pip install -q --no-deps --no-compile --only-binary=:all: --python-version 3.12 \
    --implementation cp $platforms --upgrade --target "$@"
}

rm -rf "$work" && mkdir -p "$work"
"$python" "$here/runtime_pins.py" ${ADVISOR_EXTRAS:-} | grep -vE "$left_out" >"$work/pins.txt"
install "$work/advisor/site" -r "$work/pins.txt"
git archive HEAD knowledge tools advisor api bench pyproject.toml README.md | tar xf - -C "$work/advisor"
[ -d "$tokenizer" ] && "$python" -m bench.shapes "$tokenizer" "$work/advisor/shapes"
mkdir -p "$work/engine-deps" "$work/engine"
if [ -n "${wheels:-}" ]; then
  for wheel in "$wheels"/*.whl; do
    case $(basename "$wheel") in
      vllm-*) install "$work/engine" --no-index "$wheel" ;;
      *) rest+=("$wheel") ;;
    esac
  done
  install "$work/engine-deps" --no-index "${rest[@]}"
  for path in ${ENGINE_LEFT_OUT:-}; do rm -rf "${work:?}/engine/$path"; done
fi
cp "$here/install.sh" "$out/"
tar cf - -C "$work" engine-deps advisor engine | xz -T2 -6 | split -b 58M -d -a 1 - "$out/bundle.tar.xz."
du -h "$out"/bundle.tar.xz.*
