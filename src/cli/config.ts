import type { Command } from 'commander';
import type { Act } from './context.ts';

/** `reelay config …`: about the environment of API and worker, on the machine it is typed on; needs no API. */
export function config(program: Command, act: Act): void {
  program
    .command('config')
    .description('look at the environment of API and worker')
    .command('check')
    .description('ask Redis, Convex, the store and the ports whether they can be worked with')
    // What it asks brings the clients of all of them along; other commands start without.
    .action(act(async (context) => (await import('./config-check.ts')).checkConfig(context)));
}
