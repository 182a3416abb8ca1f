import type { Identity } from '#local/convex/auth/auth.ts';
import { newCall, report, runIn } from './runner.ts';

/** A handler as `httpAction` makes it. */
interface HttpAction {
  invokeHttpAction(request: Request): Promise<Response>;
}

/** What `httpRouter()` makes, as far as it is used here. */
interface Router {
  lookup(path: string, method: string): readonly [HttpAction, string, string] | null;
}

/** The HTTP actions of `http.ts`. */
export class HttpActions {
  readonly #router: Router | undefined;

  /** Takes the default export of `http.ts`, undefined where there is none. */
  constructor(router: unknown) {
    if (router === undefined) return;
    const isRouter = typeof router === 'object' && router !== null && 'isRouter' in router;
    if (!isRouter) throw new Error('http.ts must have a default export, made by `httpRouter()`.');
    this.#router = router as unknown as Router;
  }

  /**
   * Hands a request to the action routed for it. Once `send` has sent the response, its body included, the action has
   * ended. What it throws is answered, and told on stderr, as Convex does.
   */
  async answer(request: Request, identity: Identity, send: (response: Response) => Promise<void>): Promise<void> {
    if (!this.#router) return send(new Response('This Convex deployment does not have HTTP actions enabled.', NONE));
    const { pathname } = new URL(request.url);
    const [action, method, route] = this.#router.lookup(pathname, request.method) ?? [];
    if (!action) return send(new Response('No matching routes found', NONE));
    const call = newCall({ path: `${method} ${route}`, kind: 'action' }, { identity, transaction: undefined });
    try {
      await runIn(call, async () => {
        const response = await responseOf(action, request, call.path);
        await send(response);
      });
    } finally {
      call.ended = true;
    }
  }
}

const NONE = { status: 404 };

async function responseOf(action: HttpAction, request: Request, path: string): Promise<Response> {
  try {
    const response = await action.invokeHttpAction(request);
    if (response instanceof Response) return response;
    throw new Error('An HTTP action must return a Response.');
  } catch (thrown) {
    report(path, thrown);
    const trace = thrown instanceof Error ? `Uncaught ${thrown.name}: ${thrown.message}` : `Uncaught ${thrown}`;
    return Response.json({ code: 'Server Error', trace }, { status: 500 });
  }
}
