import { connect, type Socket } from 'node:net';

/** What a client sent and has no answer to yet. */
export interface OpenRequest {
  /** Its first 2,000 bytes as text. */
  readonly head: string;
  /** Bytes that went to the server so far. */
  readonly sent: number;
}

/** What may happen to the bytes of every connection; read at each of them. */
export interface Fault {
  stalled: boolean;
  /** The answer to a request of this head is swallowed, and the connection reset. */
  dropsAnswerTo: ((head: string) => boolean) | undefined;
}

export interface Tally {
  connections: number;
  /** Bytes. */
  toServer: number;
  toClient: number;
  /** Requests that the server answered and whose answer never came, by their heads. */
  readonly lostAnswers: string[];
}

/** One connection through a proxy. */
export interface Wire {
  openRequest(): OpenRequest | undefined;
  /** Heeds `fault.stalled`, which has changed. */
  heed(): void;
  /** Ends both sides by FIN, or by RST. */
  destroy(how: 'close' | 'reset'): void;
}

const HEAD = 2_000;
/** `100 Continue` answers nothing yet. */
const INTERIM = Buffer.from('HTTP/1.1 1');

/** Joins `inner`, from a client, with a new connection to `target`. */
export function openWire(
  inner: Socket,
  target: { host: string; port: number },
  { fault, tally, onClose }: { fault: Fault; tally: Tally; onClose: () => void },
): Wire {
  const outer = connect(target);
  let request: { head: string; sent: number; answered: boolean } | undefined;
  tally.connections += 1;

  const destroy = (how: 'close' | 'reset') => {
    for (const socket of [inner, outer]) how === 'reset' ? socket.resetAndDestroy() : socket.destroy();
  };
  function toServer(chunk: Buffer): boolean {
    tally.toServer += chunk.length;
    if (!request || request.answered) request = { head: '', sent: 0, answered: false };
    if (request.sent < HEAD) request.head += chunk.toString('latin1', 0, HEAD - request.sent);
    request.sent += chunk.length;
    return outer.write(chunk);
  }
  function toClient(chunk: Buffer): boolean {
    const interim = chunk.subarray(0, INTERIM.length).equals(INTERIM);
    if (request && !request.answered && !interim) {
      if (fault.dropsAnswerTo?.(request.head)) {
        tally.lostAnswers.push(request.head);
        destroy('reset');
        return true;
      }
      request.answered = true;
    }
    tally.toClient += chunk.length;
    return inner.write(chunk);
  }
  const pass = (from: Socket, to: Socket, write: (chunk: Buffer) => boolean) => {
    from.on('data', (chunk: Buffer) => {
      if (!write(chunk)) from.pause();
    });
    to.on('drain', () => fault.stalled || from.resume());
    from.on('end', () => to.end());
    from.on('error', () => undefined);
    from.on('close', (failed) => {
      // What the other side still has to read may not be lost with an orderly end.
      if (failed) to.destroy();
      else to.end();
      if (inner.destroyed && outer.destroyed) onClose();
    });
  };
  const heed = () => {
    for (const socket of [inner, outer]) fault.stalled ? socket.pause() : socket.resume();
  };
  pass(inner, outer, toServer);
  pass(outer, inner, toClient);
  heed();
  return { openRequest: () => (request?.answered === false && !inner.destroyed ? request : undefined), heed, destroy };
}
