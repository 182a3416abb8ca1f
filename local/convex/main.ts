import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { openEngine } from './engine.ts';
import { httpServer } from './http.ts';
import { serveSync } from './sync-server.ts';

const USAGE = 'node main.ts --functions DIR --data DIR --port N [--host 127.0.0.1]';

interface Flags {
  readonly functions: string;
  readonly data: string;
  readonly port: number;
  readonly host: string;
}

function readFlags(): Flags {
  const { values } = parseArgs({
    options: {
      functions: { type: 'string' },
      data: { type: 'string' },
      port: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
    },
  });
  const { functions, data, port, host } = values;
  if (!functions || !data || !port) throw new Error('--functions, --data and --port are needed.');
  const number = Number(port);
  if (!Number.isInteger(number) || number < 0 || number > 65_535) {
    throw new Error(`--port must be a number from 0 to 65535, not ${port}.`);
  }
  return { functions, data, host, port: number };
}

function fail(message: string, code: number): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

async function main(flags: Flags): Promise<void> {
  process.setSourceMapsEnabled(true);
  const adminKey = process.env.CONVEX_ADMIN_KEY;
  // Functions read the environment; this is none of theirs.
  delete process.env.CONVEX_ADMIN_KEY;
  const engine = await openEngine({ ...flags, adminKey, onBroken: (error) => fail(error.message, 74) });
  const server = httpServer(engine, version());
  const endSync = serveSync(server, engine);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(flags.port, flags.host, resolve);
  }).catch(async (error: NodeJS.ErrnoException) => {
    await engine.close();
    throw error.code === 'EADDRINUSE' ? new Error(`Port ${flags.port} on ${flags.host} is in use.`) : error;
  });
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`Convex functions served on http://${flags.host}:${port}\n`);

  // A promise that a function forgot about fails on its own; the engine serves on.
  process.on('unhandledRejection', (error) => process.stderr.write(`A promise of a function failed: ${error}\n`));
  const stop = async () => {
    endSync();
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 2_000).unref();
    await closed;
    await engine.close();
    process.exit(0);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

/** The version of Convex whose clients this engine was written for. */
function version(): string {
  const file = new URL('../../node_modules/convex/package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

let flags: Flags;
try {
  flags = readFlags();
} catch (error) {
  fail(`${error instanceof Error ? error.message : error}\nUsage: ${USAGE}`, 64);
}
main(flags).catch((error: unknown) => fail(error instanceof Error ? error.message : String(error), 1));
