import type { WebSocket } from 'ws';
import { AuthFailure, actingAs, type Identity, isExpired, NOBODY } from './auth.ts';
import type { Engine } from './engine.ts';
import { type LiveResult, type Subscription, sameResult } from './live.ts';
import {
  type ClientMessage,
  clientMessage,
  type Message,
  queryRemoved,
  queryResult,
  response,
  type StateVersion,
  transition,
} from './sync-messages.ts';

type AddedQuery = Extract<Message<'ModifyQuerySet'>['modifications'][number], { type: 'Add' }>;

interface SubscribedQuery {
  readonly added: AddedQuery;
  subscription: Subscription;
  sent: LiveResult | undefined;
}

/** One websocket: takes the client's messages in order, and brings its queries up to date. */
export class SyncSession {
  readonly #engine: Engine;
  readonly #socket: WebSocket;
  readonly #queries = new Map<number, SubscribedQuery>();
  /** Names the client across its connections; undefined until it has introduced itself. */
  #session: string | undefined;
  #identity: Identity = NOBODY;
  /** What the client has, and what it asked for since. */
  #version: StateVersion = { querySet: 0, identity: 0, ts: 0n };
  #asked = { querySet: 0, identity: 0 };
  #removed: number[] = [];
  /** A mutation was answered: the client waits for a transition past it. */
  #owed = false;
  #scheduled = false;
  #inbox: Promise<void> = Promise.resolve();
  #mutations: Promise<void> = Promise.resolve();
  #transitions: Promise<void> = Promise.resolve();

  constructor(engine: Engine, socket: WebSocket) {
    this.#engine = engine;
    this.#socket = socket;
    socket.on('message', (data) => {
      const text = data.toString();
      this.#inbox = this.#inbox.then(() => this.#receive(text));
    });
    socket.on('close', () => this.#close());
    socket.on('error', () => socket.terminate());
  }

  ping(): void {
    this.#send('{"type":"Ping"}');
  }

  async #receive(text: string): Promise<void> {
    try {
      await this.#handle(clientMessage.parse(JSON.parse(text)));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#send(JSON.stringify({ type: 'FatalError', error: `The message is not understood: ${message}` }));
      this.#socket.close(1002);
    }
  }

  async #handle(message: ClientMessage): Promise<void> {
    switch (message.type) {
      case 'Connect':
        this.#session = message.sessionId;
        return;
      case 'Authenticate':
        return this.#authenticate(message);
      case 'ModifyQuerySet':
        return this.#modifyQuerySet(message);
      case 'Mutation': {
        const identity = this.#identity;
        this.#mutations = this.#mutations.then(() => this.#run(message, identity));
        return;
      }
      case 'Action':
        void this.#run(message, this.#identity);
        return;
      case 'Event':
        return;
    }
  }

  async #authenticate({ tokenType, value = '', impersonating, baseVersion }: Message<'Authenticate'>): Promise<void> {
    try {
      this.#identity = await this.#identify(tokenType, value);
    } catch (error) {
      return this.#refuse(error, baseVersion, true);
    }
    if (this.#identity.kind === 'admin' && impersonating) {
      this.#identity = { kind: 'admin', actingAs: actingAs(impersonating) };
    }
    this.#asked.identity = baseVersion + 1;
    for (const query of this.#queries.values()) {
      query.subscription.close();
      query.subscription = this.#subscribe(query.added, query.sent?.journal);
    }
    this.#schedule();
  }

  async #identify(tokenType: 'User' | 'Admin' | 'None', value: string): Promise<Identity> {
    if (tokenType === 'User') return this.#engine.authenticator.user(value);
    return tokenType === 'Admin' ? this.#engine.authenticator.admin(value) : NOBODY;
  }

  #modifyQuerySet({ newVersion, modifications }: Message<'ModifyQuerySet'>): void {
    for (const modification of modifications) {
      const { queryId } = modification;
      this.#queries.get(queryId)?.subscription.close();
      if (modification.type === 'Add') {
        const subscription = this.#subscribe(modification, modification.journal);
        this.#queries.set(queryId, { added: modification, subscription, sent: undefined });
      } else if (this.#queries.delete(queryId)) this.#removed.push(queryId);
    }
    this.#asked.querySet = newVersion;
    this.#schedule();
  }

  #subscribe({ udfPath, args }: AddedQuery, journal: string | null | undefined): Subscription {
    const query = { path: udfPath, args: args[0] ?? {}, identity: this.#identity, journal: journal ?? null };
    return this.#engine.live.subscribe(query, () => this.#schedule());
  }

  async #run({ type, requestId, udfPath, args }: Message<'Mutation' | 'Action'>, identity: Identity): Promise<void> {
    if (isExpired(identity, Date.now())) {
      return this.#refuse(new AuthFailure('TokenExpired', 'The token has expired.'), this.#version.identity, false);
    }
    const kind = type === 'Mutation' ? 'mutation' : 'action';
    const session = type === 'Mutation' ? this.#session : undefined;
    const request = session === undefined ? undefined : { session, request: requestId };
    try {
      const answered = await this.#engine.call({ path: udfPath, args: args[0] ?? {}, identity, kind, request });
      this.#send(response(type, requestId, answered));
      this.#owed ||= type === 'Mutation' && answered.ok;
      this.#schedule();
    } catch {
      // The engine is broken and about to end: without an answer the client asks the next one.
      this.#socket.terminate();
    }
  }

  /** Sends a transition soon; what changes until then goes with it. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#transitions = this.#transitions
        .then(() => {
          this.#scheduled = false;
          return this.#transition();
        })
        .catch(() => this.#socket.terminate());
    });
  }

  async #transition(): Promise<void> {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#queries.size > 0 && isExpired(this.#identity, Date.now())) {
      return this.#refuse(new AuthFailure('TokenExpired', 'The token has expired.'), this.#version.identity, false);
    }
    // The timestamp is taken before the queries run: results may be newer than it says, never older.
    const end = { ...this.#asked, ts: this.#engine.latestTimestamp() };
    const modifications = this.#removed.splice(0).map(queryRemoved);
    const owed = this.#owed;
    this.#owed = false;
    const results = await Promise.all(
      [...this.#queries].map(async ([queryId, query]) => ({
        queryId,
        query,
        result: await query.subscription.result(),
      })),
    );
    for (const { queryId, query, result } of results) {
      if (this.#queries.get(queryId) !== query || (query.sent && sameResult(query.sent, result))) continue;
      query.sent = result;
      modifications.push(queryResult(queryId, result));
    }
    const { querySet, identity } = this.#version;
    if (modifications.length === 0 && !owed && querySet === end.querySet && identity === end.identity) return;
    const text = transition(this.#version, end, modifications);
    this.#version = end;
    // A slow client gets its next transition when this one has left.
    await new Promise<void>((resolve) => this.#socket.send(text, () => resolve()));
  }

  #refuse(error: unknown, baseVersion: number, authUpdateAttempted: boolean): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#send(JSON.stringify({ type: 'AuthError', error: message, baseVersion, authUpdateAttempted }));
    this.#socket.close(1000, 'AuthError');
  }

  #send(text: string): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(text);
  }

  #close(): void {
    for (const { subscription } of this.#queries.values()) subscription.close();
    this.#queries.clear();
  }
}
