/** A kind of fault: how often it was made to happen, and how often it really hit something. */
export interface FaultLine {
  readonly fault: string;
  /** What counts as a hit. */
  readonly hit: string;
  readonly planned: number;
  readonly hits: number;
  /** With fewer hits the run proves nothing. */
  readonly least: number;
}

/** Counts faults as they happen. */
export interface Tally {
  expect(fault: string, hit: string, least: number): void;
  happened(fault: string, hits: number): void;
  lines(): FaultLine[];
}

/** `tell` hears of those that hit. */
export function createTally(tell: (what: string) => void): Tally {
  const lines = new Map<string, { fault: string; hit: string; planned: number; hits: number; least: number }>();
  return {
    expect: (fault, hit, least) => void lines.set(fault, { fault, hit, least, planned: 0, hits: 0 }),
    happened(fault, hits) {
      const line = lines.get(fault);
      if (!line) throw new Error(`Nobody expected ${fault}.`);
      line.planned += 1;
      line.hits += hits;
      if (hits > 0) tell(`${fault}: ${hits} hit`);
    },
    lines: () => [...lines.values()],
  };
}
