/**
 * Run before the TypeScript, by `node --import`: plain JavaScript, so that a Node which cannot load TypeScript
 * says one sentence instead of a stack.
 */
if (!process.features.typescript) {
  process.stderr.write(
    `Reelay needs Node 22.18 or newer, which runs TypeScript as it is, and this is ${process.versions.node}: start it by npm after npm ci, which brings the right one.\n`,
  );
  process.exit(1);
}
