import type { ReelayError } from '#client/client.ts';
import { closedBy } from '#client/error.ts';

/** What the process ends with; `reelay --help` and docs/cli.md say the same. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unavailable: 3,
  unauthorised: 4,
  config: 78,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP = `
Exit codes:
  0    everything asked for is done
  1    some of it failed; the output says what and what to do
  2    a mistake in the command line; nothing was sent
  3    the API cannot be reached, or is not available now
  4    the key is missing in the API's eyes, unknown, or not allowed to do this
  78   the environment of API and worker is not usable (config check)
  130  interrupted by Ctrl-C`;

/** A mistake of the person who typed the command; shown with its usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const CLOSED = { unauthorised: EXIT.unauthorised, unavailable: EXIT.unavailable } as const;

/** The exit code for an error of the client. */
export function exitOf(error: ReelayError): ExitCode {
  const closed = closedBy(error);
  return closed ? CLOSED[closed] : EXIT.failed;
}
