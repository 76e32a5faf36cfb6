/**
 * A small in-memory file system that can be filled up, or made read-only even for root.
 */

export class SmallDisk implements AsyncDisposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** null when this user may not mount. */
  static async mount(sizeKib: number): Promise<SmallDisk | null> {
    const directory = await Deno.makeTempDir({ prefix: "oar-small-" });
    if (await run("mount", "-t", "tmpfs", "-o", `size=${sizeKib}k`, "tmpfs", directory)) {
      return new SmallDisk(directory);
    }
    await Deno.remove(directory);
    return null;
  }

  /** Writes a file until only this much space is left. */
  async fill(name: string, leftBytes: number): Promise<void> {
    using file = await Deno.open(`${this.directory}/${name}`, { write: true, create: true });
    const piece = new Uint8Array(64 * 1024);
    try {
      for (;;) await file.write(piece);
    } catch {
      const { size } = await file.stat();
      await file.truncate(size - leftBytes);
    }
  }

  async makeReadOnly(): Promise<void> {
    if (!await run("mount", "-o", "remount,ro", this.directory)) throw new Error("the remount failed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", this.directory);
    await Deno.remove(this.directory);
  }
}

async function run(command: string, ...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args, stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}
