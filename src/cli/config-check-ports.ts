import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Config } from '#config';
import { asFinding, type Finding, findingsOf } from './config-finding.ts';

const { ok, warning } = findingsOf('ports');

/** Whether the ports of API and metrics can be listened on, or who has them. */
export function checkPorts({ host, port, metricsPort }: Config): Promise<Finding[]> {
  return Promise.all([checkPort(host, port, 'PORT'), checkPort(host, metricsPort, 'METRICS_PORT')]);
}

async function checkPort(host: string, port: number, variable: string): Promise<Finding> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
    return ok(`${variable} ${port} is free`);
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE') return asFinding('ports', thrown, `Correct ${variable} or REELAY_HOST.`);
    if (await isOurs(host, port)) return ok(`${variable} ${port} is served by Reelay`);
    return warning(`${variable} ${port} is taken`, `End the program that has it, or name another port in ${variable}.`);
  } finally {
    server.close();
  }
}

/** True when a Reelay answers there: the API's health, or the worker's metrics. */
async function isOurs(host: string, port: number): Promise<boolean> {
  const ask = async (path: string) => {
    const answer = await fetch(`http://${host}:${port}${path}`, { signal: AbortSignal.timeout(2_000) });
    return answer.ok ? answer.text() : '';
  };
  const [health, metrics] = await Promise.all(['/health/live', '/metrics'].map((path) => ask(path).catch(() => '')));
  return health?.includes('live') === true || metrics?.includes('reelay_') === true;
}
