import type { JSONValue } from 'convex/values';
import { claimsOf } from './auth.ts';
import { type Call, currentCall, type Outcome } from './call.ts';
import type { Documents } from './documents.ts';
import type { FunctionKind, Functions, RegisteredFunction } from './functions.ts';
import { type PageRequest, readPage } from './page.ts';
import { DocumentStream, planQuery, type QueryJson } from './query.ts';
import { findFunction, runFunction } from './runner.ts';
import type { Tables } from './tables.ts';
import type { Transaction } from './transaction.ts';

/** What the syscalls work with. `callFromAction` runs a function in a transaction of its own. */
export interface SyscallHost {
  readonly tables: Tables;
  readonly documents: Documents;
  readonly functions: Functions;
  callFromAction(kind: FunctionKind, path: string, args: JSONValue, call: Call): Promise<Outcome>;
}

type Fields = { [field: string]: JSONValue };

/** The `globalThis.Convex` that functions built with `convex/server` talk to. All in JSON texts. */
export function syscallsFor(host: SyscallHost) {
  const sync: Record<string, (args: Fields, call: Call) => string> = {
    '1.0/db/normalizeId': ({ table, idString }) => {
      const known = host.tables.tableOf(String(idString))?.name === table;
      return JSON.stringify({ id: known ? idString : null });
    },
    '1.0/queryStream': ({ query }, call) => {
      const queryId = call.nextStream++;
      const plan = planQuery(query as unknown as QueryJson, host.tables);
      call.streams.set(queryId, new DocumentStream(reading(call), plan));
      return JSON.stringify({ queryId });
    },
    '1.0/queryCleanup': ({ queryId }, call) => {
      call.streams.delete(Number(queryId));
      return 'null';
    },
  };

  const async: Record<string, (args: Fields, call: Call) => string | Promise<string>> = {
    '1.0/get': ({ id, table }, call) => {
      return host.documents.get(reading(call), String(id), 'get', optional(table)) ?? 'null';
    },
    '1.0/insert': ({ table, value = null }, call) => {
      return JSON.stringify({ _id: host.documents.insert(writing(call), String(table), value) });
    },
    '1.0/shallowMerge': ({ id, value = null, table }, call) => {
      host.documents.patch(writing(call), String(id), value, optional(table));
      return 'null';
    },
    '1.0/replace': ({ id, value = null, table }, call) => {
      host.documents.replace(writing(call), String(id), value, optional(table));
      return 'null';
    },
    '1.0/remove': ({ id, table }, call) => {
      host.documents.remove(writing(call), String(id), optional(table));
      return 'null';
    },
    '1.0/queryStreamNext': ({ queryId }, call) => {
      const text = call.streams.get(Number(queryId))?.next();
      return text === undefined ? '{"value":null,"done":true}' : `{"value":${text},"done":false}`;
    },
    '1.0/queryPage': ({ query, ...request }, call) => {
      if (call.nextJournal !== null) {
        throw new Error(
          'This query or mutation function ran multiple paginated queries. Convex only supports a single paginated query in each function.',
        );
      }
      const plan = planQuery(query as unknown as QueryJson, host.tables);
      const { page, ...rest } = readPage(reading(call), plan, keepEnd(request as unknown as PageRequest, call));
      call.nextJournal = rest.continueCursor;
      return `{"page":[${page.join(',')}],${JSON.stringify(rest).slice(1)}`;
    },
    '1.0/getUserIdentity': (_args, call) => JSON.stringify(claimsOf(call.identity) ?? null),
    '1.0/getFunctionMetadata': (_args, call) => JSON.stringify({ name: call.path, componentPath: '' }),
    '1.0/runUdf': ({ udfType, args = null, ...address }, call) => {
      const kind = udfType === 'mutation' ? 'mutation' : 'query';
      const fn = findFunction(host.functions, pathOf(address), { kind, internal: true });
      return kind === 'mutation' ? call.inTurn(() => runNested(fn, args, call)) : runNested(fn, args, call);
    },
  };
  for (const kind of ['query', 'mutation', 'action'] as const) {
    async[`1.0/actions/${kind}`] = async ({ args = null, ...address }, call) => {
      return resultOf(await host.callFromAction(kind, pathOf(address), args, call));
    };
  }

  return {
    syscall: (op: string, args: string) => find(sync, op)(JSON.parse(args) as Fields, callNow()),
    asyncSyscall: async (op: string, args: string) => find(async, op)(JSON.parse(args) as Fields, callNow()),
    jsSyscall: (op: string) => {
      throw new Error(`${op} is not supported by this engine.`);
    },
  };
}

/** Runs a function within the transaction of another. What it wrote stays when it does not throw. */
async function runNested(fn: RegisteredFunction, args: JSONValue, call: Call): Promise<string> {
  const around = fn.kind === 'mutation' ? writing(call) : reading(call);
  const transaction = around.nested();
  const { outcome } = await runFunction(fn, args, { identity: call.identity, transaction, logLines: call.logLines });
  const value = resultOf(outcome);
  around.absorb(transaction);
  return value;
}

function callNow(): Call {
  const call = currentCall.getStore();
  if (!call) throw new Error('The Convex database was used outside of a Convex function.');
  return call;
}

function find<Syscall>(syscalls: Record<string, Syscall>, op: string): Syscall {
  const syscall = syscalls[op];
  if (!syscall) throw new Error(`${op.replace(/^1\.0\//, '')} is not supported by this engine.`);
  return syscall;
}

function reading({ transaction, kind }: Call): Transaction {
  if (!transaction) throw new Error(`The database cannot be used in a ${kind}.`);
  return transaction;
}

function writing(call: Call): Transaction {
  if (call.kind !== 'mutation') throw new Error(`A ${call.kind} cannot write to the database.`);
  return reading(call);
}

/** A live page that grew or shrank keeps ending where it ended before. */
function keepEnd(request: PageRequest, call: Call): PageRequest {
  return { ...request, endCursor: request.endCursor ?? call.journal };
}

function pathOf({ name, reference, functionHandle }: Fields): string {
  if (typeof name === 'string') return name;
  throw new Error(
    `Function ${reference ?? functionHandle} belongs to a component, which this engine does not support.`,
  );
}

/** The value of a nested call; its failure is thrown on, as `convex/server` expects it. */
function resultOf(outcome: Outcome): string {
  if (outcome.ok) return outcome.value;
  const error = new Error(outcome.message);
  throw outcome.data === undefined ? error : Object.assign(error, { data: JSON.parse(outcome.data) as JSONValue });
}

function optional(value: JSONValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
