import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openEngine } from './engine.ts';
import { apiListener } from './wire/http.ts';
import { openServer, type Served } from './wire/served.ts';
import { siteListener } from './wire/site.ts';
import { serveSync } from './wire/sync-server.ts';

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
  return { functions, data, host, port: portOf(port, '--port') };
}

function portOf(text: string, name: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
  throw new Error(`${name} must be a number from 0 to 65535, not ${text}.`);
}

function fail(message: string, code: number): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

async function main(flags: Flags, sitePort: number): Promise<void> {
  process.setSourceMapsEnabled(true);
  const { CONVEX_ADMIN_KEY: adminKey, CONVEX_CLOUD_ORIGIN, CONVEX_SITE_ORIGIN } = process.env;
  // Functions read the environment; this is none of theirs.
  delete process.env.CONVEX_ADMIN_KEY;
  // Functions learn their addresses when they load, so the ports are taken first.
  const api = await openServer(flags.port, flags.host);
  const site = hasHttpActions(flags.functions) ? await openServer(sitePort, flags.host) : undefined;
  const urls = { cloud: CONVEX_CLOUD_ORIGIN ?? api.url, site: CONVEX_SITE_ORIGIN ?? site?.url ?? api.url };
  const engine = await openEngine({ ...flags, urls, adminKey, onBroken: (error) => fail(error.message, 74) });
  api.serve(apiListener(engine, version()));
  const endSync = serveSync(api.server, engine);
  site?.serve(siteListener(engine, urls.site));
  const siteLine = site ? `HTTP actions served on ${site.url}\n` : '';
  process.stdout.write(`${siteLine}Convex functions served on ${api.url}\n`);

  // A promise that a function forgot about fails on its own; the engine serves on.
  process.on('unhandledRejection', (error) => process.stderr.write(`A promise of a function failed: ${error}\n`));
  const stop = async () => {
    endSync();
    await Promise.all([api, site].map((served: Served | undefined) => served?.close()));
    await engine.close();
    process.exit(0);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

function hasHttpActions(functions: string): boolean {
  return ['ts', 'tsx', 'js', 'jsx', 'mjs', 'mts'].some((ending) => existsSync(join(functions, `http.${ending}`)));
}

/** The version of Convex whose clients this engine was written for. */
function version(): string {
  const file = new URL('../../node_modules/convex/package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

let flags: Flags;
let sitePort: number;
try {
  flags = readFlags();
  const next = flags.port === 0 || flags.port === 65_535 ? '0' : String(flags.port + 1);
  sitePort = portOf(process.env.CONVEX_SITE_PORT ?? next, 'CONVEX_SITE_PORT');
} catch (error) {
  fail(`${error instanceof Error ? error.message : error}\nUsage: ${USAGE}`, 64);
}
main(flags, sitePort).catch((error: unknown) => fail(error instanceof Error ? error.message : String(error), 1));
