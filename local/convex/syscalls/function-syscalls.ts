import type { JSONValue } from 'convex/values';
import { claimsOf } from '#local/convex/auth/auth.ts';
import type { Transaction } from '#local/convex/database/transaction.ts';
import type { Call, Outcome } from '#local/convex/functions/call.ts';
import type { FunctionKind, Functions, RegisteredFunction } from '#local/convex/functions/functions.ts';
import { findFunction, runFunction } from '#local/convex/functions/runner.ts';
import type { ScheduledFunctions } from '#local/convex/schedule/scheduled-functions.ts';
import { reading, writing } from './database-syscalls.ts';
import type { Fields, Syscall } from './syscalls.ts';

export interface FunctionHost {
  readonly functions: Functions;
  readonly scheduled: ScheduledFunctions;
  /** Runs a function in a transaction of its own, or in none. */
  callFromAction(kind: FunctionKind, path: string, args: JSONValue, call: Call): Promise<Outcome>;
  /** Runs `work` in a transaction of its own. Resolves once it is on the disk. */
  transact<Result>(work: (transaction: Transaction) => Result): Promise<Result>;
}

/** The syscalls by which a function calls others, now or later, and learns about itself. */
export function functionSyscalls(host: FunctionHost): Record<string, Syscall<string | Promise<string>>> {
  const { functions, scheduled } = host;
  const schedule = (transaction: Transaction, { ts, args = null, ...address }: Fields, { scheduledId }: Call) => {
    const time = Number(ts) * 1000;
    return JSON.stringify(scheduled.schedule(transaction, { path: pathOf(address), args, time, by: scheduledId }));
  };
  const cancel = (transaction: Transaction, { id }: Fields) => {
    scheduled.cancel(transaction, String(id));
    return 'null';
  };
  const fromAction = (kind: FunctionKind): Syscall<Promise<string>> => {
    return async ({ args = null, ...address }, call) =>
      resultOf(await host.callFromAction(kind, pathOf(address), args, call));
  };
  return {
    '1.0/getUserIdentity': (_args, call) => JSON.stringify(claimsOf(call.identity) ?? null),
    '1.0/getFunctionMetadata': (_args, call) => JSON.stringify({ name: call.path, componentPath: '' }),
    '1.0/getDeploymentMetadata': () => JSON.stringify({ name: 'embedded', region: null, class: 's16' }),
    '1.0/getRequestMetadata': (_args, { requestId, scheduledId }) =>
      JSON.stringify({ ...NO_REQUEST, requestId, scheduledFunctionId: scheduledId ?? null }),
    '1.0/runUdf': ({ udfType, args = null, ...address }, call) => {
      const kind = udfType === 'mutation' ? 'mutation' : 'query';
      const fn = findFunction(functions, pathOf(address), { kind, internal: true });
      return kind === 'mutation' ? call.inTurn(() => runNested(fn, args, call)) : runNested(fn, args, call);
    },
    '1.0/actions/query': fromAction('query'),
    '1.0/actions/mutation': fromAction('mutation'),
    '1.0/actions/action': fromAction('action'),
    '1.0/schedule': (args, call) => schedule(writing(call), args, call),
    '1.0/cancel_job': (args, call) => cancel(writing(call), args),
    '1.0/actions/schedule': (args, call) => host.transact((transaction) => schedule(transaction, args, call)),
    '1.0/actions/cancel_job': (args) => host.transact((transaction) => cancel(transaction, args)),
  };
}

/** What the engine does not tell functions about the request behind a call. */
const NO_REQUEST = { ip: null, userAgent: null, authToken: null };

/** Runs a function within the transaction of another. What it wrote stays when it does not throw. */
async function runNested(fn: RegisteredFunction, args: JSONValue, call: Call): Promise<string> {
  const around = fn.kind === 'mutation' ? writing(call) : reading(call);
  const transaction = around.nested();
  const { outcome } = await runFunction(fn, args, { identity: call.identity, transaction, outer: call });
  const value = resultOf(outcome);
  around.absorb(transaction);
  return value;
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
