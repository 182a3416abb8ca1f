import type { BreakerBoard, OpenBreaker } from './board.ts';
import { type Breaker, createBreaker } from './breaker.ts';
import { guard } from './guard.ts';

/** What a process can be cut off from and yet go on. */
export const DEPENDENCIES = ['store', 'metadata'] as const;
export type Dependency = (typeof DEPENDENCIES)[number];

/** The breakers of a process. */
export interface Breakers extends Readonly<Record<Dependency, Pick<Breaker, 'refusal' | 'onChange'>>> {
  /** Those open now, of all processes. */
  list(): Promise<OpenBreaker[]>;
}

/** The ports with their breakers before them. */
export interface Guarded<Store, Metadata> {
  readonly store: Store;
  readonly metadata: Metadata;
  readonly breakers: Breakers;
  close(): void;
}

interface GuardOptions<Store, Metadata> {
  readonly store: Store;
  readonly metadata: Metadata;
  readonly board: BreakerBoard;
  /** Names this process among all. */
  readonly process: string;
  readonly clock: () => number;
  /** Told of each opening and closing. */
  readonly onChange: (dependency: Dependency, isOpen: boolean) => void;
  /** Told when the others could not be told. */
  readonly onError: (error: unknown) => void;
  readonly probeEveryMs?: number;
}

/**
 * Codes that open them. A full store opens none, since it still gives what it has; expired credentials and a skewed clock
 * do, since neither reads nor writes pass then.
 */
const COUNTS = {
  store: new Set(['STORE_UNAVAILABLE', 'STORE_CREDENTIALS_EXPIRED', 'STORE_CLOCK_SKEWED']),
  metadata: new Set(['METADATA_UNAVAILABLE']),
};
/** Codes by which the store itself answered. Any other is of a call given up, or of an origin, maybe before it was asked. */
const OF_THE_STORE = /^(STORE_|NOT_FOUND$|RANGE_|ENCRYPTION_|LOCK_)/;
/** What of the store's ports asks nobody: who gets a URL may be able to reach what we cannot. */
const LOCAL = ['close', 'signGet', 'signPut', 'signPart', 'partSize'];
/** How often an open one is shown again, in milliseconds. */
const SHOW_EVERY = 10_000;

interface StorePort {
  readonly direct: object;
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Puts a breaker before each port. Probes and shows until closed. */
export function guardPorts<Store extends StorePort, Metadata extends { check(): Promise<void> }>(
  options: GuardOptions<Store, Metadata>,
): Guarded<Store, Metadata> {
  const { store, metadata, board, process, clock, onChange, onError, probeEveryMs } = options;
  const every = probeEveryMs === undefined ? {} : { probeEveryMs };
  const own = {
    store: createBreaker({
      ...{ name: 'The store', counts: COUNTS.store, probe: () => store.check(), ...every },
      isAnswer: (code) => OF_THE_STORE.test(code),
    }),
    metadata: createBreaker({ name: 'Convex', counts: COUNTS.metadata, probe: () => metadata.check(), ...every }),
  };
  const timers = new Map<Dependency, NodeJS.Timeout>();

  function tell(dependency: Dependency, isOpen: boolean): void {
    onChange(dependency, isOpen);
    clearInterval(timers.get(dependency));
    const breaker = { dependency, process, since: clock() };
    if (!isOpen) return void board.remove(breaker).catch(onError);
    const show = () => void board.show(breaker).catch(onError);
    show();
    timers.set(dependency, setInterval(show, SHOW_EVERY).unref());
  }
  for (const dependency of DEPENDENCIES) own[dependency].onChange((isOpen) => tell(dependency, isOpen));

  return {
    store: { ...guard(store, own.store, LOCAL), direct: guard(store.direct, own.store, LOCAL) },
    metadata: guard(metadata, own.metadata),
    breakers: { ...own, list: () => board.list() },
    close() {
      for (const dependency of DEPENDENCIES) {
        own[dependency].close();
        clearInterval(timers.get(dependency));
        if (own[dependency].refusal) board.remove({ dependency, process }).catch(() => undefined);
      }
    },
  };
}
