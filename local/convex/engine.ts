import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { JSONValue } from 'convex/values';
import pLimit from 'p-limit';
import { keptAdminKey } from './admin-key.ts';
import { type Authenticator, authenticatorOf, type Identity } from './auth.ts';
import { loadFunctions } from './bundle.ts';
import { failureOf, type Outcome } from './call.ts';
import { CommitLog, keepTimestamp, lastTimestamp } from './commit-log.ts';
import { captureConsole } from './console.ts';
import { documentsOf } from './documents.ts';
import { type FunctionKind, type RegisteredFunction, registerFunctions } from './functions.ts';
import { LiveQueries } from './live.ts';
import { lockFolder } from './lock.ts';
import { findAnswer, type RequestId } from './requests.ts';
import { findFunction, runFunction } from './runner.ts';
import { applySchema } from './schema.ts';
import { openStorage, type Storage } from './storage.ts';
import { syscallsFor } from './syscalls.ts';
import { Tables } from './tables.ts';
import { startClock } from './timestamp.ts';
import { type MutableRange, Transaction } from './transaction.ts';

export interface EngineOptions {
  /** The convex/ folder to serve, and the folder to keep everything in. */
  readonly functions: string;
  readonly data: string;
  /** Instead of the one kept in the data folder. */
  readonly adminKey?: string | undefined;
  /** Told once, when commits cannot be written any more: the process should end. */
  readonly onBroken: (error: Error) => void;
}

export interface CallRequest {
  readonly path: string;
  readonly args: JSONValue;
  readonly identity: Identity;
  /** Undefined takes a function of any kind. */
  readonly kind?: FunctionKind | undefined;
  /** Also internal functions; admins always may. */
  readonly internal?: boolean;
  /** Makes a mutation run once, however often it is asked for. */
  readonly request?: RequestId | undefined;
}

export type Answered = Outcome & { readonly timestamp?: bigint };

/** The functions of one folder over the data of another. One engine a process: `globalThis.Convex` is its. */
export interface Engine {
  readonly authenticator: Authenticator;
  readonly live: LiveQueries;
  /** Timestamp of the newest commit on disk. */
  latestTimestamp(): bigint;
  /** Calls a function. Rejects only when the engine itself is broken. */
  call(request: CallRequest): Promise<Answered>;
  close(): Promise<void>;
}

/** Throws one clear sentence when the folder is taken, the functions do not load, or the data does not fit them. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  mkdirSync(options.data, { recursive: true, mode: 0o700 });
  const unlock = await lockFolder(options.data);
  let storage: Storage | undefined;
  try {
    const modules = await loadFunctions(options.functions, join(options.data, 'bundle'));
    storage = openStorage(options.data);
    return compose(options, modules, storage, unlock);
  } catch (error) {
    await storage?.close();
    unlock();
    throw error;
  }
}

function compose(
  options: EngineOptions,
  modules: Awaited<ReturnType<typeof loadFunctions>>,
  storage: Storage,
  unlock: () => void,
): Engine {
  const clock = startClock(lastTimestamp(storage));
  keepTimestamp(storage, clock);
  const tables = new Tables(storage);
  const schema = applySchema(exportedSchema(modules.get('schema')?.default), tables, storage);
  const functions = registerFunctions(modules, (table, id) => tables.tableOf(id)?.name === table);
  const adminKey = options.adminKey ?? keptAdminKey(options.data);
  const authenticator = authenticatorOf(modules.get('auth.config')?.default, adminKey);
  const live = new LiveQueries((query, reads) => runQuery({ ...query, kind: 'query' }, query.journal, reads));
  const log = new CommitLog(storage, tables, clock, {
    committed: (writes) => live.committed(writes),
    broken: options.onBroken,
  });
  const oneAtATime = pLimit(1);
  const inFlight = new Map<string, Promise<Answered>>();

  function find({ path, kind, identity, internal }: CallRequest): RegisteredFunction {
    return findFunction(functions, path, { kind, internal: internal === true || identity.kind === 'admin' });
  }

  async function runQuery(request: CallRequest, journal: string | null, reads?: MutableRange[]) {
    const snapshot = storage.snapshot();
    try {
      const transaction = new Transaction(snapshot, [], reads);
      return await runFunction(find(request), request.args, { identity: request.identity, transaction, journal });
    } catch (refused) {
      return { outcome: failureOf(refused, []), journal: null };
    } finally {
      snapshot.release();
    }
  }

  async function mutate(fn: RegisteredFunction, { args, identity, request }: CallRequest): Promise<Answered> {
    const { outcome, onDisk } = await oneAtATime(async () => {
      const answered = request && findAnswer(storage, request);
      if (answered) {
        const outcome: Outcome = { ok: true, value: answered.value, logLines: [] };
        return { outcome, onDisk: Promise.resolve(answered.timestamp) };
      }
      const transaction = new Transaction(storage, log.unwritten());
      const { outcome } = await runFunction(fn, args, { identity, transaction });
      if (!outcome.ok) return { outcome, onDisk: undefined };
      // The next mutation runs on top of this one while the group goes to disk.
      return { outcome, onDisk: log.add({ writes: transaction.writes, value: outcome.value, request }) };
    });
    return onDisk ? { ...outcome, timestamp: await onDisk } : outcome;
  }

  /** A repeated request that is still under way waits for the first instead of running again. */
  function mutateOnce(fn: RegisteredFunction, call: CallRequest): Promise<Answered> {
    if (!call.request) return mutate(fn, call);
    const key = `${call.request.session}/${call.request.request}`;
    const running = inFlight.get(key) ?? mutate(fn, call).finally(() => inFlight.delete(key));
    inFlight.set(key, running);
    return running;
  }

  async function call(request: CallRequest): Promise<Answered> {
    let fn: RegisteredFunction;
    try {
      fn = find(request);
    } catch (refused) {
      return failureOf(refused, []);
    }
    if (fn.kind === 'query') return (await runQuery(request, null)).outcome;
    if (fn.kind === 'mutation') return mutateOnce(fn, request);
    return (await runFunction(fn, request.args, { identity: request.identity, transaction: undefined })).outcome;
  }

  const host = {
    tables,
    functions,
    documents: documentsOf(tables, schema, clock),
    callFromAction: (kind: FunctionKind, path: string, args: JSONValue, { identity }: { identity: Identity }) =>
      call({ path, args, identity, kind, internal: true }),
  };
  Object.assign(globalThis, { Convex: syscallsFor(host) });
  captureConsole();

  return {
    authenticator,
    live,
    latestTimestamp: () => log.latest,
    call,
    async close() {
      await oneAtATime(() => log.flush());
      await storage.close();
      unlock();
    },
  };
}

function exportedSchema(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null || !('export' in schema)) return undefined;
  return typeof schema.export === 'function' ? String(schema.export()) : undefined;
}
