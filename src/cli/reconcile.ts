import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ReconcileReport } from '#client/node.ts';
import type { Act, Context } from './context.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { count, table } from './output.ts';

interface ReconcileOptions {
  readonly prefix?: string;
  readonly repair?: boolean;
  readonly force?: boolean;
}

const EVERY = 500;
/** Examples of a class that a person is shown; `--json` has more. */
const SHOWN = 5;

export function reconcile(program: Command, act: Act): void {
  program
    .command('reconcile')
    .description('compare store, Convex and Redis, and tell what differs')
    .option('--prefix <keys>', 'only of keys that begin so: projects/p1/, for example')
    .option('--repair', 'bring in order what differs')
    .option('--force', 'with --repair: also a class of which so much was found that it is held back')
    .action(act(run));
}

/** Starts one and follows it. It goes on without us when we are interrupted, which is said. */
async function run({ connectAdmin, output, signal }: Context, options: ReconcileOptions): Promise<ExitCode> {
  const client = await connectAdmin();
  let report = await client.reconcile.start({ ...options, signal });
  output.note(`${report.jobId} ${options.repair ? 'compares and mends' : 'compares'}`);
  try {
    while (report.state !== 'done' && report.state !== 'failed') {
      await pause(EVERY, undefined, { signal });
      report = await client.reconcile.get(report.jobId, { signal });
    }
  } finally {
    if (signal.aborted) output.note(`${report.jobId} goes on`);
  }
  output.result(textOf(report), report);
  return report.state === 'done' && !isOpen(report) ? EXIT.ok : EXIT.failed;
}

const HELD =
  'So much is rather another bucket, deployment or Redis than damage, and was left as it is. Check those; to mend it all the same: --repair --force';

const NOTHING = 'Nothing differs. What is younger than an hour, or in work, is left to its job.';

/** True while something differs that was not mended. */
function isOpen({ repair, classes }: ReconcileReport): boolean {
  return Object.values(classes).some(({ found, failed, held }) => (repair ? failed + held > 0 : found > 0));
}

function textOf({ jobId, state, error, scanned, classes }: ReconcileReport): string {
  const looked = `${count(scanned.objects ?? 0, 'object')} and ${count(scanned.rows ?? 0, 'row')} compared`;
  const found = Object.entries(classes).filter(([, one]) => one.found > 0);
  const rows = found.map(([name, one]) => [
    name,
    String(one.found),
    Object.entries(one.repaired)
      .map(([repair, times]) => `${times} ${repair}`)
      .join(', ') || '-',
    String(one.failed),
    String(one.held),
  ]);
  const examples = found.flatMap(([, one]) =>
    one.examples.slice(0, SHOWN).map(({ subject, detail, error }) => {
      return `${subject}\n  ${detail}${error ? ` Not mended: ${error.code}: ${error.message}` : ''}`;
    }),
  );
  const told = found.length === 0 ? [] : [table([['CLASS', 'FOUND', 'DONE', 'FAILED', 'HELD'], ...rows])];
  const nothing = state === 'done' && found.length === 0 ? [NOTHING] : [];
  const held = found.some(([, one]) => one.held > 0) ? [HELD] : [];
  const failure = state === 'failed' ? [`${jobId} failed: ${error?.message ?? ''}`] : [];
  return [looked, ...nothing, ...told, ...held, ...examples, ...failure].join('\n');
}
