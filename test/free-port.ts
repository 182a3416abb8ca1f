import { once } from 'node:events';
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** Below the ports that the system gives to outgoing connections: a server may start seconds after its port was picked. */
const PORTS = { first: 20_000, count: 12_000 };
/** A reservation whose process could not take it back is void after this many milliseconds. */
const VOID_AFTER = 3_600_000;

const reserved: string[] = [];
process.once('exit', () => {
  for (const path of reserved) rmSync(path, { force: true });
});

/** A port of loopback that nobody listens on, and that no other test of this machine is given meanwhile. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (reserve(port) && (await isFree(port))) return port;
  }
}

function reserve(port: number): boolean {
  const path = join(tmpdir(), `reelay-port-${port}`);
  try {
    closeSync(openSync(path, 'wx'));
  } catch {
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (Date.now() - made > VOID_AFTER) rmSync(path, { force: true });
    return false;
  }
  reserved.push(path);
  return true;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
