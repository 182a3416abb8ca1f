/** Digests of one part as it was sent. The MD5 is there when the store's ETags are made of it. */
export interface Digest {
  readonly sha256: Buffer;
  readonly md5?: Buffer | undefined;
}

/** What the store should now hold: the SHA-256 (hex) of all of it, and the digests of its parts; none when copied. */
export interface Expected {
  readonly size: number;
  readonly checksum: string;
  readonly parts: readonly Digest[];
  readonly multipart: boolean;
}
