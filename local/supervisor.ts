import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Child, type Part, startChild } from './child.ts';
import { followWarnings, prepareLog } from './logs.ts';
import type { Parts, PortUse } from './parts.ts';
import { endLeftover } from './process-ids.ts';
import { StartError } from './start-error.ts';

/** Every process of the stack, in the order in which they may go. */
const STOP_ORDER = [['worker', 'api'], ['convex'], ['redis']] as const;

export interface Supervisor {
  /**
   * Starts what there is, each part once those are up that it calls from its first moment. `afterConvex` runs once
   * Convex serves and before the worker starts: `/health/ready`, which wants a worker, thus says that it is done.
   * Throws `StartError`; the caller then stops.
   */
  start(parts: Parts, afterConvex: () => Promise<void>): Promise<void>;
  /** Stops what runs, in order; resolves when all are gone. */
  stop(): Promise<void>;
  /** Ends all of them now. */
  kill(): void;
}

/** Keeps the processes of one data folder; `say` shows a line to the person at the terminal. */
export function createSupervisor(dataDir: string, say: (line: string) => void): Supervisor {
  const children = new Map<Part['name'], Child>();
  const unfollow: (() => void)[] = [];
  let stopped = false;

  async function startPart(part: Part | undefined): Promise<void> {
    if (!part || stopped) return;
    const files = { pid: pidFile(dataDir, part.name), log: join(dataDir, 'logs', `${part.name}.log`) };
    prepareLog(files.log);
    unfollow.push(followWarnings(files.log, (text) => say(`${part.name} ${text.trimEnd()}`)));
    const child = startChild(part, files, say);
    children.set(part.name, child);
    await child.served;
  }

  return {
    async start(parts, afterConvex) {
      const redis = startPart(parts.redis);
      const seeded = startPart(parts.convex).then(afterConvex);
      await Promise.all([
        redis.then(() => startPart(parts.api)),
        Promise.all([redis, seeded]).then(() => startPart(parts.worker)),
      ]);
    },
    async stop() {
      stopped = true;
      for (const names of STOP_ORDER) await Promise.all(names.map((name) => children.get(name)?.stop()));
      for (const end of unfollow) end();
    },
    kill() {
      stopped = true;
      for (const child of children.values()) child.kill();
    },
  };
}

/** Ends what a killed supervisor left behind, in the order of a stop. */
export async function endLeftovers(dataDir: string, say: (line: string) => void): Promise<void> {
  for (const name of STOP_ORDER.flat()) {
    if (await endLeftover(pidFile(dataDir, name), dataDir)) say(`ended the ${name} that an earlier run left behind`);
  }
}

/** Throws `StartError` naming every port that is none, is given to two parts, or that another program holds. */
export async function requireFreePorts(ports: readonly PortUse[]): Promise<void> {
  const complaints = await Promise.all(
    ports.map(async ({ host, port, variable, of }) => {
      if (port === 0) return `${variable} is 0: give ${of} a port that can be told to others.`;
      const same = ports.find((other) => other.port === port);
      if (same && same.variable !== variable) {
        return `${same.variable} and ${variable} are both ${port}: give ${of} another.`;
      }
      if (await isFree(host, port)) return undefined;
      return `Port ${port} is taken: end the program that has it, or give ${of} another in ${variable}.`;
    }),
  );
  const sentences = complaints.filter((complaint) => complaint !== undefined);
  if (sentences.length > 0) throw new StartError(`The stack cannot have its ports:\n  ${sentences.join('\n  ')}`);
}

function pidFile(dataDir: string, name: Part['name']): string {
  return join(dataDir, 'run', `${name}.pid`);
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
