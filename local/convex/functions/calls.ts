import type { JSONValue } from 'convex/values';
import type { Identity } from '#local/convex/auth/auth.ts';
import { type MutableRange, Transaction } from '#local/convex/database/transaction.ts';
import type { Transactions } from '#local/convex/database/transactions.ts';
import type { CommitLog } from '#local/convex/storage/commit-log.ts';
import type { History } from '#local/convex/storage/history.ts';
import type { Overlay } from '#local/convex/storage/overlay.ts';
import { findAnswer, type RequestId } from '#local/convex/storage/requests.ts';
import type { Storage } from '#local/convex/storage/storage.ts';
import { failureOf, type Outcome, RefusedCall } from './call.ts';
import type { FunctionKind, Functions, RegisteredFunction } from './functions.ts';
import type { LiveQuery, LiveResult } from './live.ts';
import { findFunction, type RunOptions, runFunction } from './runner.ts';

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
  /** Shows a query the database as it was at this timestamp. */
  readonly at?: bigint | undefined;
  /** What the call is part of, when an action makes it. */
  readonly origin?: Pick<RunOptions, 'requestId' | 'scheduledId'>;
}

export type Answered = Outcome & { readonly timestamp?: bigint };

interface CallsHost {
  readonly functions: Functions;
  readonly storage: Storage;
  readonly log: CommitLog;
  readonly history: History;
  readonly transactions: Transactions;
}

/** Calls from outside and from actions, each in a transaction of its own. */
export class Calls {
  readonly #host: CallsHost;
  readonly #inFlight = new Map<string, Promise<Answered>>();

  constructor(host: CallsHost) {
    this.#host = host;
  }

  /** Calls a function. Rejects only when the engine itself is broken. */
  async call(request: CallRequest): Promise<Answered> {
    let fn: RegisteredFunction;
    try {
      fn = this.#find(request);
    } catch (refused) {
      return failureOf(refused, []);
    }
    if (fn.kind === 'query') return (await this.#query(request, null)).outcome;
    if (fn.kind === 'mutation') return this.#mutateOnce(fn, request);
    const { args, identity, origin } = request;
    return (await runFunction(fn, args, { identity, transaction: undefined, ...origin })).outcome;
  }

  /** Runs a live query once, and pushes what it read to `reads`. */
  watch(query: LiveQuery, reads: MutableRange[]): Promise<LiveResult> {
    return this.#query({ ...query, kind: 'query' }, query.journal, reads);
  }

  #find({ path, kind, identity, internal }: CallRequest): RegisteredFunction {
    const { functions } = this.#host;
    return findFunction(functions, path, { kind, internal: internal === true || identity.kind === 'admin' });
  }

  async #query(request: CallRequest, journal: string | null, reads?: MutableRange[]): Promise<LiveResult> {
    const snapshot = this.#host.storage.snapshot();
    try {
      const transaction = new Transaction(snapshot, this.#past(request.at), reads);
      const { args, identity, origin } = request;
      return await runFunction(this.#find(request), args, { identity, transaction, journal, ...origin });
    } catch (refused) {
      return { outcome: failureOf(refused, []), journal: null };
    } finally {
      snapshot.release();
    }
  }

  /** What takes the newest state back to `at`. */
  #past(at: bigint | undefined): Overlay[] {
    if (at === undefined) return [];
    const { history, log } = this.#host;
    if (at > log.latest) throw new RefusedCall(`Timestamp ${at} lies after the newest one, ${log.latest}.`);
    const undo = history.undoTo(at);
    if (undo) return [undo];
    if (at === log.latest) return [];
    throw new RefusedCall(
      `The database at timestamp ${at} is not kept any more: it is for a minute. Ask for a new timestamp.`,
    );
  }

  /** A repeated request that is still under way waits for the first instead of running again. */
  #mutateOnce(fn: RegisteredFunction, call: CallRequest): Promise<Answered> {
    if (!call.request) return this.#mutate(fn, call);
    const key = `${call.request.session}/${call.request.request}`;
    const running = this.#inFlight.get(key) ?? this.#mutate(fn, call).finally(() => this.#inFlight.delete(key));
    this.#inFlight.set(key, running);
    return running;
  }

  async #mutate(fn: RegisteredFunction, { args, identity, request, origin }: CallRequest): Promise<Answered> {
    const { storage, transactions } = this.#host;
    const { result, timestamp } = await transactions.run<Answered>(async (transaction) => {
      const answered = request && findAnswer(storage, request);
      if (answered) return { result: { ok: true, logLines: [], ...answered } };
      const { outcome } = await runFunction(fn, args, { identity, transaction, ...origin });
      return outcome.ok ? { result: outcome, keep: { value: outcome.value, request } } : { result: outcome };
    });
    return timestamp === undefined ? result : { ...result, timestamp };
  }
}
