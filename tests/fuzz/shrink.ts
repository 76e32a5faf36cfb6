/** Makes a failing input smaller while it goes on failing. */

/**
 * Cuts ever smaller parts out of a text. The attempts are bounded, so that the result need not be the smallest.
 * @param fails whether what is left still shows the fault
 */
export async function shrink(text: string, fails: (text: string) => Promise<boolean>): Promise<string> {
  let attempts = 0;
  for (let size = Math.ceil(text.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < text.length;) {
      if (++attempts > MAX_ATTEMPTS) return text;
      const shorter = text.slice(0, at) + text.slice(at + size);
      if (shorter !== "" && await fails(shorter)) text = shorter;
      else at += size;
    }
  }
  return text;
}

const MAX_ATTEMPTS = 250;
