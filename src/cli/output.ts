import type { Writable } from 'node:stream';
import type { ReelayError } from '#client/client.ts';
import { factsOf } from '#client/error.ts';

/** Where a command writes: results to stdout, what happens on the way and errors to stderr. */
export interface Output {
  readonly json: boolean;
  /** True when a person watches stderr, so that a bar may move there. */
  readonly interactive: boolean;
  readonly stderr: Writable;
  /** The result: `text` for people, `document` as the one JSON document with `--json`. */
  result(text: string, document: unknown): void;
  /** A line about what happens; none with `--json`. */
  note(line: string): void;
  /** An error that ends the command. */
  error(error: ReelayError): void;
}

export function createOutput(
  stdout: Writable,
  stderr: Writable & { readonly isTTY?: boolean | undefined },
  json: boolean,
): Output {
  const result = (text: string, document: unknown) => {
    const written = json ? JSON.stringify(document, undefined, 2) : text;
    if (written !== '') stdout.write(`${written}\n`);
  };
  return {
    json,
    interactive: !json && stderr.isTTY === true,
    stderr,
    result,
    note(line) {
      if (!json) stderr.write(`${line}\n`);
    },
    error(error) {
      if (json) result('', { error: factsOf(error) });
      else stderr.write(`${errorText(error)}\n`);
    },
  };
}

type Shown = Pick<ReelayError, 'code' | 'message' | 'nextAction'> & { readonly correlationId?: string | undefined };

/** An error as a person reads it: what, what to do, and what to quote to whoever runs the API. */
export function errorText({ code, message, nextAction, correlationId }: Shown, indent = ''): string {
  const quote = correlationId === undefined ? '' : ` (correlation id ${correlationId})`;
  return `${indent}${code}: ${message}\n${indent}  ${nextAction}${quote}`;
}

/** Columns padded to their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `3 files`, `1 file`. */
export function count(n: number, noun: string): string {
  return `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : noun.endsWith('ch') ? 'es' : 's'}`;
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A size for people, `12.5 MiB`. */
export function sizeText(bytes: number): string {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return step === 0 ? count(Math.round(bytes), 'byte') : `${(bytes / 1024 ** step).toFixed(1)} ${UNITS[step]}`;
}
