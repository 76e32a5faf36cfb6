/** Shrinks a failing input while it keeps failing. */

/**
 * Removes ever smaller parts of a text. The number of attempts is limited, so the result may not be minimal.
 * @param fails whether the remaining text still shows the fault
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
