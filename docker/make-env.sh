#!/usr/bin/env bash
# Write docker/.env: docker/.env.example with a random password wherever one is needed.
# usage: make-env.sh     keeps a .env that is there
set -euo pipefail
cd "$(dirname "$0")"
[ ! -e .env ] || { echo "docker/.env is there already; it is kept" >&2; exit 2; }
umask 077
secret() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
while IFS= read -r line; do
  case $line in
    '#PREFECT_AUTH=') echo "PREFECT_AUTH=parrot:$(secret 16)" ;;
    '#AWS_ACCESS_KEY_ID=') echo "AWS_ACCESS_KEY_ID=$(secret 10)" ;;
    '#'*PASSWORD= | '#AWS_SECRET_ACCESS_KEY=') echo "${line#?}$(secret 20)" ;;
    *) echo "$line" ;;
  esac
done < .env.example > .env
echo "docker/.env written, readable by you only"
