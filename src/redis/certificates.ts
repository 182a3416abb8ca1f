import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/**
 * The CAs of `REDIS_TLS_CA` as PEM: the variable's own text, or what the file it names holds. Throws a plain `Error` that
 * says what is wrong with it.
 */
export async function readCertificates(pemOrPath: string): Promise<string> {
  const pem = pemOrPath.includes('-----BEGIN') ? pemOrPath : await readPem(pemOrPath);
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0) throw new Error('REDIS_TLS_CA holds no certificate in PEM form.');
  try {
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch (cause) {
    throw new Error(`REDIS_TLS_CA holds a certificate that cannot be read: ${(cause as Error).message}.`, { cause });
  }
  return pem;
}

async function readPem(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: Error) => {
    throw new Error(`REDIS_TLS_CA is neither a certificate in PEM form nor a file of one: ${cause.message}.`, {
      cause,
    });
  });
}
