import type { Writable } from 'node:stream';
import { Command, CommanderError } from 'commander';
import { createClient, ReelayError } from '#client/node.ts';
import type { RetryOptions } from '#client/retry.ts';
import packageJson from '#package' with { type: 'json' };
import { config } from './config.ts';
import type { Act, Context, GlobalOptions } from './context.ts';
import { findCredentials } from './credentials.ts';
import { deadLetters } from './dead-letters.ts';
import { EXIT, EXIT_CODES_HELP, type ExitCode, exitOf, UsageError } from './exit.ts';
import { jobs } from './jobs.ts';
import { createOutput } from './output.ts';
import { reconcile } from './reconcile.ts';
import { replay } from './replay.ts';
import { status } from './status.ts';
import { upload } from './upload.ts';
import { url } from './url.ts';
import { watch } from './watch.ts';

/** The process as the program sees it. */
interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly stdout: Writable;
  readonly stderr: Writable & { readonly isTTY?: boolean | undefined };
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** A person who asks once would rather be told than wait. */
const RETRY_FOR_MS = 2_000;

const HELP = `
Credentials: --api-url and --key, else REELAY_API_URL and REELAY_KEY, else credentials.json in REELAY_DATA
(.reelay unless set), which npm run up writes.
${EXIT_CODES_HELP}

Examples:
  reelay status
  reelay upload clip.mp4 --project demo --session s1 --scene intro
  reelay upload renders/ --project demo --session s1 --scene intro --json
  reelay watch b_6mhF1kUZ2c0Yk3xqS9aT
  reelay jobs --state failed
  reelay url a_0dQvWn7m2JtLbE5yR8pX --download
  reelay dead-letters
  reelay replay --fingerprint 3f9a1c0b7d52 --older-than 2h
  reelay config check`;

/** Runs one command line, without `node` and the script. Answers what the process ends with; throws only faults. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { stdout, stderr, signal } = terminal;
  let exit: ExitCode = EXIT.ok;

  const act: Act = (perform) =>
    async function (this: Command) {
      const options = this.optsWithGlobals<GlobalOptions>();
      const output = createOutput(stdout, stderr, options.json === true);
      const connectAs =
        (role: 'agent' | 'admin') =>
        async (retry: RetryOptions = { retryForMs: RETRY_FOR_MS }) =>
          createClient({ ...(await findCredentials(options, terminal.env, role)), ...retry });
      const context: Context = {
        args: this.args,
        output,
        signal,
        base: baseOf(terminal),
        env: terminal.env,
        connect: connectAs('agent'),
        connectAdmin: connectAs('admin'),
      };
      try {
        // An option that the command above has too is taken by that one.
        exit = await perform(context, this.optsWithGlobals());
      } catch (thrown) {
        if (signal.aborted) exit = EXIT.interrupted;
        else if (thrown instanceof UsageError || isMistake(thrown)) this.error(`error: ${thrown.message}`);
        else if (thrown instanceof ReelayError) {
          output.error(thrown);
          exit = exitOf(thrown);
        } else throw thrown;
      }
    };

  const program = new Command('reelay')
    .description('Upload assets to Reelay and follow them.')
    .version(packageJson.version)
    .option('--api-url <url>', 'where the API answers')
    .option('--key <key>', 'API key')
    .option('--json', 'print one JSON document instead of text')
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .addHelpText('after', HELP)
    .exitOverride();
  // What every command takes; not what the one above it takes for itself.
  const visibleGlobalOptions = ({ parent }: Command) => (parent ? [...program.options] : []);
  program.configureHelp({ showGlobalOptions: true, visibleGlobalOptions });
  for (const add of [status, upload, watch, jobs, url, deadLetters, replay, reconcile, config]) add(program, act);
  for (const command of [program, ...program.commands, ...program.commands.flatMap((one) => one.commands)]) {
    command.showHelpAfterError(`Usage: ${command.createHelp().commandUsage(command)}`);
  }

  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exit;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    throw thrown;
  }
}

/** What the client found wrong with the paths before it sent anything. */
function isMistake(thrown: unknown): thrown is ReelayError {
  return thrown instanceof ReelayError && thrown.code === 'NOT_UPLOADABLE';
}

/** `npm run cli` works in the package's own folder, and says where its caller was. */
function baseOf({ env, cwd }: Terminal): string {
  return (env.npm_lifecycle_event === 'cli' && env.INIT_CWD) || cwd;
}
