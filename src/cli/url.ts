import type { Command } from 'commander';
import pLimit from 'p-limit';
import { type AssetUrl, ReelayError } from '#client/client.ts';
import { factsOf } from '#client/error.ts';
import type { Act, Context } from './context.ts';
import { EXIT, type ExitCode, exitOf } from './exit.ts';
import { errorText } from './output.ts';

interface UrlOptions {
  readonly download?: boolean;
  readonly public?: boolean;
}

type Answer = ({ readonly assetId: string } & AssetUrl) | { readonly assetId: string; readonly error: ReelayError };

const READS_AT_ONCE = 8;

export function url(program: Command, act: Act): void {
  program
    .command('url')
    .description('print the URL of each asset, a line each in the order given')
    .argument('<assets...>', 'asset ids')
    .option('--download', 'a URL that makes a browser save the file')
    .option('--public', 'the unsigned URL of a public asset')
    .action(act(run));
}

async function run({ args, connect, output, signal }: Context, options: UrlOptions): Promise<ExitCode> {
  const client = await connect();
  const limit = pLimit(READS_AT_ONCE);
  const type = options.public ? ('public' as const) : undefined;
  const answers = await Promise.all(
    args.map((assetId) =>
      limit(async (): Promise<Answer> => {
        try {
          return { assetId, ...(await client.getAssetUrl(assetId, { download: options.download, type, signal })) };
        } catch (error) {
          if (error instanceof ReelayError) return { assetId, error };
          throw error;
        }
      }),
    ),
  );
  const failures = answers.filter((answer) => 'error' in answer);
  for (const { assetId, error } of failures) output.note(`${assetId}\n${errorText(error, '  ')}`);
  output.result(answers.flatMap((answer) => ('url' in answer ? answer.url : [])).join('\n'), {
    urls: answers.map((answer) => ('error' in answer ? { ...answer, error: factsOf(answer.error) } : answer)),
  });
  return failures.reduce<ExitCode>((worst, { error }) => Math.max(worst, exitOf(error)) as ExitCode, EXIT.ok);
}
