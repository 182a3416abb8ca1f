import type { Command, OptionValues } from 'commander';
import type { ReelayClient } from '#client/client.ts';
import type { ExitCode } from './exit.ts';
import type { Output } from './output.ts';

/** What a command works with. */
export interface Context {
  /** The command's arguments, as typed. */
  readonly args: readonly string[];
  readonly output: Output;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Folder that relative paths start from. */
  readonly base: string;
  /** The client, by the credentials there are. Throws `UsageError` when there are none. */
  connect(): Promise<ReelayClient>;
}

/** Options every command takes. */
export interface GlobalOptions {
  readonly apiUrl?: string;
  readonly key?: string;
  readonly json?: boolean;
}

/** Makes a commander action of what a command does; its answer ends the process. */
export type Act = <Options extends OptionValues>(
  perform: (context: Context, options: Options) => Promise<ExitCode>,
) => (this: Command) => Promise<void>;
