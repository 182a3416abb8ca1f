import { AsyncLocalStorage } from 'node:async_hooks';
import type { LimitFunction } from 'p-limit';
import type { Identity } from '#local/convex/auth/auth.ts';
import type { DocumentStream } from '#local/convex/database/query.ts';
import type { Transaction } from '#local/convex/database/transaction.ts';
import type { FunctionKind } from './functions.ts';

/** One run of a function: what its syscalls act on. */
export interface Call {
  readonly path: string;
  readonly kind: FunctionKind;
  readonly identity: Identity;
  /** Undefined in actions. */
  readonly transaction: Transaction | undefined;
  readonly streams: Map<number, DocumentStream>;
  nextStream: number;
  readonly logLines: string[];
  /** Milliseconds spent in the function's own code. */
  userMs: number;
  /** What the process had computed when the call began. */
  readonly cpuMsBefore: number;
  /** Nothing is asked or written any more. */
  ended: boolean;
  /** Of the request that all this is done for, shared by the calls it leads to. */
  readonly requestId: string;
  /** The scheduled function this run belongs to. */
  readonly scheduledId: string | undefined;
  /** Nested mutations run one after another, as each is a transaction on top of what is there. */
  readonly inTurn: LimitFunction;
  /** End cursor of the page read before, so that a live page keeps its end; and the one of this run. */
  readonly journal: string | null;
  nextJournal: string | null;
}

/** The call that the code running now belongs to, across its awaits. */
export const currentCall = new AsyncLocalStorage<Call>();

/** What came of a call. JSON texts of Convex values throughout. */
export type Outcome = Success | Failure;

export interface Success {
  readonly ok: true;
  readonly value: string;
  readonly logLines: readonly string[];
}

export interface Failure {
  readonly ok: false;
  readonly message: string;
  /** Set for a `ConvexError` only. */
  readonly data?: string | undefined;
  readonly logLines: readonly string[];
}

/** What a thrown value tells the caller. `serialized` marks how `convex/server` throws a ConvexError. */
export function failureOf(thrown: unknown, logLines: readonly string[]): Failure {
  if (thrown instanceof RefusedCall) return { ok: false, message: thrown.message, logLines };
  if (!(thrown instanceof Error)) return { ok: false, message: `Uncaught ${String(thrown)}`, logLines };
  const data = convexErrorData(thrown);
  return { ok: false, message: `Uncaught ${thrown.name}: ${thrown.message}`, data, logLines };
}

/** A call refused before or after the function's own code: its message goes out as it is. */
export class RefusedCall extends Error {
  override readonly name = 'RefusedCall';
}

function convexErrorData(error: Error): string | undefined {
  if (!(Symbol.for('ConvexError') in error) || !('data' in error)) return undefined;
  // `convex/server` turns the data into JSON text before it lets the error out.
  return typeof error.data === 'string' ? error.data : JSON.stringify(error.data);
}
