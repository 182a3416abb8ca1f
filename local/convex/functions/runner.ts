import { randomUUID } from 'node:crypto';
import type { JSONValue } from 'convex/values';
import pLimit from 'p-limit';
import type { Identity } from '#local/convex/auth/auth.ts';
import type { Transaction } from '#local/convex/database/transaction.ts';
import { DEADLINE_MS } from '#local/convex/values/limits.ts';
import { type Call, currentCall, failureOf, type Outcome, RefusedCall } from './call.ts';
import { checkArguments, checkResult } from './function-checks.ts';
import { canonicalPath, type FunctionKind, type Functions, type RegisteredFunction } from './functions.ts';
import { chargeUserTime, recentCpuMs, refuseOvertime, startUserTime } from './user-time.ts';

export interface RunOptions {
  readonly identity: Identity;
  readonly transaction: Transaction | undefined;
  readonly journal?: string | null;
  /** The call around this one, when there is one: log lines go to it. */
  readonly outer?: Call;
  /** Set by an action for what it calls. */
  readonly requestId?: string | undefined;
  /** The scheduled function that runs. */
  readonly scheduledId?: string | undefined;
}

/** Finds a function. `internal` ones exist only for admins and other functions. Throws `RefusedCall`. */
export function findFunction(
  functions: Functions,
  path: string,
  options: { kind?: FunctionKind | undefined; internal: boolean },
): RegisteredFunction {
  const fn = functions.get(canonicalPath(path));
  if (!fn || !(fn.isPublic || options.internal)) {
    const visibility = options.internal ? '' : 'public ';
    throw new RefusedCall(
      `Could not find ${visibility}function for '${path}'. Did you forget to run \`npx convex dev\` or \`npx convex deploy\`?`,
    );
  }
  if (options.kind && fn.kind !== options.kind) {
    throw new RefusedCall(
      `Trying to execute ${fn.path} as ${capital(options.kind)}, but it is defined as ${capital(fn.kind)}.`,
    );
  }
  return fn;
}

/** Runs a function with its arguments and result checked. Whatever it throws is in the outcome. */
export async function runFunction(
  fn: RegisteredFunction,
  args: JSONValue,
  options: RunOptions,
): Promise<{ outcome: Outcome; journal: string | null }> {
  const call = newCall(fn, options);
  try {
    checkArguments(fn, args);
    const run = runIn(call, () => fn.invoke(JSON.stringify(args)));
    const value = await (options.outer ? run : before(DEADLINE_MS[fn.kind], run));
    checkResult(fn, value);
    return { outcome: { ok: true, value, logLines: call.logLines }, journal: call.nextJournal };
  } catch (thrown) {
    if (!options.outer) report(fn.path, thrown);
    return { outcome: failureOf(thrown, call.logLines), journal: call.nextJournal };
  } finally {
    call.ended = true;
  }
}

/** A call about to run. */
export function newCall({ path, kind }: Pick<RegisteredFunction, 'path' | 'kind'>, options: RunOptions): Call {
  return {
    path,
    kind,
    identity: options.identity,
    transaction: options.transaction,
    streams: new Map(),
    nextStream: 1,
    inTurn: pLimit(1),
    logLines: options.outer?.logLines ?? [],
    userMs: 0,
    cpuMsBefore: recentCpuMs(),
    ended: false,
    requestId: options.requestId ?? options.outer?.requestId ?? randomUUID(),
    scheduledId: options.scheduledId ?? options.outer?.scheduledId,
    journal: options.journal ?? null,
    nextJournal: null,
  };
}

/** Runs code as that of `call`, across its awaits. Throws when it took more time than it may. */
export async function runIn<Result>(call: Call, code: () => Promise<Result>): Promise<Result> {
  startUserTime();
  try {
    return await currentCall.run(call, code);
  } finally {
    chargeUserTime(call);
    refuseOvertime(call);
  }
}

/** Mistakes in functions are told to their author with the place; refusals and `ConvexError`s are meant. */
export function report(path: string, thrown: unknown): void {
  if (thrown instanceof RefusedCall || !(thrown instanceof Error) || 'data' in thrown) return;
  process.stderr.write(`${path} failed: ${thrown.stack}\n`);
}

async function before<Result>(milliseconds: number, work: Promise<Result>): Promise<Result> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new RefusedCall(`Function execution timed out (maximum duration: ${milliseconds / 1000}s)`));
  }, milliseconds);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function capital(kind: FunctionKind): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}
