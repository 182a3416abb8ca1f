import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ConvexClient } from 'convex/browser';
import { expect, onTestFinished, test, vi } from 'vitest';
import { FIXTURE, mutation, query, sharedEngine, temporaryFolder } from '#local/convex/testing/engines.ts';

const engine = sharedEngine();
const LONGEST = 32 * 1024;

async function logLines(path: string, args: object = {}): Promise<string[]> {
  const kind = path.endsWith('Mutation') ? 'mutation' : 'query';
  const body = JSON.stringify({ path, args });
  const answer = await fetch(`${engine.url}/api/${kind}`, { method: 'POST', body });
  return ((await answer.json()) as { logLines: string[] }).logLines;
}

test('every level has its name, values are inspected, and a failed call keeps its lines', async () => {
  expect(await logLines('printing:levels')).toEqual([
    "[DEBUG] 'a'",
    '[LOG] 1 { b: [ true ] }',
    '[INFO] null undefined',
    "[WARN] 'w'",
    "[ERROR] 'e'",
  ]);
  expect(await logLines('printing:printsAndThrows')).toEqual(["[LOG] 'before'"]);
});

test('lines of nested functions come in their place', async () => {
  expect(await logLines('printing:outerMutation')).toEqual(["[LOG] 'before'", "[LOG] 'within'", "[LOG] 'after'"]);
});

test('a line has at most 32 KiB, counted in UTF-8', async () => {
  const [whole = '', cut = ''] = await logLines('printing:lengths', { lengths: [LONGEST - 2, LONGEST - 1] });
  // Compared without their texts, which would fill a screen.
  expect([whole.length, whole.endsWith("x'")]).toEqual(['[LOG] '.length + LONGEST, true]);
  expect([cut.length, cut.slice(-28)]).toEqual(['[LOG] '.length + LONGEST, 'xx (truncated due to length)']);
  const [wide = ''] = await logLines('printing:lengths', { lengths: [20_000], letter: 'é' });
  expect(/^\[LOG\] 'é+ \(truncated due to length\)$/.test(wide)).toBe(true);
  expect(Buffer.byteLength(wide)).toBeLessThanOrEqual('[LOG] '.length + LONGEST);
});

test('a call has at most 256 lines, the last of which says that there were more', async () => {
  const most = await logLines('printing:many', { count: 255 });
  expect([most.length, most.at(-1)]).toEqual([255, '[LOG] 254']);
  const more = await logLines('printing:many', { count: 300 });
  expect(more.length).toBe(256);
  expect(more.slice(-2)).toEqual(['[LOG] 254', '[ERROR] Log overflow (maximum 256). Remaining log lines omitted.']);
});

test('lines of live queries and mutations reach the client of the websocket', async () => {
  const lines: string[] = [];
  const log = (...values: unknown[]) => void lines.push(values.join(' '));
  const logger = { logVerbose: () => undefined, log, warn: log, error: log };
  const client = new ConvexClient(engine.url, { logger });
  onTestFinished(() => client.close());
  client.onUpdate(query('printing:levels'), {}, () => undefined);
  await client.mutation(mutation('printing:outerMutation'), {});
  await vi.waitFor(() => {
    expect(lines.join('\n')).toContain('within');
    expect(lines.join('\n')).toContain('{ b: [ true ] }');
  });
});

test('the engine writes them to its own log, with the function that printed', async () => {
  const flags = ['--functions', FIXTURE, '--data', await temporaryFolder(), '--port', '0'];
  const child = spawn(process.execPath, [join(import.meta.dirname, '../main.ts'), ...flags]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const url = await new Promise<string>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => resolve(chunk.toString().trim().split(' ').at(-1) ?? ''));
  });
  await fetch(`${url}/api/query`, { method: 'POST', body: '{"path":"printing:levels","args":{}}' });
  await vi.waitFor(() => expect(said).toContain("printing:levels [WARN] 'w'\n"));
});
