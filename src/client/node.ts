import type { Accepted } from '#answers';
import {
  type ClientOptions,
  createClient as createPortableClient,
  type ReelayClient,
  type UploadFile,
} from './client.ts';
import { bytesContent, pathContent } from './path-content.ts';
import type { UploadFacts, UploadFileOptions } from './upload.ts';
import { planPaths, type UploadPathsOptions, type UploadPlan, type UploadReport, uploadPaths } from './upload-paths.ts';

export * from './client.ts';
export type { LocalFile, Skipped } from './local-files.ts';
export type { FileReport } from './report.ts';
export type { Sent } from './send.ts';
export type { UploadProgress } from './tally.ts';
export type { UploadPathsOptions, UploadPlan, UploadReport } from './upload-paths.ts';

/** One file whose bytes this client sends, also by its path on this machine. */
export type UploadLocalFile = UploadFile | (UploadFacts & { readonly path: string });

/** The client with what Node can do: files by their path, and whole folders. */
export interface NodeClient extends Omit<ReelayClient, 'uploadFile'> {
  /**
   * As the browser's, and by `path`; paths and bytes above 64 MiB go by staging. Throws `FILE_UNREADABLE` when there
   * is no such file, `FILE_CHANGED` when it is written to while it is sent.
   */
  uploadFile(file: UploadLocalFile, options?: UploadFileOptions): Promise<Accepted>;
  /**
   * Uploads a folder with all below it, many small files a request, and waits until each is ready or failed.
   * Interrupted at any moment, killed too, and called again, it sends only what the API has not: a journal on this
   * machine's disk knows what was accepted. A file that changed since is sent as a new version.
   */
  uploadDir(dir: string, options: UploadPathsOptions): Promise<UploadReport>;
  /** The same for several folders and files; files named themselves are always sent, a large one from where it was. */
  uploadPaths(paths: readonly string[], options: UploadPathsOptions): Promise<UploadReport>;
  /** What `uploadPaths` would send now; nothing is sent. */
  planPaths(paths: readonly string[], options: UploadPathsOptions): Promise<UploadPlan>;
}

/** Makes a client; nothing is sent before its first call. */
export function createClient(options: ClientOptions): NodeClient {
  const client = createPortableClient(options);
  const target = { client, apiUrl: options.apiUrl };
  return {
    ...client,
    async uploadFile(file, call) {
      if ('bytes' in file) {
        const { bytes, ...facts } = file;
        return client.uploadFile({ ...facts, ...bytesContent(bytes) }, call);
      }
      if (!('path' in file)) return client.uploadFile(file, call);
      const { path, ...facts } = file;
      return client.uploadFile({ ...facts, ...(await pathContent(path)) }, call);
    },
    uploadDir: (dir, own) => uploadPaths(target, [dir], own),
    uploadPaths: (paths, own) => uploadPaths(target, paths, own),
    planPaths: (paths, own) => planPaths(target, paths, own),
  };
}
