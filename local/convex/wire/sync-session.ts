import type { Socket } from 'node:net';
import pLimit from 'p-limit';
import type { WebSocket } from 'ws';
import { AuthFailure, actingAs, type Identity, isExpired, NOBODY } from '#local/convex/auth/auth.ts';
import type { Engine } from '#local/convex/engine.ts';
import { ClientSocket } from './client-socket.ts';
import { QuerySet } from './query-set.ts';
import {
  type ClientMessage,
  type Message,
  parseMessage,
  response,
  type StateVersion,
  soleArgument,
  transition,
} from './sync-messages.ts';

type CallMessage = Message<'Mutation' | 'Action'>;

/** Actions that one client has running at once. */
const MOST_ACTIONS = 64;

/** One websocket: takes the client's messages in order, and brings its queries up to date. */
export class SyncSession {
  readonly #engine: Engine;
  readonly #client: ClientSocket;
  readonly #queries: QuerySet;
  /** Names the client across its connections; undefined until it has introduced itself. */
  #session: string | undefined;
  #identity: Identity = NOBODY;
  /** What the client has, and what it asked for since. */
  #version: StateVersion = { querySet: 0, identity: 0, ts: 0n };
  #asked = { querySet: 0, identity: 0 };
  /** A mutation was answered: the client waits for a transition past it. */
  #owed = false;
  #scheduled = false;
  /** Refused, or gone: nothing it says counts any more. */
  #ended = false;
  readonly #actions = pLimit(MOST_ACTIONS);
  #inbox: Promise<void> = Promise.resolve();
  #mutations: Promise<void> = Promise.resolve();
  #transitions: Promise<void> = Promise.resolve();

  /** `connection` is what the websocket lies on; a client that takes nothing for `stuckMs` is cut off. */
  constructor(engine: Engine, socket: WebSocket, connection: Socket, stuckMs: number) {
    this.#engine = engine;
    this.#client = new ClientSocket(socket, connection, stuckMs, (frame, isBinary) => this.#receive(frame, isBinary));
    this.#queries = new QuerySet(engine.live, () => this.#schedule());
    socket.on('close', () => this.#end());
  }

  ping(): void {
    void this.#client.send('{"type":"Ping"}');
  }

  /** Resolves when the message is dealt with: a mutation or an action when it is answered. */
  async #receive(frame: Buffer, isBinary: boolean): Promise<void> {
    const before = this.#inbox;
    const taken = Promise.withResolvers<void>();
    this.#inbox = taken.promise;
    await before;
    let running: Promise<void> | undefined;
    try {
      if (this.#ended) return;
      const message = parseMessage(frame, isBinary);
      if ('requestId' in message) running = this.#start(message);
      else await this.#handle(message);
    } catch (error) {
      this.#fail(error);
    } finally {
      taken.resolve();
    }
    await running;
  }

  async #handle(message: Exclude<ClientMessage, CallMessage>): Promise<void> {
    switch (message.type) {
      case 'Connect':
        if (this.#session !== undefined) throw new Error('A second Connect on one connection.');
        this.#session = message.sessionId;
        return;
      case 'Authenticate':
        return this.#authenticate(message);
      case 'ModifyQuerySet':
        return this.#modifyQuerySet(message);
      case 'Event':
        return;
    }
  }

  async #authenticate({ tokenType, value = '', impersonating, baseVersion }: Message<'Authenticate'>): Promise<void> {
    this.#expect('identity', baseVersion);
    try {
      this.#identity = await this.#identify(tokenType, value);
    } catch (error) {
      return this.#refuse(error, baseVersion, true);
    }
    if (this.#ended) return;
    if (this.#identity.kind === 'admin' && impersonating) {
      this.#identity = { kind: 'admin', actingAs: actingAs(impersonating) };
    }
    this.#asked.identity = baseVersion + 1;
    this.#queries.watchAs(this.#identity);
    this.#schedule();
  }

  async #identify(tokenType: 'User' | 'Admin' | 'None', value: string): Promise<Identity> {
    if (tokenType === 'User') return this.#engine.authenticator.user(value);
    return tokenType === 'Admin' ? this.#engine.authenticator.admin(value) : NOBODY;
  }

  #modifyQuerySet({ baseVersion, newVersion, modifications }: Message<'ModifyQuerySet'>): void {
    this.#expect('querySet', baseVersion);
    if (newVersion <= baseVersion) throw new Error(`A query set goes on from ${baseVersion}, not to ${newVersion}.`);
    for (const modification of modifications) this.#queries.modify(modification, this.#identity);
    this.#asked.querySet = newVersion;
    this.#schedule();
  }

  /** Mutations run one after another, actions side by side. */
  #start(message: CallMessage): Promise<void> {
    if (this.#session === undefined) throw new Error('A client introduces itself by Connect first.');
    const identity = this.#identity;
    if (message.type === 'Action') return this.#actions(() => this.#run(message, identity, undefined));
    const request = { session: this.#session, request: message.requestId };
    this.#mutations = this.#mutations.then(() => this.#run(message, identity, request));
    return this.#mutations;
  }

  async #run(
    { type, requestId, udfPath, args }: CallMessage,
    identity: Identity,
    request: { session: string; request: number } | undefined,
  ): Promise<void> {
    await this.#client.drained();
    if (this.#ended) return;
    if (isExpired(identity, Date.now())) return this.#refuseExpired();
    const kind = type === 'Mutation' ? 'mutation' : 'action';
    try {
      const answered = await this.#engine.call({ path: udfPath, args: soleArgument(args), identity, kind, request });
      void this.#client.send(response(type, requestId, answered));
      this.#owed ||= type === 'Mutation' && answered.ok;
      this.#schedule();
    } catch {
      // The engine is broken and about to end: without an answer the client asks the next one.
      this.#client.cutOff();
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
        .catch(() => this.#client.cutOff());
    });
  }

  async #transition(): Promise<void> {
    if (this.#ended) return;
    if (this.#queries.size > 0 && isExpired(this.#identity, Date.now())) return this.#refuseExpired();
    // The timestamp is taken before the queries run: results may be newer than it says, never older.
    const end = { ...this.#asked, ts: this.#engine.latestTimestamp() };
    const owed = this.#owed;
    this.#owed = false;
    const { modifications, whole } = await this.#queries.takeNews();
    const start = this.#version;
    if (modifications.length === 0 && !owed && start.querySet === end.querySet && start.identity === end.identity) {
      return;
    }
    // The client is at its new version when it has all results; what does not fit comes in the next transition.
    if (whole) this.#version = end;
    else {
      this.#owed = true;
      this.#schedule();
    }
    // A slow client gets its next transition when this one has left: only what is newest then.
    await this.#client.sendTransition(transition(start, this.#version, modifications));
  }

  #expect(version: 'querySet' | 'identity', base: number): void {
    if (this.#session === undefined) throw new Error('A client introduces itself by Connect first.');
    const current = this.#asked[version];
    if (base !== current) throw new Error(`The ${version} is at version ${current}, not ${base}.`);
  }

  #refuseExpired(): void {
    this.#refuse(new AuthFailure('TokenExpired', 'The token has expired.'), this.#version.identity, false);
  }

  #refuse(error: unknown, baseVersion: number, authUpdateAttempted: boolean): void {
    const message = error instanceof Error ? error.message : String(error);
    void this.#client.send(JSON.stringify({ type: 'AuthError', error: message, baseVersion, authUpdateAttempted }));
    this.#client.close(1000, 'AuthError');
    this.#end();
  }

  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    void this.#client.send(JSON.stringify({ type: 'FatalError', error: `The message is not understood: ${message}` }));
    this.#client.close(1002, 'FatalError');
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#queries.close();
  }
}
