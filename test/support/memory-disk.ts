/** A disk in memory, for simulations: nothing real is waited for. */
import type { Disk } from '../../shared/base/disk.js';

export class MemoryDisk implements Disk {
  readonly files = new Map<string, Buffer>();

  async writeWhole(file: string, chunks: Parameters<Disk['writeWhole']>[1]): Promise<void> {
    const parts: Buffer[] = [];
    for await (const chunk of chunks) parts.push(Buffer.from(chunk));
    this.files.set(file, Buffer.concat(parts));
  }

  async read(file: string): Promise<Buffer | undefined> {
    return this.files.get(file);
  }

  async list(folder: string): Promise<readonly string[]> {
    const within = [...this.files.keys()].filter((file) => file.startsWith(`${folder}/`));
    return within.map((file) => file.slice(folder.length + 1));
  }
}
