import { once } from 'node:events';
import { createServer } from 'node:http';
import { compose } from '#compose';
import { ConfigError, readConfig } from '#config';
import { verifyViewerToken } from '#metadata/service-token.ts';
import { verifyDiskUrl } from '#storage/disk-url.ts';
import { createApi } from './app.ts';

/** EX_CONFIG: starting again will not help. */
const MISCONFIGURED = 78;
/** Requests under way get this long to finish when the process is asked to stop. */
const GRACE_MS = 10_000;
/** A connection on which nothing moves for this long is closed; a slow upload may take as long as it needs. */
const IDLE_MS = 120_000;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `Reelay needs Node 22.18 or newer and this is ${process.version}; npm scripts bring their own.\n`,
  );
  process.exit(MISCONFIGURED);
}

try {
  await serve();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(MISCONFIGURED);
}

async function serve(): Promise<void> {
  const config = readConfig(process.env);
  const parts = await compose(config, 'api', 'caller');
  const app = createApi({
    ...parts,
    clock: Date.now,
    verifyViewer: (token) => verifyViewerToken(parts.signingKey, token),
    verifyDiskUrl: (pathAndQuery) => verifyDiskUrl(parts.urlSecret, pathAndQuery, Date.now()),
  });
  const server = createServer({ requestTimeout: 0 }, app);
  server.setTimeout(IDLE_MS);
  server.listen(config.port, config.host);
  await once(server, 'listening');
  parts.log.info({ port: config.port, host: config.host }, 'serving');

  const signal = await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  parts.log.info({ signal: signal[0] }, 'stopping');
  const closed = once(server, 'close');
  server.close();
  const cut = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  await closed;
  clearTimeout(cut);
  await parts.close();
}
