import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { keptAdminKey } from './auth/admin-key.ts';
import { type Authenticator, authenticatorOf } from './auth/auth.ts';
import { documentsOf } from './database/documents.ts';
import { applySchema } from './database/schema.ts';
import { Transactions } from './database/transactions.ts';
import { loadFunctions, type ModuleExports } from './functions/bundle.ts';
import { type Answered, type CallRequest, Calls } from './functions/calls.ts';
import { captureConsole } from './functions/console.ts';
import { Environment, type EnvironmentChanges } from './functions/environment.ts';
import { registerFunctions } from './functions/functions.ts';
import { HttpActions } from './functions/http-actions.ts';
import { LiveQueries } from './functions/live.ts';
import { Crons } from './schedule/crons.ts';
import { Executor } from './schedule/executor.ts';
import { ScheduledFunctions } from './schedule/scheduled-functions.ts';
import { CommitLog, keepTimestamp, lastTimestamp } from './storage/commit-log.ts';
import { History } from './storage/history.ts';
import { lockFolder } from './storage/lock.ts';
import { openStorage, type Storage } from './storage/storage.ts';
import { Tables } from './storage/tables.ts';
import { startClock } from './storage/timestamp.ts';
import { syscallsFor } from './syscalls/syscalls.ts';

export type { Answered, CallRequest } from './functions/calls.ts';

export interface EngineOptions {
  /** The convex/ folder to serve, and the folder to keep everything in. */
  readonly functions: string;
  readonly data: string;
  /** Where the API and the HTTP actions are served: functions see them as CONVEX_CLOUD_URL and CONVEX_SITE_URL. */
  readonly urls: { readonly cloud: string; readonly site: string };
  /** Instead of the one kept in the data folder. */
  readonly adminKey?: string | undefined;
  /** Told once, when commits cannot be written any more: the process should end. */
  readonly onBroken: (error: Error) => void;
}

/** The functions of one folder over the data of another. One engine a process: `globalThis.Convex` is its. */
export interface Engine {
  readonly authenticator: Authenticator;
  readonly live: LiveQueries;
  readonly httpActions: HttpActions;
  /** Timestamp of the newest commit on disk. */
  latestTimestamp(): bigint;
  /** The same, for queries at that timestamp: they are answered for a minute. */
  queryTimestamp(): Promise<bigint>;
  /** Calls a function. Rejects only when the engine itself is broken. */
  call(request: CallRequest): Promise<Answered>;
  /** Sets environment variables of functions. Throws a sentence for one that may not be set. */
  setEnvironment(changes: EnvironmentChanges): Promise<void>;
  close(): Promise<void>;
}

/** Throws one clear sentence when the folder is taken, the functions do not load, or the data does not fit them. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  mkdirSync(options.data, { recursive: true, mode: 0o700 });
  const unlock = await lockFolder(options.data);
  let storage: Storage | undefined;
  try {
    storage = openStorage(options.data);
    const { cloud, site } = options.urls;
    const environment = new Environment(storage, { CONVEX_CLOUD_URL: cloud, CONVEX_SITE_URL: site });
    const modules = await loadFunctions(options.functions, join(options.data, 'bundle'));
    return await compose(options, { modules, storage, environment, unlock });
  } catch (error) {
    await storage?.close();
    unlock();
    throw error;
  }
}

interface Opened {
  readonly modules: ReadonlyMap<string, ModuleExports>;
  readonly storage: Storage;
  readonly environment: Environment;
  readonly unlock: () => void;
}

async function compose(options: EngineOptions, { modules, storage, environment, unlock }: Opened): Promise<Engine> {
  const clock = startClock(lastTimestamp(storage));
  keepTimestamp(storage, clock);
  const tables = new Tables(storage);
  const schema = applySchema(exportedSchema(modules.get('schema')?.default), tables, storage);
  const functions = new Map([
    ...registerFunctions(modules, (table, id) => tables.tableOf(id)?.name === table),
    ...environment.queries(storage),
  ]);
  const authenticator = authenticatorOf(
    modules.get('auth.config')?.default,
    options.adminKey ?? keptAdminKey(options.data),
  );
  const history = new History();
  const log = new CommitLog(storage, tables, clock, {
    writing: (writes, timestamp) => history.record(writes, timestamp, storage, Date.now()),
    committed: (writes) => {
      live.committed(writes);
      executor.committed(writes);
    },
    broken: options.onBroken,
  });
  const transactions = new Transactions(storage, log);
  const transact = transactions.transact.bind(transactions);
  const calls = new Calls({ functions, storage, log, history, transactions });
  const live = new LiveQueries((query, reads) => calls.watch(query, reads));
  const documents = documentsOf(tables, schema, clock);
  const scheduled = new ScheduledFunctions(tables, documents, functions);
  const crons = new Crons(tables, documents);
  const executor = new Executor({ storage, functions, sources: [scheduled, crons], transact });
  const convex = syscallsFor({
    ...{ tables, documents, functions, scheduled, transact },
    async callFromAction(kind, path, args, { identity, requestId, scheduledId }) {
      // An action that asks again and again would leave nobody else a turn.
      await setImmediate();
      return calls.call({ path, args, identity, kind, origin: { requestId, scheduledId }, internal: true });
    },
  });
  Object.assign(globalThis, { Convex: convex });
  captureConsole();
  await transact((transaction) => crons.declare(transaction, modules.get('crons')?.default, functions, Date.now()));
  await executor.start();

  return {
    authenticator,
    live,
    httpActions: new HttpActions(modules.get('http')?.default),
    latestTimestamp: () => log.latest,
    async queryTimestamp() {
      // A group on its way to the disk is seen already or not yet: its end is the first state that can be told.
      const { beingWritten } = log;
      history.keep(beingWritten?.timestamp ?? log.latest, Date.now());
      await beingWritten?.done;
      return log.latest;
    },
    call: (request) => calls.call(request),
    async setEnvironment(changes) {
      await transact((transaction) => environment.write(transaction, changes));
      environment.apply(changes);
    },
    async close() {
      executor.stop();
      await transactions.settled();
      await storage.close();
      unlock();
    },
  };
}

function exportedSchema(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null || !('export' in schema)) return undefined;
  return typeof schema.export === 'function' ? String(schema.export()) : undefined;
}
