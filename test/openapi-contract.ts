import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { openApiDocument } from '#api/openapi.ts';

type Document = ReturnType<typeof openApiDocument>;

interface Media {
  readonly schema?: object;
  readonly examples?: Record<string, { value?: unknown; $ref?: string }>;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Record<string, Media> };
  readonly responses: Record<string, { readonly content?: Record<string, Media>; readonly headers?: object }>;
}

interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly schema: object;
  readonly example?: unknown;
}

/** A media type somewhere in the document, with where it is. */
interface Place {
  readonly where: string;
  readonly media: Media;
}

/** What the document says, to hold requests and answers against. */
export interface Contract {
  /** `GET /v1/jobs/{jobId}` and so on. */
  readonly operations: ReadonlyMap<string, Operation>;
  readonly places: readonly Place[];
  /** What is wrong with a value, in words; empty when it fits. */
  mistakes(schema: object, value: unknown): string;
  /** Throws unless the answer is one that the document promises; gives operation and status. */
  check(method: string, path: string, answer: Response): Promise<string>;
}

/** An object with fields takes no others: a field of an answer that the document does not name is a mistake. */
function close(node: unknown): void {
  if (typeof node !== 'object' || node === null) return;
  for (const inner of Object.values(node)) close(inner);
  if ('properties' in node && 'type' in node && node.type === 'object')
    Object.assign(node, { additionalProperties: false });
}

const METHODS = ['get', 'put', 'post', 'delete'];

export function readContract(document: Document): Contract {
  const closed = structuredClone(document);
  close(closed.components?.schemas);
  close(closed.paths);
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  // zod's pattern beside it says it all.
  ajv.addFormat('base64', true);
  ajv.addSchema(closed, 'document');
  const compiled = new WeakMap<object, ValidateFunction>();

  function mistakes(schema: object, value: unknown): string {
    const local = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/')) as object;
    const validate = compiled.get(schema) ?? ajv.compile(local);
    compiled.set(schema, validate);
    return validate(value) ? '' : ajv.errorsText(validate.errors);
  }

  const operations = new Map<string, Operation>();
  const places: Place[] = [];
  for (const [path, item] of Object.entries(closed.paths ?? {})) {
    for (const method of METHODS) {
      const operation = (item as Record<string, Operation | undefined>)[method];
      if (!operation) continue;
      const name = `${method.toUpperCase()} ${path}`;
      operations.set(name, operation);
      const contents = [['body', operation.requestBody] as const, ...Object.entries(operation.responses)];
      for (const [part, described] of contents) {
        for (const media of Object.values(described?.content ?? {})) places.push({ where: `${name} ${part}`, media });
      }
    }
  }
  const patterns = [...operations.keys()].map((name) => {
    const [method, path = ''] = name.split(' ');
    const pattern = path.replaceAll('{key}', '.+').replaceAll(/\{\w+\}/g, '[^/]+');
    return { name, method, plain: !path.includes('{'), pattern: new RegExp(`^${pattern}$`) };
  });

  return {
    operations,
    places,
    mistakes,
    async check(method, path, answer) {
      const [bare = ''] = path.split('?');
      const fitting = patterns.filter((one) => one.method === method && one.pattern.test(bare));
      const name = (fitting.find(({ plain }) => plain) ?? fitting[0])?.name ?? '';
      const operation = operations.get(name);
      const described = operation?.responses[answer.status];
      const text = await answer.text();
      const at = `${method} ${path}: ${answer.status}`;
      if (!described) throw new Error(`${at} is not in the document: ${text}`);
      for (const header of Object.keys(described.headers ?? {})) {
        if (!answer.headers.has(header)) throw new Error(`${at} has no ${header}`);
      }
      const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
      const { content } = described;
      if (!content) {
        if (text !== '' && answer.status !== 302) throw new Error(`${at} has a body: ${text}`);
        return `${name} ${answer.status}`;
      }
      const media = content[type];
      if (!media) throw new Error(`${at} is of the type ${type}`);
      if (type === 'application/json' && media.schema) {
        const body: unknown = JSON.parse(text);
        const wrong = mistakes(media.schema, body);
        if (wrong) throw new Error(`${at}: ${wrong}\n${text}`);
        if (answer.status >= 400) requireCode(body, media, at);
      }
      return `${name} ${answer.status}`;
    },
  };
}

/** An error's code must be one that the operation names. */
function requireCode(body: unknown, { examples = {} }: Media, at: string): void {
  const code = (body as { error?: { code?: string } }).error?.code;
  if (code !== undefined && !(code in examples)) throw new Error(`${at} does not name ${code}`);
}
