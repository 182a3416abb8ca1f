import type { Socket } from 'node:net';

const CONTENT = 'print("from afar")\n';
const answer = (status: string, headers: readonly string[], body = '') =>
  [`HTTP/1.1 ${status}`, 'Connection: close', ...headers, '', body].join('\r\n');
const redirect = (location: string) => answer('302 Found', [`Location: ${location}`, 'Content-Length: 0']);
const length = (bytes: number) => `Content-Length: ${bytes}`;

/** How each path misbehaves. What is not here is not there. */
const ANSWERS: Readonly<Record<string, string>> = {
  '/good': answer('200 OK', [length(CONTENT.length)], CONTENT),
  '/loop': redirect('/loop'),
  '/to-metadata': redirect('http://169.254.169.254/latest/meta-data/'),
  '/to-private': redirect('http://10.0.0.1/'),
  '/to-file': redirect('file:///etc/passwd'),
  '/to-other-port': redirect('http://127.9.9.9:22/'),
  '/lying-short': answer('200 OK', [length(CONTENT.length + 10)], CONTENT),
  '/gzip': answer('200 OK', [length(CONTENT.length), 'Content-Encoding: gzip'], CONTENT),
  '/huge': answer('200 OK', [length(1e12)], CONTENT),
  '/forbidden': answer('403 Forbidden', [length(0)]),
  '/nonsense': 'what?\r\n\r\n',
};

/** Answers one request as its path says; `/stall` begins and then says no more. */
export function talk(socket: Socket, request: string): void {
  const path = request.split(' ')[1] ?? '';
  if (path === '/stall') socket.write(answer('200 OK', [length(CONTENT.length)], CONTENT.slice(0, 3)));
  else socket.end(ANSWERS[path] ?? answer('404 Not Found', [length(0)]));
}
