import { randomBytes } from 'node:crypto';
import { deflateSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { contentTypeOf } from './content-type.ts';

const bytes = (...parts: (string | number[])[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))));

const chunk = (type: string, data: Buffer) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, Buffer.from(type), data, Buffer.alloc(4)]);
};
const png = Buffer.concat([
  bytes([0x89], 'PNG\r\n', [0x1a], '\n'),
  chunk('IHDR', Buffer.alloc(13, 1)),
  chunk('IDAT', deflateSync('x')),
]);
const mp4 = bytes([0, 0, 0, 24], 'ftypisom', [0, 0, 2, 0], 'isomiso2', [0, 0, 0, 8], 'free');
const webm = bytes([0x1a, 0x45, 0xdf, 0xa3, 0x87, 0x42, 0x82, 0x84], 'webm', Buffer.alloc(40).toString('latin1'));
const jpeg = bytes([0xff, 0xd8, 0xff, 0xe0, 0, 16], 'JFIF', Buffer.alloc(64).toString('latin1'));
const elf = bytes([0x7f], 'ELF', [2, 1, 1, 0], Buffer.alloc(64).toString('latin1'));
const exe = bytes('MZ', Buffer.alloc(126).toString('latin1'), 'PE\0\0', Buffer.alloc(64).toString('latin1'));
const pdf = bytes('%PDF-1.7\n%', [0xe2, 0xe3, 0xcf, 0xd3], '\n1 0 obj\n');
const wav = bytes('RIFF', [36, 0, 0, 0], 'WAVEfmt ', Buffer.alloc(32).toString('latin1'));
const gz = gzipSync(randomBytes(100));
const script = Buffer.from('#!/bin/sh\nrm -rf /\n');
const html = Buffer.from('\ufeff\n<!DOCTYPE html><script>alert(1)</script>');
const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
const xmlSvg = Buffer.from('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>');

test.each([
  ['a PNG', png, 'video/mp4'],
  ['a PNG', png, 'text/x-python'],
  ['a film', mp4, 'image/png'],
  ['a film', webm, 'text/vtt'],
  ['a JPEG', jpeg, 'audio/mpeg'],
  ['a program', elf, 'video/mp4'],
  ['a program', elf, 'application/javascript'],
  ['a program of Windows', exe, 'video/mp4; codecs="avc1"'],
  ['a PDF', pdf, 'image/jpeg'],
  ['sound', wav, 'image/webp'],
  ['an archive', gz, 'video/webm'],
  ['a script', script, 'image/png'],
  ['a page', html, 'image/png'],
  ['a drawing that can hold scripts', svg, 'image/png'],
  ['the same as XML', xmlSvg, 'image/jpeg'],
  ['PHP', Buffer.from('<?php system($_GET[0]);'), 'video/mp4'],
])('%s cannot pass as %3$s', async (_, head, declared) => {
  await expect(contentTypeOf(head, declared)).rejects.toMatchObject({
    code: 'CONTENT_TYPE_MISMATCH',
    retryable: false,
    details: { declared },
  });
});

test.each([
  ['its own type', png, 'image/png'],
  ['another image', png, 'image/webp'],
  ['sound in a container of films', mp4, 'audio/mp4'],
  ['a film by its container', webm, 'video/x-matroska'],
  ['a page as text', html, 'text/plain'],
  ['a script as source code', script, 'text/x-python'],
  ['a drawing', svg, 'image/svg+xml'],
  ['text that begins like a program', Buffer.from('MZ is how it begins'), 'text/plain'],
  ['text that begins like a PDF', Buffer.from('%PDF- is how it begins'), 'text/markdown'],
  ['text that is cut within a character', Buffer.from('%PDF-1 é').subarray(0, -1), 'text/plain'],
  ['text in UTF-16', Buffer.from('\ufeffa line\n', 'utf16le'), 'text/plain'],
  ['text that calls itself a film', Buffer.from('just text'), 'video/mp4'],
  ['what nobody knows', Buffer.from([1, 2, 3, 4]), 'video/mp4'],
  ['a type that nobody judges', png, 'application/x-blender'],
  ['nothing at all', Buffer.alloc(0), 'video/mp4'],
  ['two bytes that are a mark by chance', bytes('BM', [1, 2, 3, 4, 5, 6, 7, 8]), 'video/mp4'],
])('%s is taken at its word (%3$s)', async (_, head, declared) => {
  expect(await contentTypeOf(head, declared)).toBe(declared);
});

test.each([
  ['a PNG', png, 'image/png'],
  ['a film', mp4, 'video/mp4'],
  ['a PDF', pdf, 'application/pdf'],
  ['a page', html, 'application/octet-stream'],
  ['a drawing', svg, 'application/octet-stream'],
  ['a drawing as XML', xmlSvg, 'application/octet-stream'],
  ['what nobody knows', Buffer.from([1, 2, 3, 4]), 'application/octet-stream'],
])('%s that nobody declared is kept as %3$s', async (_, head, type) => {
  expect(await contentTypeOf(head, 'application/octet-stream')).toBe(type);
});

test.each([
  ['an archive', gz, 'text/plain', 'application/gzip'],
  ['a PNG', png, 'text/x-python', 'image/png'],
  ['a packed drawing', gz, 'image/svg+xml', 'application/gzip'],
  ['a page', html, 'video/mp4', 'application/octet-stream'],
  ['a drawing as XML', xmlSvg, 'image/png', 'application/octet-stream'],
  ['a script', script, 'text/x-python', 'text/x-python'],
])('%s is not refused for what its name suggests (%3$s): it is kept as %4$s', async (_, head, guess, type) => {
  expect(await contentTypeOf(head, guess, true)).toBe(type);
});
