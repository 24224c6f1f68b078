#!/bin/sh
# Make one virtual environment a peer, each with its pinned release and nothing of ours.
# Usage: bench/peers/setup.sh [FOLDER]        (default: ~/.cache/parrot/peers)
set -eu

folder=${1:-$HOME/.cache/parrot/peers}
python=${PYTHON:-python3.11}
mkdir -p "$folder"

install() { # NAME REQUIREMENT...
    name=$1
    shift
    [ -e "$folder/$name/.ready" ] && return 0
    echo "Installing $* into $folder/$name …"
    "$python" -m venv "$folder/$name"
    "$folder/$name/bin/pip" install --quiet --disable-pip-version-check "$@"
    touch "$folder/$name/.ready"
}

install curator bespokelabs-curator==0.1.31
install data-designer data-designer==0.9.6
install datatrove 'datatrove[io]==0.10.1' aiofiles==25.1.0 aiosqlite==0.22.1 httpx==0.28.1 transformers==5.19.0 # its [inference] would bring GPU engines
