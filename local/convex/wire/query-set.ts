import type { Identity } from '#local/convex/auth/auth.ts';
import { type LiveQueries, type LiveResult, type Subscription, sameResult } from '#local/convex/functions/live.ts';
import { type Message, queryRemoved, queryResult, soleArgument } from './sync-messages.ts';

type Modification = Message<'ModifyQuerySet'>['modifications'][number];
type AddedQuery = Extract<Modification, { type: 'Add' }>;

interface WatchedQuery {
  readonly added: AddedQuery;
  subscription: Subscription;
  sent: LiveResult | undefined;
}

/** Characters of results in one transition, unless a single one is longer. */
const LONGEST_TRANSITION = 64 * 1024 * 1024;

/** The queries that one client watches, and which of their results it has. */
export class QuerySet {
  readonly #live: LiveQueries;
  readonly #onStale: () => void;
  readonly #queries = new Map<number, WatchedQuery>();
  #removed: number[] = [];

  /** `onStale` is called each time a result may have changed. */
  constructor(live: LiveQueries, onStale: () => void) {
    this.#live = live;
    this.#onStale = onStale;
  }

  get size(): number {
    return this.#queries.size;
  }

  /** Throws when the query to add is there, or the one to remove is not. */
  modify(modification: Modification, identity: Identity): void {
    const { queryId } = modification;
    const known = this.#queries.get(queryId);
    if (modification.type === 'Add') {
      if (known) throw new Error(`Query ${queryId} is in the query set already.`);
      const subscription = this.#subscribe(modification, identity, modification.journal);
      this.#queries.set(queryId, { added: modification, subscription, sent: undefined });
    } else {
      if (!known) throw new Error(`Query ${queryId} is not in the query set.`);
      known.subscription.close();
      this.#queries.delete(queryId);
      this.#removed.push(queryId);
    }
  }

  /** From here on somebody else asks. */
  watchAs(identity: Identity): void {
    for (const query of this.#queries.values()) {
      query.subscription.close();
      query.subscription = this.#subscribe(query.added, identity, query.sent?.journal);
    }
  }

  /**
   * What the client does not know yet, as modifications of a transition; from here on it counts as
   * known. Not `whole` when there is more than fits into one transition: the rest is for the next.
   */
  async takeNews(): Promise<{ modifications: string[]; whole: boolean }> {
    const modifications = this.#removed.splice(0).map(queryRemoved);
    const results = await Promise.all(
      [...this.#queries].map(async ([queryId, query]) => ({
        queryId,
        query,
        result: await query.subscription.result(),
      })),
    );
    let length = 0;
    for (const { queryId, query, result } of results) {
      if (this.#queries.get(queryId) !== query || (query.sent && sameResult(query.sent, result))) continue;
      const modification = queryResult(queryId, result);
      length += modification.length;
      if (length > LONGEST_TRANSITION && length > modification.length) return { modifications, whole: false };
      query.sent = result;
      modifications.push(modification);
    }
    return { modifications, whole: true };
  }

  close(): void {
    for (const { subscription } of this.#queries.values()) subscription.close();
    this.#queries.clear();
  }

  #subscribe({ udfPath, args }: AddedQuery, identity: Identity, journal: string | null | undefined): Subscription {
    const query = { path: udfPath, args: soleArgument(args), identity, journal: journal ?? null };
    return this.#live.subscribe(query, this.#onStale);
  }
}
