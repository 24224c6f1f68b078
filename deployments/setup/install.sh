#!/usr/bin/env bash
# Make a virtual environment and install the factory into it.
# usage: install.sh VENV EXTRAS     e.g. install.sh .venv cpu,demo,dev
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$1 extras=$2
setup=deployments/setup

for candidate in "${PYTHON:-}" python3.11 python3.12 python3; do
  [ -n "$candidate" ] || continue
  "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
    && python=$candidate && break
done
[ -n "${python:-}" ] || { echo "error: Python 3.11 or 3.12 not found; set PYTHON=/path/to/it" >&2; exit 2; }

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

constraints=()
case ",$extras," in *,cpu,*) constraints=(-c "$setup/constraints-cpu.txt") ;; esac
pip install --quiet "${constraints[@]}" --editable ".[$extras]"
case ",$extras," in *,demo,*) pip install --quiet --no-deps -r "$setup/no-deps.txt" ;; esac

# vLLM's CPU build brings torchvision, torchaudio, torchcodec and triton; when they were built for
# another torch, importing any transformers model fails. The factory needs none of them.
works() { "$venv/bin/python" -c 'from transformers import LlamaForCausalLM; import vllm, trl' 2>/dev/null; }
case ",$extras," in
  *,cpu,*)
    if ! works; then
      pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
      works || { echo "error: transformers, trl or vllm can't be imported; see: $venv/bin/python -c 'import vllm, trl'" >&2; exit 1; }
    fi ;;
esac
