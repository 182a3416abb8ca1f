import type { Command, OptionValues } from 'commander';
import type { NodeClient } from '#client/node.ts';
import type { RetryOptions } from '#client/retry.ts';
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
  readonly env: NodeJS.ProcessEnv;
  /** The client, by the credentials there are; it bears failures for 2 s unless told otherwise. Throws `UsageError`. */
  connect(retry?: RetryOptions): Promise<NodeClient>;
  /** The same with the key of the stack's admin, where a stack's are used. */
  connectAdmin(retry?: RetryOptions): Promise<NodeClient>;
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
