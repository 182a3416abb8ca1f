import { relative } from 'node:path';
import type { Config } from '#config';
import { credentialsFile } from './credentials.ts';
import { localUrl } from './parts.ts';

/** What the stack says once it serves: where everything is, and a first thing to try. */
export function welcome(config: Config, seconds: number): string {
  const api = config.publicUrl;
  const credentials = shortest(credentialsFile(config.dataDir));
  const rows: [string, string][] = [
    ['API', `${api}/v1`],
    ['API, to read and try', `${api}/docs`],
    ['Status', `${api}/`],
    ['Queues (Bull Board)', `${api}/admin/queues`],
    ['Convex', config.convexUrl],
    ['Redis', config.redis.shownUrl],
    ['Metrics of the API', `${api}/metrics`],
    ['Metrics of the worker', `${localUrl(config.host, config.metricsPort)}/metrics`],
    ['Credentials', credentials],
    ['Logs', shortest(`${config.dataDir}/logs`)],
  ];
  return `
Reelay serves (after ${seconds.toFixed(1)} s). Ctrl-C stops it; the next start finds all data again.

${table(rows)}

Try it, in another terminal:

  ffmpeg -loglevel error -f lavfi -i testsrc=duration=2 -pix_fmt yuv420p clip.mp4
  KEY=$(node -p 'JSON.parse(fs.readFileSync("${credentials}")).agentKey')
  curl -F project=demo -F session=s1 -F scene=demo -F assetType=video_chunk -F file=@clip.mp4 \\
    ${api}/v1/uploads/files -H "Authorization: Bearer $KEY"
`;
}

function table(rows: readonly [string, string][]): string {
  const [left, right] = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const rule = (a: string, b: string, c: string) =>
    `${a}${'─'.repeat((left ?? 0) + 2)}${b}${'─'.repeat((right ?? 0) + 2)}${c}`;
  const lines = rows.map(([name, value]) => `│ ${name.padEnd(left ?? 0)} │ ${value.padEnd(right ?? 0)} │`);
  return [rule('┌', '┬', '┐'), ...lines, rule('└', '┴', '┘')].join('\n');
}

function shortest(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}
