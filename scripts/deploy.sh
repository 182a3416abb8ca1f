#!/usr/bin/env bash
# Brings the functions of convex/ to a deployment, with the public key they trust, and makes credentials.json
# under REELAY_DATA for it. Safe to repeat; does nothing to data.
# Needs CONVEX_URL, and for Convex's own command line either CONVEX_DEPLOY_KEY (Convex's cloud) or
# CONVEX_SELF_HOSTED_URL with CONVEX_SELF_HOSTED_ADMIN_KEY or the file CONVEX_SELF_HOSTED_ADMIN_KEY_FILE.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${CONVEX_SELF_HOSTED_ADMIN_KEY_FILE:-}" ]; then
  CONVEX_SELF_HOSTED_ADMIN_KEY=$(cat "$CONVEX_SELF_HOSTED_ADMIN_KEY_FILE")
  export CONVEX_SELF_HOSTED_ADMIN_KEY
fi
jwks=$(node scripts/provision.ts jwks)
npx convex env set REELAY_JWKS "$jwks"
npx convex deploy --yes --typecheck disable --codegen disable
node scripts/provision.ts credentials
