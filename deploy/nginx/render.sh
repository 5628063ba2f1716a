#!/bin/sh
# Print the gate's configuration for an nginx without containers:
#   set -a; . /etc/memapp/memapp.env; set +a
#   deploy/nginx/render.sh > /etc/nginx/conf.d/chroma-gate.conf
# Needs envsubst (Debian: gettext-base).
set -eu

here=$(dirname "$0")
"$here/check-token.sh"

GATE_PREVIOUS_TOKEN=${GATE_PREVIOUS_TOKEN:-$CHROMA_AUTH_TOKEN}
GATE_UPSTREAM=${GATE_UPSTREAM:-127.0.0.1:8001}
GATE_LISTEN=${GATE_LISTEN:-127.0.0.1:8000}
export CHROMA_AUTH_TOKEN GATE_PREVIOUS_TOKEN GATE_UPSTREAM GATE_LISTEN

# Only these names: $host and its like belong to nginx.
# shellcheck disable=SC2016
envsubst '${CHROMA_AUTH_TOKEN} ${GATE_PREVIOUS_TOKEN} ${GATE_UPSTREAM} ${GATE_LISTEN}' \
    < "$here/templates/chroma-gate.conf.template"
