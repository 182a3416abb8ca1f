import { readFile } from 'node:fs/promises';

/** One line of the table: what was run, what came out, what was asked for. */
export interface Figure {
  readonly what: string;
  readonly figure: string;
  readonly goal: string;
  readonly met: boolean;
}

/** A figure of a chapter; `run` may use as long as it needs. */
export interface Chapter {
  readonly name: string;
  /** What a person would type to see the same. */
  readonly command: string;
  run(): Promise<Figure[]>;
}

export function atMost(what: string, value: number, most: number, unit: string): Figure {
  return { what, figure: `${round(value)} ${unit}`, goal: `≤ ${most} ${unit}`, met: value <= most };
}

export function atLeast(what: string, value: number, least: number, unit: string): Figure {
  return { what, figure: `${round(value)} ${unit}`, goal: `≥ ${least} ${unit}`, met: value >= least };
}

export function equal(what: string, value: string | number, expected: string | number): Figure {
  return { what, figure: String(value), goal: String(expected), met: value === expected };
}

const round = (value: number) => (Number.isInteger(value) ? value : value.toFixed(2));

/** Seconds that `work` takes, with what it answers. */
export async function timed<T>(work: () => Promise<T>): Promise<{ seconds: number; answer: T }> {
  const start = performance.now();
  const answer = await work();
  return { seconds: (performance.now() - start) / 1_000, answer };
}

/** Most memory a process has ever held resident, in MB (10^6 bytes). Linux only. */
export function peakResident(pid: number): Promise<number> {
  return memoryOf(pid, 'VmHWM');
}

/** Memory a process holds resident now, in MB (10^6 bytes). Linux only. */
export function resident(pid: number): Promise<number> {
  return memoryOf(pid, 'VmRSS');
}

async function memoryOf(pid: number, line: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kib] = new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  if (kib === undefined) throw new Error(`/proc/${pid}/status tells no ${line}.`);
  return (Number(kib) * 1_024) / 1e6;
}
