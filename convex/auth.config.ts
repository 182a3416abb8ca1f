import type { AuthConfig } from 'convex/server';

/**
 * One issuer of tokens: the service, with its ES256 key. `REELAY_JWKS` is the public half as a `data:`
 * URI, so that nothing is fetched. Setting it is part of deploying.
 */
export default {
  providers: [
    {
      type: 'customJwt',
      applicationID: 'reelay',
      issuer: 'https://reelay.local',
      jwks: process.env.REELAY_JWKS ?? '',
      algorithm: 'ES256',
    },
  ],
} satisfies AuthConfig;
