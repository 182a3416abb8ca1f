import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type Fault, type OpenRequest, openWire, type Tally, type Wire } from './wire.ts';

export type { OpenRequest };

/** A wire to a server that can be cut, and spoilt in other ways. */
export interface TcpProxy {
  readonly port: number;
  /** Breaks every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Nothing moves any more, either way, and nothing is closed; new connections are taken and are as silent. */
  stall(): void;
  /** Ends every live connection by RST; new ones go on. */
  reset(): void;
  /**
   * Requests reach the server, but the answer to each that `of` accepts by its head (any, unless given) is swallowed, and
   * its connection reset.
   */
  dropAnswers(of?: (head: string) => boolean): void;
  /** Ends all of these: everything passes again, on the same port. */
  mend(): Promise<void>;
  /** Requests on live connections that have no answer yet. */
  inFlight(): readonly OpenRequest[];
  /** What passed since it was opened. */
  readonly tally: Readonly<Tally>;
  close(): Promise<void>;
}

export async function openTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const wires = new Set<Wire>();
  const fault: Fault = { stalled: false, dropsAnswerTo: undefined };
  const tally: Tally = { connections: 0, toServer: 0, toClient: 0, lostAnswers: [] };
  const server = createServer((inner) => {
    const wire = openWire(inner, target, { fault, tally, onClose: () => wires.delete(wire) });
    wires.add(wire);
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const stall = (stalled: boolean) => {
    fault.stalled = stalled;
    for (const wire of wires) wire.heed();
  };
  const cut = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const wire of wires) wire.destroy('close');
    await closed;
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    ...{ port, cut, tally, close: cut },
    stall: () => stall(true),
    reset() {
      for (const wire of wires) wire.destroy('reset');
    },
    dropAnswers(of = () => true) {
      fault.dropsAnswerTo = of;
    },
    async mend() {
      fault.dropsAnswerTo = undefined;
      stall(false);
      if (!server.listening) await listen(port);
    },
    inFlight: () => [...wires].flatMap((wire) => wire.openRequest() ?? []),
  };
}
