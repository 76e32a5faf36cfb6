/** A time limit for a promise, so that a test fails instead of hanging. */

/** @throws when it takes longer; the promise itself is not cancelled */
export async function within<T>(seconds: number, what: () => string, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`hangs: ${what()}`)), seconds * 1000);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
