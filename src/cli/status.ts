import type { Command } from 'commander';
import { ReelayError } from '#client/client.ts';
import type { Act, Context } from './context.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { type Seen, statusText } from './status-text.ts';

export function status(program: Command, act: Act): void {
  program
    .command('status')
    .description('how it goes: what is away and for whom, the queues, what waits; ends with 3 when nothing is served')
    .action(act(run));
}

/** Readiness is for everybody; the rest takes a key with the scope `admin`, and what it may not see is left out. */
async function run({ connectAdmin, output, signal }: Context): Promise<ExitCode> {
  const client = await connectAdmin();
  const leftOut = ({ message }: ReelayError) => output.note(`Breakers and queues are left out: ${message}`);
  const full = await optional(() => client.status({ signal }), ['UNAUTHENTICATED', 'FORBIDDEN', ...AWAY], leftOut);
  const seen: Seen = full ?? (await client.health({ signal }));
  const reconciled = full && (await optional(() => client.reconcile.latest({ signal }), ['NOT_FOUND', ...AWAY]));
  output.result(statusText(seen, reconciled), { ...seen, ...(reconciled && { lastReconcile: reconciled }) });
  return seen.ready ? EXIT.ok : EXIT.unavailable;
}

/** Codes of an API that answers, though what it would look that up in is away. */
const AWAY = ['METADATA_UNAVAILABLE', 'QUEUE_UNAVAILABLE', 'INTERNAL'];

async function optional<T>(
  ask: () => Promise<T>,
  lacking: readonly string[],
  onLack: (error: ReelayError) => void = () => undefined,
): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ReelayError && lacking.includes(error.code))) throw error;
    onLack(error);
    return undefined;
  }
}
