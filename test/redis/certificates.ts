import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A private CA, and a server's certificate from it. Paths of PEM files. */
export interface TestCertificates {
  readonly ca: string;
  readonly caText: string;
  readonly certificate: string;
  readonly key: string;
}

/** Makes them in `dir` by openssl; the server's is good for `names` alone, such as `IP:127.0.0.1`. */
export async function makeCertificates(dir: string, names: string): Promise<TestCertificates> {
  const at = (file: string) => join(dir, file);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const openssl = (...args: string[]) => run('openssl', args);
  const caFiles = ['-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', '/CN=Test CA'];
  await openssl('req', '-x509', ...newKey, ...caFiles);
  await openssl('req', ...newKey, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', '/CN=redis');
  await writeFile(at('names'), `subjectAltName=${names}`);
  const signing = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2'];
  await openssl('x509', '-req', '-in', at('server.csr'), ...signing, '-extfile', at('names'), '-out', at('server.pem'));
  return {
    ca: at('ca.pem'),
    caText: await readFile(at('ca.pem'), 'utf8'),
    certificate: at('server.pem'),
    key: at('server.key'),
  };
}

/** Settings of a redis-server that speaks TLS alone, on `port`. */
export function tlsSettings({ ca, certificate, key }: TestCertificates, port: number): Record<string, string> {
  const files = { 'tls-ca-cert-file': ca, 'tls-cert-file': certificate, 'tls-key-file': key };
  return { ...files, port: '0', 'tls-port': String(port), 'tls-auth-clients': 'no' };
}
