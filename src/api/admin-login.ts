import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { RequestHandler } from 'express';
import type { Config } from '#config';
import { AppError } from '#errors';

/**
 * HTTP Basic with the admin's login. Closed while no password is set. Browsers send the login by
 * themselves, so a write must come from our own pages.
 */
export function adminLogin({ user, password }: Config['admin']): RequestHandler {
  return (req, res, next) => {
    if (password === undefined) {
      throw new AppError('FORBIDDEN', 'This page is closed: REELAY_ADMIN_PASSWORD is not set.', {
        nextAction: 'Set REELAY_ADMIN_PASSWORD and start the API again.',
      });
    }
    if (!sameText(req.get('authorization') ?? '', `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`)) {
      res.set('WWW-Authenticate', 'Basic realm="Reelay", charset="UTF-8"');
      throw new AppError('UNAUTHENTICATED', "This page asks for the admin's login.", {
        nextAction:
          'Log in with REELAY_ADMIN_USER and REELAY_ADMIN_PASSWORD. The embedded stack keeps both in credentials.json.',
      });
    }
    if (req.method !== 'GET' && req.method !== 'HEAD' && !fromOwnPage(req.headers)) {
      throw new AppError('FORBIDDEN', 'A change must come from a page of this host.', {
        nextAction: 'Open /admin/queues and make the change there.',
      });
    }
    next();
  };
}

/** A browser says where a request comes from: by its origin always, by `Sec-Fetch-Site` where it is a newer one. */
function fromOwnPage({ origin, host, ...headers }: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') return false;
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host;
}

/** Takes the same time wherever two texts differ. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
