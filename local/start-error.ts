/** Why the stack cannot start, in a sentence for the person who typed the command. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
