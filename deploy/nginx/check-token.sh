#!/bin/sh
# Refuse to start the gate with a token that is missing, short or could break its configuration.
# The official nginx image runs it from /docker-entrypoint.d; render.sh runs it elsewhere.
set -eu

refuse() {
    echo "chroma gate: $1 Make one with: openssl rand -hex 32" >&2
    exit 1
}

check() {
    case "$2" in
    '') refuse "$1 is not set." ;;
    *[!A-Za-z0-9._~+/=-]*)
        refuse "$1 may hold only letters, digits and . _ ~ + / = - (no space, no newline)." ;;
    esac
    [ "${#2}" -ge 32 ] || refuse "$1 is shorter than 32 characters."
}

check CHROMA_AUTH_TOKEN "${CHROMA_AUTH_TOKEN:-}"
check GATE_PREVIOUS_TOKEN "${GATE_PREVIOUS_TOKEN:-${CHROMA_AUTH_TOKEN}}"
