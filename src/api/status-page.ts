import type { RequestHandler, Router } from 'express';
import type { Readiness } from './health.ts';
import { resource } from './resource.ts';

/** What people call the parts. */
const PARTS = { queue: 'Redis', metadata: 'Convex', store: 'the store', worker: 'the worker' } as const;
const LINKS = ['/docs', '/health/ready', '/metrics', '/admin/queues'];

/** `/`: how it goes, for a person who opens the address. */
export function statusPage(router: Router, ready: () => Promise<Readiness>): void {
  const get: RequestHandler = async (_req, res) => {
    res.set('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'").type('html');
    res.send(render(await ready()));
  };
  resource(router, '/', { get });
}

function render({ ready, degraded, missing }: Readiness): string {
  const parts = [...missing, ...degraded].map((part) => PARTS[part]).join(', ');
  const away = parts && `\n<p>Away: ${parts}.</p>`;
  const links = LINKS.map((path) => `<li><a href="${path}">${path}</a></li>`).join('');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Reelay</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }</style>
<h1>Reelay</h1>
<p>The pipeline is <strong>${ready ? 'serving' : 'not serving'}</strong>.</p>${away}
<ul>${links}</ul>
</html>
`;
}
