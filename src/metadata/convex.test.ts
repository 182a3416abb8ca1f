import { afterEach, describe, expect, it } from 'vitest';
import { someCommit, someFacts, someScene, someUpdate } from '#test/asset-facts.ts';
import { type ConvexEdge, type EdgeAnswer, startConvexEdge } from '#test/convex-edge.ts';
import { createConvexMetadata } from './convex.ts';
import { CONVEX_STATUSES } from './convex-failures.ts';

describe('the Convex adapter', () => {
  let edge: ConvexEdge | undefined;
  afterEach(() => edge?.close());

  async function open(answer: EdgeAnswer, onMutation?: (name: string) => void) {
    edge = await startConvexEdge(() => answer);
    const token = async () => 'a-token';
    return createConvexMetadata({ url: edge.url, token, mutationTimeoutMs: 200, ...(onMutation && { onMutation }) });
  }

  it.each<[string, EdgeAnswer]>([
    ['no answer in time', 'silence'],
    ['an answer cut short', 'cut'],
    ['a status 503', { status: 503 }],
    ['a status 429', { status: 429 }],
    ['a refused token', { status: 401, body: '{"code":"InvalidAuthHeader","message":"Token expired"}' }],
    ['a status 403', { status: 403 }],
    ['a status 404', { status: 404, body: '404 page not found' }],
    ['a redirection to nowhere', { status: 301, body: '' }],
    ["a proxy's status 400", { status: 400, body: '<html>The plain HTTP request was sent to HTTPS port</html>' }],
    ["a proxy's page", { status: 200, body: '<html>maintenance</html>' }],
    ["a proxy's JSON", { status: 200, body: '{"status":"maintenance"}' }],
    ["a proxy's JSON that is no object", { status: 200, body: 'null' }],
    ['a status 560 without what the function said', { status: 560, body: '' }],
    ["a function's words under another status", { status: 502, body: '{"status":"success","value":[]}' }],
  ])('calls %s unavailable', async (_, answer) => {
    const metadata = await open(answer);
    await expect(metadata.commit([someCommit(someScene())])).rejects.toMatchObject({ code: 'METADATA_UNAVAILABLE' });
  });

  it('gives a hung query up while a mutation still has time', async () => {
    edge = await startConvexEdge(() => 'silence');
    const metadata = createConvexMetadata({ url: edge.url, token: async () => 'a-token', queryTimeoutMs: 50 });
    const commit = metadata.commit([someCommit(someScene())]);
    const outlived = commit.catch(() => 'the mutation ended first');
    const read = metadata.getAssets(['a']).catch(({ code }) => code);
    expect(await Promise.race([outlived, read])).toBe('METADATA_UNAVAILABLE');
    await edge.close();
    await expect(commit).rejects.toMatchObject({ code: 'METADATA_UNAVAILABLE' });
  });

  it('calls a refused connection unavailable and keeps the cause', async () => {
    const metadata = await open('silence');
    await edge?.close();
    const call = metadata.check();
    await expect(call).rejects.toMatchObject({ code: 'METADATA_UNAVAILABLE', cause: expect.any(TypeError) });
  });

  it.each<[string, string]>([
    ['[Request ID: 1f] Server Error', 'METADATA_FAILED'],
    ['Uncaught TypeError: x is not a function', 'METADATA_FAILED'],
    ['Function execution timed out (maximum duration: 1s)', 'METADATA_FAILED'],
    ['SystemTimeoutError: Your request timed out.', 'METADATA_FAILED'],
    ['SomethingNew', 'METADATA_FAILED'],
    ['OptimisticConcurrencyControlFailure: Documents read from or written to', 'METADATA_UNAVAILABLE'],
    ["InternalServerError: Your request couldn't be completed. Try again later.", 'METADATA_UNAVAILABLE'],
    ["Could not find public function for 'assets:x'.", 'METADATA_REJECTED'],
    ['ArgumentValidationError: Object is missing the required field', 'METADATA_REJECTED'],
    ['Too many reads in a single function execution (limit: 4096).', 'METADATA_REJECTED'],
    ['Too many writes in a single function execution (limit: 16000)', 'METADATA_REJECTED'],
  ])('takes the message %s for %s', async (refuse, code) => {
    const metadata = await open({ refuse });
    await expect(metadata.getAssets(['a'])).rejects.toMatchObject({ code, cause: expect.any(Error) });
  });

  it('has a row for each status it was seen with', () => {
    const says = CONVEX_STATUSES.flatMap((row) => row.says);
    expect(['400', '401', '403', '404', '413', '429', '500', '503'].filter((one) => !says.includes(one))).toEqual([]);
  });

  it.each<[string, EdgeAnswer]>([
    ['a refusal of the function', { refuse: 'FORBIDDEN', data: { code: 'FORBIDDEN', message: 'FORBIDDEN' } }],
    ['a status 400', { status: 400, body: '{"code":"BadJsonBody","message":"no JSON"}' }],
    ['a status 413', { status: 413 }],
  ])('calls %s rejected and keeps the cause', async (_, answer) => {
    const metadata = await open(answer);
    const call = metadata.getAssets(['a']);
    await expect(call).rejects.toMatchObject({ code: 'METADATA_REJECTED', cause: expect.any(Error) });
    await expect(metadata.getAssets(['a'])).rejects.toThrow(/assets\.getMany/);
  });

  it('sends the token and tells of mutations, not of queries', async () => {
    const told: string[] = [];
    const metadata = await open({ value: null }, (name) => told.push(name));
    await metadata.applyStatuses([someUpdate(someFacts(someScene()))]);
    await metadata.findApiKey('k');
    expect(edge?.calls.map((call) => call.authorization)).toEqual(['Bearer a-token', 'Bearer a-token']);
    expect(edge?.calls.map((call) => call.path)).toEqual(['assets:applyStatuses', 'apiKeys:find']);
    expect(told).toEqual(['assets.applyStatuses']);
  });

  it('gives the refusal of one item as an error of ours', async () => {
    const value = [{ assetId: 'a', ok: false, error: { code: 'GONE', message: 'The asset was deleted.' } }];
    const metadata = await open({ value });
    expect(await metadata.commit([someCommit(someScene())])).toMatchObject([
      { assetId: 'a', ok: false, error: { code: 'GONE', retryable: false, nextAction: expect.any(String) } },
    ]);
  });
});
