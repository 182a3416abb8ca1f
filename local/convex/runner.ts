import type { JSONValue } from 'convex/values';
import pLimit from 'p-limit';
import type { Identity } from './auth.ts';
import { type Call, currentCall, failureOf, type Outcome, RefusedCall } from './call.ts';
import { canonicalPath, type FunctionKind, type Functions, type RegisteredFunction } from './functions.ts';
import type { Transaction } from './transaction.ts';
import { isPlainObject } from './validate.ts';

export interface RunOptions {
  readonly identity: Identity;
  readonly transaction: Transaction | undefined;
  readonly journal?: string | null;
  /** Log lines of the call around this one, when there is one. */
  readonly logLines?: string[];
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
  const call: Call = {
    path: fn.path,
    kind: fn.kind,
    identity: options.identity,
    transaction: options.transaction,
    streams: new Map(),
    nextStream: 1,
    inTurn: pLimit(1),
    logLines: options.logLines ?? [],
    journal: options.journal ?? null,
    nextJournal: null,
  };
  try {
    if (!isPlainObject(args)) throw new RefusedCall('The arguments of a Convex function must be an object.');
    refuse('ArgumentValidationError', fn.checkArgs(args, ''));
    const value = await currentCall.run(call, () => fn.invoke(JSON.stringify(args)));
    if (fn.checkReturns) refuse('ReturnsValidationError', fn.checkReturns(JSON.parse(value) as JSONValue, ''));
    return { outcome: { ok: true, value, logLines: call.logLines }, journal: call.nextJournal };
  } catch (thrown) {
    if (!options.logLines) report(fn.path, thrown);
    return { outcome: failureOf(thrown, call.logLines), journal: call.nextJournal };
  }
}

/** Mistakes in functions are told to their author with the place; refusals and `ConvexError`s are meant. */
function report(path: string, thrown: unknown): void {
  if (thrown instanceof RefusedCall || !(thrown instanceof Error) || 'data' in thrown) return;
  process.stderr.write(`${path} failed: ${thrown.stack}\n`);
}

function refuse(kind: string, problem: string | undefined): void {
  if (problem !== undefined) throw new RefusedCall(`${kind}: ${problem}`);
}

function capital(kind: FunctionKind): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}
