import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { transitionParts } from './sync-messages.ts';

/**
 * From here on a client is not listened to until it has read what was sent to it, and what it asked
 * for is done: in bytes.
 */
const MOST_UNSENT = 4 * 1024 * 1024;
const MOST_UNDONE = 16 * 1024 * 1024;
/** What a message costs in memory besides its text. */
const MESSAGE_COST = 1_024;

/** The websocket of a client, which may read slowly or not at all: what waits for it stays bounded. */
export class ClientSocket {
  readonly #socket: WebSocket;
  #undone = 0;
  #waiting: (() => void)[] = [];

  /**
   * A client that takes nothing for `stuckMs` milliseconds while something waits for it is cut off, so
   * that it connects anew. `receive` resolves when a message is dealt with.
   */
  constructor(
    socket: WebSocket,
    connection: Socket,
    stuckMs: number,
    receive: (message: Buffer, isBinary: boolean) => Promise<void>,
  ) {
    this.#socket = socket;
    socket.on('message', (message: Buffer, isBinary) => {
      const cost = MESSAGE_COST + message.length;
      this.#undone += cost;
      this.#listen();
      void receive(message, isBinary).finally(() => {
        this.#undone -= cost;
        this.#listen();
      });
    });
    socket.on('close', () => this.#listen());
    // Pings go out far more often, and count only once the client's side has taken them.
    connection.setTimeout(stuckMs, () => socket.terminate());
    socket.on('error', () => socket.terminate());
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** Resolves when the message has left this process. */
  send(text: string): Promise<void> {
    if (!this.isOpen) return Promise.resolve();
    const sent = new Promise<void>((resolve) => {
      this.#socket.send(text, () => {
        resolve();
        this.#listen();
      });
    });
    this.#listen();
    return sent;
  }

  /** Sends a transition, a long one in parts. No other message may come between them, so they go at once. */
  async sendTransition(text: string): Promise<void> {
    await Promise.all(transitionParts(text).map((part) => this.send(part)));
  }

  close(code: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  cutOff(): void {
    this.#socket.terminate();
  }

  /** Resolves when little enough waits for the client that there may be more. */
  async drained(): Promise<void> {
    while (this.#unread) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  get #unread(): boolean {
    return this.isOpen && this.#socket.bufferedAmount > MOST_UNSENT;
  }

  #listen(): void {
    if (this.#unread || this.#undone > MOST_UNDONE) this.#socket.pause();
    else this.#socket.resume();
    if (!this.#unread) for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
