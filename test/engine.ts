import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnEngine } from '#local/convex/spawn.ts';
import {
  generateSigningKey,
  jwksDataUri,
  loadSigningKey,
  serviceTokens,
  signServiceToken,
  signViewerToken,
} from '#metadata/service-token.ts';
import { freePort } from './free-port.ts';

/** The functions of `convex/` on an embedded engine of one test's own. */
export interface TestEngine {
  readonly url: string;
  /** Folder of what it keeps. */
  readonly data: string;
  /** What it trusts tokens of, as `REELAY_SIGNING_KEY` takes it. */
  readonly signingKey: string;
  /** For the metadata adapter. */
  readonly token: () => Promise<string>;
  /** A token for a person, or for the service by its name. */
  tokenOf(subject: string): Promise<string>;
  /** Ends it like a crash; `start` brings it back, at the same address, with what was on disk. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends it for good and removes its folder. */
  stop(): Promise<void>;
}

const FUNCTIONS = fileURLToPath(new URL('../convex', import.meta.url));

/** `functions` is the folder it serves: `convex/` of this tree unless given. */
export async function startEngine({ functions = FUNCTIONS } = {}): Promise<TestEngine> {
  const data = await mkdtemp(join(tmpdir(), 'reelay-convex-'));
  const signingKey = generateSigningKey();
  const key = await loadSigningKey(signingKey);
  const port = await freePort();
  const env = { REELAY_JWKS: await jwksDataUri(key) };
  const launch = () => spawnEngine({ functions, data, env, port });
  let engine = await launch();
  return {
    url: engine.url,
    data,
    signingKey,
    token: serviceTokens(key),
    tokenOf: (subject) =>
      subject === 'service' ? signServiceToken(key) : signViewerToken(key, { subject, expiresIn: 600 }),
    kill: () => engine.kill(),
    async start() {
      engine = await launch();
    },
    async stop() {
      await engine.stop();
      await rm(data, { recursive: true, force: true });
    },
  };
}
