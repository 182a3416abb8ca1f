import { AppError } from '#errors';

/** One wrong field: where it is, as in `files[3].checksum`, and what is wrong. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/** What is wrong with one file of a request. */
export interface FileError {
  readonly path: string;
  readonly error: AppError;
}

/** `['files', 3, 'checksum']` as `files[3].checksum`. */
export function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}

/** Wrong fields that an answer names; a hostile body could have millions. */
const NAMED = 100;

/** Wrong fields as one `VALIDATION_FAILED`: the message shows the first few, `details` the first 100. */
export function invalid(fields: readonly FieldError[]): AppError {
  const shown = fields.slice(0, 5).map(({ path, message }) => (path ? `${path}: ${message}` : message));
  const more = fields.length > 5 ? ` (and ${fields.length - 5} more)` : '';
  return new AppError('VALIDATION_FAILED', `${shown.join(' ')}${more}`, {
    details: { fields: fields.slice(0, NAMED), ...(fields.length > NAMED && { wrong: fields.length }) },
  });
}

/** The first file's error, with all of them in `details.fields`. */
export function atFiles(...errors: readonly [FileError, ...FileError[]]): AppError {
  const [{ error }] = errors;
  const fields = errors.slice(0, NAMED).map(({ path, error: { code, message } }) => ({ path, message, code }));
  return new AppError(error.code, error.message, { details: { fields }, cause: error });
}
