import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ERROR_CODES } from '#errors';
import { startApi, type TestApi } from '#test/api.ts';
import { type Contract, readContract } from '#test/openapi-contract.ts';
import { openApiDocument, TAGS } from './openapi.ts';

/** As the router of Express keeps what was put on it. */
interface Layer {
  readonly slash: boolean;
  readonly route?: { readonly path: string; readonly methods: Record<string, boolean> };
  readonly handle: { readonly stack?: readonly Layer[] };
}

/** Mounted as a whole: no routes of ours are behind it. */
const MOUNTED = ['GET /admin/queues'];

let api: TestApi;
let contract: Contract;
const document = openApiDocument();

beforeAll(async () => {
  api = await startApi();
  contract = readContract(document);
});
afterAll(() => api.close());

function routesOf(stack: readonly Layer[]): string[] {
  return stack.flatMap(({ route, handle, slash }) => {
    if (!route) return slash && handle.stack ? routesOf(handle.stack) : [];
    const methods = Object.keys(route.methods).filter((method) => method !== '_all');
    return methods.map((method) => `${method.toUpperCase()} ${route.path}`);
  });
}

describe('the OpenAPI document', () => {
  it('is one', async () => {
    const result = await new Validator().validate(JSON.parse(JSON.stringify(document)));
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
  });

  it('is what /openapi.json answers', async () => {
    const answer = await fetch(`${api.url}/openapi.json`);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await answer.json()).toEqual(JSON.parse(JSON.stringify(document)));
  });

  it('has an operation for each route, and no other', () => {
    const { stack } = api.app.router as unknown as { stack: readonly Layer[] };
    const described = TAGS.flatMap(({ routes }) => Object.keys(routes));
    expect(described.toSorted()).toEqual([...routesOf(stack), ...MOUNTED].toSorted());
  });

  it('names every operation once, and each parameter of its path', () => {
    const ids = [...contract.operations.values()].map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [name, { parameters = [] }] of contract.operations) {
      const inPath = [...name.matchAll(/\{(\w+)\}/g)].map(([, param]) => param);
      const named = parameters.filter((one) => one.in === 'path').map((one) => one.name);
      expect(named, name).toEqual(inPath);
    }
  });

  it('gives an example of every body and answer in JSON, and each fits its schema', () => {
    const examples = document.components?.examples as Record<string, { value: unknown }>;
    const wrong = contract.places.flatMap(({ where, media }) => {
      if (!media.schema || JSON.stringify(media.schema).includes('application/octet-stream')) return [];
      const given = Object.entries(media.examples ?? {});
      if (given.length === 0) return [`${where} has no example`];
      return given.flatMap(([name, { value, $ref }]) => {
        const shown = $ref ? examples[$ref.slice('#/components/examples/'.length)]?.value : value;
        const mistakes = contract.mistakes(media.schema ?? {}, shown);
        return mistakes ? [`${where} ${name}: ${mistakes}`] : [];
      });
    });
    expect(wrong).toEqual([]);
  });

  it('says of every parameter what it is, with an example that fits in a header', () => {
    const components = (document.components?.parameters ?? {}) as Record<string, never>;
    const parameters: Parameter[] = [...contract.operations.values()].flatMap(({ parameters = [] }) => [
      ...parameters.filter(({ name }) => name !== undefined),
    ]);
    const shared: Parameter[] = Object.values(components);
    expect(shared.filter(({ schema, example }) => contract.mistakes(schema, example) !== '')).toEqual([]);
    const silent = [...parameters, ...shared].filter(
      ({ name, description, schema }) => !(description ?? schema.description) && !PLAIN.has(name),
    );
    expect(silent.map(({ name }) => name)).toEqual([]);
  });

  it('names each code of the table at a route, but for those that only files and jobs end with', () => {
    const named = new Set(TAGS.flatMap(({ routes }) => Object.values(routes).flatMap(({ errors = [] }) => errors)));
    const away = ['METADATA_REJECTED', 'METADATA_FAILED', 'METADATA_UNAVAILABLE'];
    const everywhere = ['UNAUTHENTICATED', 'FORBIDDEN', ...away, 'INTERNAL'];
    const unnamed = Object.keys(ERROR_CODES).filter((code) => !named.has(code as never) && !everywhere.includes(code));
    expect(unnamed.toSorted()).toEqual(OF_FILES.toSorted());
  });
});

interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly description?: string;
  readonly schema: { readonly description?: string };
  readonly example?: unknown;
}

/** Parameters whose name says all. */
const PLAIN = new Set(['signature', 'filename', 'download', 'file', 'state']);
/** What a file or a job ends with in a worker; 405 is answered by paths, not by operations. */
const OF_FILES = [
  ...['CONTENT_TYPE_MISMATCH', 'TIMED_OUT', 'CANCELLED', 'POISON', 'LOCK_NOT_APPLIED'],
  ...['JOB_LOST', 'METHOD_NOT_ALLOWED', 'RATE_LIMITED'],
];
