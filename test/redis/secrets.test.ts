import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateSigningKey } from '#metadata/service-token.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';

const ROOT = join(import.meta.dirname, '../..');

describe('a process that Redis refuses', () => {
  let redis: TestRedis;
  let dir: string;

  beforeAll(async () => {
    redis = await startRedis({ requirepass: 'the-right-one' });
    dir = await mkdtemp(join(tmpdir(), 'reelay-secrets-'));
  });
  afterAll(async () => {
    await redis.stop();
    await rm(dir, { recursive: true });
  });

  /** Everything it says on the way to its end. */
  async function start(url: string): Promise<{ code: number; said: string }> {
    const env = {
      ...{ PATH: process.env.PATH, REDIS_URL: url, REELAY_DATA: dir, PORT: '0', METRICS_PORT: '0', LOG_LEVEL: 'trace' },
      REELAY_SIGNING_KEY: generateSigningKey(),
    };
    const child = spawn(process.execPath, [join(ROOT, 'src/api/main.ts')], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
    const [code] = (await once(child, 'close')) as [number];
    return { code, said };
  }

  it('ends with a sentence, and tells the password neither there nor in its log', async () => {
    const { code, said } = await start(redis.url.replace('://', '://default:SECRET@'));
    expect(code).toBe(1);
    expect(said).toContain('It could not start: Redis refuses the login: WRONGPASS');
    expect(said).toContain('"msg":"Redis is not answering"');
    expect(said).not.toContain('SECRET');
  });

  it('does not tell it for a URL of a wrong form either', async () => {
    const { code, said } = await start('redis+sentinel://default:SECRET@127.0.0.1');
    expect(code).toBe(78);
    expect(said).toContain('REDIS_URL: Must name the master');
    expect(said).not.toContain('SECRET');
  });
});
