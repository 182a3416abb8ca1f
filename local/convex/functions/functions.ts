import { type Check, compileValidator, type ValidatorJson } from '#local/convex/values/validate.ts';
import type { ModuleExports } from './bundle.ts';

export type FunctionKind = 'query' | 'mutation' | 'action';

/** A function of the folder, ready to be called with JSON texts. */
export interface RegisteredFunction {
  readonly path: string;
  readonly kind: FunctionKind;
  readonly isPublic: boolean;
  readonly checkArgs: Check;
  /** Undefined when the function declares no return type. */
  readonly checkReturns: Check | undefined;
  /** Arguments and result as JSON texts of Convex values. */
  invoke(args: string): Promise<string>;
}

/** All functions by `dir/file:export`. */
export type Functions = ReadonlyMap<string, RegisteredFunction>;

/** What the builders of `convex/server` put on a function. */
interface ConvexFunction {
  isQuery?: boolean;
  isMutation?: boolean;
  isAction?: boolean;
  isPublic?: boolean;
  exportArgs(): string;
  exportReturns(): string;
  invokeQuery(args: string): Promise<string>;
  invokeMutation(args: string): Promise<string>;
  invokeAction(requestId: string, args: string): Promise<string>;
}

export function registerFunctions(
  modules: ReadonlyMap<string, ModuleExports>,
  isId: (table: string, id: string) => boolean,
): Functions {
  const functions = new Map<string, RegisteredFunction>();
  for (const [module, exports] of modules) {
    for (const [name, value] of Object.entries(exports)) {
      if (!isConvexFunction(value)) continue;
      const path = `${module}:${name}`;
      functions.set(path, register(path, value, isId));
    }
  }
  return functions;
}

/** `dir/file.js:fn`, `dir/file:fn` and `file` (its default export) as the key of `Functions`. */
export function canonicalPath(path: string): string {
  const [module = '', name = 'default'] = path.split(':');
  return `${module.replace(/\.(js|ts)$/, '')}:${name}`;
}

function register(path: string, fn: ConvexFunction, isId: (table: string, id: string) => boolean): RegisteredFunction {
  const kind = fn.isQuery ? 'query' : fn.isMutation ? 'mutation' : 'action';
  const returns = JSON.parse(fn.exportReturns()) as ValidatorJson | null;
  return {
    path,
    kind,
    isPublic: fn.isPublic === true,
    checkArgs: compileValidator(JSON.parse(fn.exportArgs()) as ValidatorJson, isId),
    checkReturns: returns ? compileValidator(returns, isId) : undefined,
    invoke(args) {
      const list = `[${args}]`;
      if (kind === 'query') return fn.invokeQuery(list);
      return kind === 'mutation' ? fn.invokeMutation(list) : fn.invokeAction('', list);
    },
  };
}

function isConvexFunction(value: unknown): value is ConvexFunction {
  if (typeof value !== 'function') return false;
  return 'isQuery' in value || 'isMutation' in value || 'isAction' in value;
}
