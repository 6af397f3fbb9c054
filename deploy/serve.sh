#!/bin/sh
# Runs the backend that VEHICLES_BACKEND names. docs/operating.md has the instructions.
#
# `exec` replaces this shell, so a supervisor's signals reach the backend. All backends read the same settings. They do not
# check whether another backend uses the database: run one at a time. The Node backends do not migrate the database:
# run `garage-server migrate` before a switch.
set -eu

refuse() {
    printf 'serve.sh: %s\n' "$@" >&2
    exit 64
}

[ "$#" -eq 0 ] || refuse 'no arguments are accepted; settings are environment variables'

# axum and Node have different default ports. A switch must not change the address.
: "${GARAGE_LISTEN:=127.0.0.1:8080}"
export GARAGE_LISTEN

backend=${VEHICLES_BACKEND:-axum}
case $backend in
    axum)
        exec "${GARAGE_SERVER_PROGRAM:-garage-server}" serve
        ;;
    fastify | express) ;;
    *)
        refuse "VEHICLES_BACKEND is '$backend'; it must be axum, fastify or express"
        ;;
esac

case ${GARAGE_DATABASE:-} in
    postgres://* | postgresql://*) ;;
    # The value may contain a password, so it is not printed.
    *) refuse "set GARAGE_DATABASE to postgres://USER:PASSWORD@HOST/DATABASE; $backend does not support SQLite" ;;
esac
[ -n "${GARAGE_JWKS:-}" ] || refuse \
    "set GARAGE_JWKS, the public keys with which $backend verifies tokens" \
    'axum has them at /.well-known/jwks.json: save that to a file while axum runs, and set GARAGE_JWKS to its path' \
    'for an external issuer, set GARAGE_JWKS to the https URL of its key set, and GARAGE_ISSUER as for axum'

peers=${GARAGE_PEERS:-$(dirname -- "$0")/../peers}
[ -f "$peers/$backend/server.js" ] || refuse "$peers/$backend/server.js does not exist; set GARAGE_PEERS to the folder peers"
[ -d "$peers/node_modules" ] || refuse "the packages are not installed; run: npm ci --omit=dev --prefix '$peers'"
exec node "$peers/$backend/server.js"
