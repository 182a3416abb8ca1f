import type { RequestHandler, Router } from 'express';
import { AppError } from '#errors';

type Method = 'get' | 'post' | 'put' | 'delete';

/** Puts handlers on a path; any other method there is answered 405 with `Allow`. */
export function resource(
  router: Router,
  path: string,
  handlers: Partial<Record<Method, RequestHandler | readonly RequestHandler[]>>,
): void {
  const route = router.route(path);
  const allowed: string[] = [];
  for (const [method, handler] of Object.entries(handlers)) {
    route[method as Method](...[handler].flat());
    allowed.push(method === 'get' ? 'GET, HEAD' : method.toUpperCase());
  }
  const allow = allowed.join(', ');
  route.all((req, res) => {
    res.set('Allow', allow);
    throw new AppError('METHOD_NOT_ALLOWED', `${req.method} is not allowed here.`, { details: { allow } });
  });
}
