import type { z } from 'zod';
import type { ZodOpenApiOperationObject, ZodOpenApiRequestBodyObject, ZodOpenApiResponseObject } from 'zod-openapi';
import type { ErrorCode } from '#errors';
import type { Scope } from '#metadata/metadata.ts';
import { errorResponses } from './openapi-errors.ts';

/** What a route takes and answers, for its description. */
interface Route {
  /** `operationId`: a name for code that is generated. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  /** What its caller must have; none for routes that ask for nothing, or for a signed URL. */
  readonly scope?: Scope | 'login' | undefined;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** Headers it heeds, by their names in `components.parameters`. */
  readonly headers?: readonly string[];
  readonly body?: ZodOpenApiRequestBodyObject;
  /** Answers by status, but for errors. */
  readonly answers: Readonly<Record<number, ZodOpenApiResponseObject>>;
  /** What it may throw, beside what every route of its scope does. */
  readonly errors?: readonly ErrorCode[];
}

/** Routes by method and path, as Express writes them: `GET /v1/assets/:assetId`. */
export type Routes = Readonly<Record<string, Route>>;

/** What may go wrong with a body of JSON, and with a store that is read or written. */
export const JSON_ERRORS = ['VALIDATION_FAILED', 'INVALID_JSON', 'TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const;
export const STORE_ERRORS = [
  ...(['STORE_ACCESS_DENIED', 'STORE_BUCKET_MISSING', 'STORE_REJECTED', 'STORE_FAILED'] as const),
  ...(['STORE_UNAVAILABLE', 'STORE_CREDENTIALS_EXPIRED', 'STORE_CLOCK_SKEWED'] as const),
] as const;
export const STORE_WRITE_ERRORS = [...STORE_ERRORS, 'STORE_FULL', 'ENCRYPTION_NOT_APPLIED'] as const;

/** What a caller's key or token may come to: it is looked up in Convex. */
const KEY_ERRORS = [
  ...(['UNAUTHENTICATED', 'FORBIDDEN'] as const),
  ...(['METADATA_REJECTED', 'METADATA_FAILED', 'METADATA_UNAVAILABLE'] as const),
] as const;
const SECURITY = { login: [{ login: [] }], none: [] };

/** A route as OpenAPI says it. */
export function toOperation(tag: string, route: Route): ZodOpenApiOperationObject {
  const { id, scope, params, query, headers = [], body, answers, errors = [] } = route;
  const keyed = scope !== undefined && scope !== 'login';
  const security = scope === 'login' ? SECURITY.login : keyed ? [{ key: [] }] : SECURITY.none;
  const codes: readonly ErrorCode[] = [...(keyed ? KEY_ERRORS : []), ...errors, 'INTERNAL'];
  const needs = keyed ? `Scope: \`${scope}\`.` : '';
  return {
    operationId: id,
    tags: [tag],
    summary: route.summary,
    description: [route.description, needs].filter(Boolean).join('\n\n'),
    security,
    requestParams: { ...(params && { path: params }), ...(query && { query }) },
    parameters: [...headers, 'CorrelationId'].map((name) => ({ $ref: `#/components/parameters/${name}` })),
    ...(body && { requestBody: body }),
    responses: { ...Object.fromEntries(Object.entries(answers).map(withCorrelation)), ...errorResponses(codes) },
  };
}

function withCorrelation([status, answer]: [string, ZodOpenApiResponseObject]) {
  const headers = { 'X-Correlation-Id': { $ref: '#/components/headers/CorrelationId' }, ...answer.headers };
  return [status, { ...answer, headers }] as const;
}

/** An answer of JSON with an example that fits it. */
export function json<Schema extends z.ZodType>(description: string, schema: Schema, example: z.output<Schema>) {
  return { description, content: { 'application/json': { schema, examples: { example: { value: example } } } } };
}

/** A body of JSON with named examples of it. */
export function jsonBodyOf<Schema extends z.ZodType>(schema: Schema, examples: Record<string, z.input<Schema>>) {
  const named = Object.entries(examples).map(([summary, value]) => [summary.replaceAll(' ', '-'), { summary, value }]);
  return { required: true, content: { 'application/json': { schema, examples: Object.fromEntries(named) } } };
}

/** A body or an answer of bytes or text, as the media types say. */
export function raw(description: string, ...mediaTypes: string[]) {
  return { description, content: Object.fromEntries(mediaTypes.map((type) => [type, {}])) };
}

/** A header of an answer. */
export function header(description: string, example: string) {
  return { description, schema: { type: 'string' as const }, example };
}
