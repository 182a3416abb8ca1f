#!/usr/bin/env bash
# Brings the functions of convex/ to a deployment, with the public key they trust, and makes credentials.json
# under REELAY_DATA for it. Safe to repeat; does nothing to data.
# Needs CONVEX_URL, and for Convex's own command line either CONVEX_DEPLOY_KEY (Convex's cloud) or
# CONVEX_SELF_HOSTED_URL with CONVEX_SELF_HOSTED_ADMIN_KEY or the file CONVEX_SELF_HOSTED_ADMIN_KEY_FILE.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH # Reelay's own Node, and Convex's command line

# EX_CONFIG, as API and worker end with it.
missing() { echo "$1" >&2; exit 78; }
if [ -n "${CONVEX_SELF_HOSTED_ADMIN_KEY_FILE:-}" ]; then
  CONVEX_SELF_HOSTED_ADMIN_KEY=$(cat "$CONVEX_SELF_HOSTED_ADMIN_KEY_FILE")
  export CONVEX_SELF_HOSTED_ADMIN_KEY
fi
if [ -z "${CONVEX_URL:-}" ]; then
  missing 'CONVEX_URL is missing: the address of the deployment, such as https://happy-otter-123.convex.cloud.'
fi
if [ -z "${CONVEX_DEPLOY_KEY:-}${CONVEX_SELF_HOSTED_URL:-}" ]; then
  missing "CONVEX_DEPLOY_KEY is missing: a deploy key from the deployment's settings in Convex's dashboard; one that you host needs CONVEX_SELF_HOSTED_URL instead."
fi
if [ -n "${CONVEX_SELF_HOSTED_URL:-}" ] && [ -z "${CONVEX_SELF_HOSTED_ADMIN_KEY:-}" ]; then
  missing 'CONVEX_SELF_HOSTED_ADMIN_KEY is missing: the admin key of the deployment in CONVEX_SELF_HOSTED_URL, or its file in CONVEX_SELF_HOSTED_ADMIN_KEY_FILE.'
fi
jwks=$(node scripts/provision.ts jwks)
npx convex env set REELAY_JWKS "$jwks"
npx convex deploy --yes --typecheck disable --codegen disable
node scripts/provision.ts credentials
