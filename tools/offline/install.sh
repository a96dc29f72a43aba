#!/usr/bin/env bash
# On the GPU host, with the pieces of bundle.sh in IN: install.sh IN TARGET [PYTHON]
# PYTHON is the host's own interpreter, 3.12, with torch in it when the bundle holds an engine.
# Nothing is fetched; nothing outside TARGET is written.
set -euo pipefail
in=${1:?usage: install.sh IN TARGET [PYTHON]} target=${2:?usage: install.sh IN TARGET [PYTHON]}
python=$(command -v "${3:-python3}")
mkdir -p "$target" && target=$(realpath "$target")
cat "$in"/bundle.tar.xz.* | xz -dc -T0 | tar xf - -C "$target"
"$python" -m venv --without-pip "$target/env"
site=$(echo "$target"/env/lib/python3*/site-packages)
printf '%s\n%s\n' "$target/advisor/site" "$target/advisor" >"$site/advisor.pth"
printf '#!/bin/sh\nexec "%s/env/bin/python" -P -m api.cli.main "$@"\n' "$target" >"$target/env/bin/advisor"
chmod +x "$target/env/bin/advisor"
"$target/env/bin/advisor" --help >/dev/null
echo "advisor: $target/env/bin/advisor"
if [ -d "$target/engine/vllm" ]; then
  echo "теперь: $target/env/bin/advisor setup vllm --python $python --site $target/engine --site $target/engine-deps"
fi
