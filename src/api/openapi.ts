import type { RequestHandler, Router } from 'express';
import { createDocument, type ZodOpenApiObject } from 'zod-openapi';
import packageJson from '#package' with { type: 'json' };
import { assetRoutes, entityRoutes } from './openapi-assets.ts';
import { deadLetterRoutes } from './openapi-dead-letters.ts';
import { errorExamples } from './openapi-errors.ts';
import { jobRoutes } from './openapi-jobs.ts';
import { type Routes, toOperation } from './openapi-operation.ts';
import { reconcileRoutes } from './openapi-reconcile.ts';
import { serviceRoutes } from './openapi-service.ts';
import { stagingRoutes, uploadRoutes } from './openapi-uploads.ts';
import { resource } from './resource.ts';

/** Every route there is, in the order of the page; a test holds them against the router's own. */
export const TAGS: readonly { readonly name: string; readonly description: string; readonly routes: Routes }[] = [
  { name: 'Uploads', description: 'Files in, and what became of a request.', routes: uploadRoutes },
  { name: 'Staging', description: 'Bytes that do not pass through the API.', routes: stagingRoutes },
  { name: 'Jobs', description: 'The work behind uploads: to look at, to follow, to cancel.', routes: jobRoutes },
  { name: 'Assets', description: 'Status, URLs and bytes of what was uploaded.', routes: assetRoutes },
  { name: 'Sessions and scenes', description: 'What assets belong to, by ids of your own.', routes: entityRoutes },
  { name: 'Dead letters', description: 'What failed for good: to look at, replay, discard.', routes: deadLetterRoutes },
  { name: 'Reconciliation', description: 'What differs between store, Convex and Redis.', routes: reconcileRoutes },
  { name: 'Service', description: 'Health, metrics, pages, and the objects of a disk store.', routes: serviceRoutes },
];

const ABOUT = `Post files; Reelay stores and verifies them, keeps the truth about them in Convex, and hands out URLs that work.

- **Keys**: \`Authorization: Bearer <API key>\`. People's tokens read the projects they are members of.
- **Errors** have one form everywhere; decide by \`code\`. \`retryable\` says whether the same call may succeed later.
- **Retries**: 429 and 503 carry \`Retry-After\`. Give uploads an \`Idempotency-Key\`, and they can be sent again safely.
- **Limits**: 5,000 files and 16 MiB of JSON a request, 1,000 ids a lookup, 1,000 rows a page.
- Every \`GET\` takes \`HEAD\`. A method that a path does not have is answered 405 with \`Allow\`; a path that is not here, 404.
- Times are milliseconds since the epoch, sizes bytes, checksums SHA-256 in hex.

How to use it by tasks: docs/api.md.`;

/** `/v1/assets/:assetId` and `/objects/*key` as OpenAPI writes them. */
const template = (path: string) => path.replaceAll(/[:*](\w+)/g, '{$1}');

function toPaths(): NonNullable<ZodOpenApiObject['paths']> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { name, routes } of TAGS) {
    for (const [methodAndPath, route] of Object.entries(routes)) {
      const [method = '', path = ''] = methodAndPath.split(' ');
      paths[template(path)] = { ...paths[template(path)], [method.toLowerCase()]: toOperation(name, route) };
    }
  }
  return paths;
}

const text = { type: 'string' } as const;
const inHeader = (name: string, description: string, example: string, schema: object = text) => ({
  ...{ in: 'header' as const, name, description, example, schema },
});

const COMPONENTS: NonNullable<ZodOpenApiObject['components']> = {
  securitySchemes: {
    key: { type: 'http', scheme: 'bearer', description: "An API key, or a person's token." },
    login: { type: 'http', scheme: 'basic', description: "The admin's login." },
  },
  parameters: {
    IdempotencyKey: inHeader(
      'Idempotency-Key',
      'Makes an upload safe to repeat, for a day: the same request under the same key is done once and answered as `duplicate`; another request is refused.',
      'clip-2026-11-21',
      { type: 'string', pattern: '^[!-~]{1,255}$' },
    ),
    CorrelationId: inHeader(
      'X-Correlation-Id',
      'A name of your own for this request: it comes back, and is in logs, jobs and rows.',
      'agent-7.42',
    ),
    LastEventId: inHeader('Last-Event-ID', 'Id of the last event seen, when connecting again.', 'q1W-0dXb2kYz'),
    Range: inHeader('Range', 'One range of bytes.', 'bytes=0-1023'),
    IfRange: inHeader('If-Range', 'Only when the ETag is still this; else all bytes are sent.', '"9f86d081"'),
    IfNoneMatch: inHeader('If-None-Match', 'Answers 304 when the ETag is still this.', '"9f86d081"'),
  },
  headers: {
    CorrelationId: { description: 'Names the request in logs, jobs and rows.', schema: text, example: 'agent-7.42' },
    RetryAfter: { description: 'Seconds to wait before trying again.', schema: { type: 'integer' }, example: 5 },
  },
  examples: errorExamples(),
};

/** The description of the API, as `/openapi.json` answers it. */
export function openApiDocument() {
  return createDocument(
    {
      openapi: '3.1.1',
      info: {
        title: 'Reelay',
        version: packageJson.version,
        description: ABOUT,
        license: { name: packageJson.license, identifier: packageJson.license },
      },
      servers: [{ url: '/', description: 'This API' }],
      security: [{ key: [] }],
      tags: TAGS.map(({ name, description }) => ({ name, description })),
      paths: toPaths(),
      components: COMPONENTS,
    },
    {
      // What these are is in their `override`.
      allowEmptySchema: { custom: true, transform: true },
      override({ jsonSchema, io }) {
        // A reader drops what it does not know, so that answers may grow.
        if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
        // zod says of every whole number that it is a safe one.
        if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
        if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      },
    },
  );
}

/** `GET /openapi.json`: made once, when it is first asked for. */
export function openApi(router: Router): void {
  let text: string | undefined;
  const get: RequestHandler = (_req, res) => {
    text ??= JSON.stringify(openApiDocument());
    res.set('Access-Control-Allow-Origin', '*').type('json').send(text);
  };
  resource(router, '/openapi.json', { get });
}
