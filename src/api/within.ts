/** What `work` resolves with, or a rejection once `ms` have passed. The work itself goes on unheard. */
export async function within<Answer>(ms: number, work: Promise<Answer>): Promise<Answer> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`No answer within ${ms} ms.`)), ms);
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
