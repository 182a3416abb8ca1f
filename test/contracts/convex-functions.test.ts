import { ConvexHttpClient } from 'convex/browser';
import type { FunctionReference } from 'convex/server';
import { convexTest } from 'convex-test';
import schema from '#convex/schema.ts';
import { startEngine } from '../engine.ts';
import { convexFunctionsContract } from './convex-functions.ts';

const modules = {
  '../../convex/_generated/api.js': () => import('#convex/_generated/api.js'),
  '../../convex/apiKeys.ts': () => import('#convex/apiKeys.ts'),
  '../../convex/assets.ts': () => import('#convex/assets.ts'),
  '../../convex/audit.ts': () => import('#convex/audit.ts'),
  '../../convex/batches.ts': () => import('#convex/batches.ts'),
  '../../convex/flags.ts': () => import('#convex/flags.ts'),
  '../../convex/health.ts': () => import('#convex/health.ts'),
  '../../convex/members.ts': () => import('#convex/members.ts'),
  '../../convex/quarantine.ts': () => import('#convex/quarantine.ts'),
  '../../convex/scenes.ts': () => import('#convex/scenes.ts'),
  '../../convex/sessions.ts': () => import('#convex/sessions.ts'),
};

convexFunctionsContract('convex-test', async () => {
  const backend = convexTest({ schema, modules, transactionLimits: true });
  return {
    async as(subject) {
      const caller = subject === null ? backend : backend.withIdentity({ subject, issuer: 'https://reelay.local' });
      return {
        query: (fn, args) => caller.query(fn as FunctionReference<'query'>, args),
        mutation: (fn, args) => caller.mutation(fn as FunctionReference<'mutation'>, args),
      };
    },
    close: async () => {},
  };
});

convexFunctionsContract('the embedded engine', async () => {
  const engine = await startEngine();
  return {
    async as(subject) {
      const client = new ConvexHttpClient(engine.url, { skipConvexDeploymentUrlCheck: true, logger: false });
      if (subject !== null) client.setAuth(await engine.tokenOf(subject));
      return {
        query: (fn, args) => client.query(fn as FunctionReference<'query'>, args),
        mutation: (fn, args) => client.mutation(fn as FunctionReference<'mutation'>, args, { skipQueue: true }),
      };
    },
    close: () => engine.stop(),
  };
});
