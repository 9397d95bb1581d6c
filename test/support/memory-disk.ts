/** A disk in memory, for simulations: no real I/O. */

import { Fault } from '../../shared/base/faults.js';
import type { Disk } from '../../shared/host/disk.js';

export class MemoryDisk implements Disk {
  readonly files = new Map<string, Buffer>();
  /** While true, writes fail. */
  isFull = false;

  async writeWhole(file: string, chunks: Parameters<Disk['writeWhole']>[1]): Promise<void> {
    const deps: Buffer[] = [];
    for await (const chunk of chunks) deps.push(Buffer.from(chunk));
    this.#put(file, Buffer.concat(deps));
  }

  async writeSecret(file: string, text: string): Promise<void> {
    await this.writeWhole(file, [text]);
  }

  async makeWhole(file: string, make: (beside: string) => Promise<void>): Promise<void> {
    const beside = `${file}.part`;
    await make(beside);
    const made = this.files.get(beside);
    if (made === undefined) return;
    this.files.delete(beside);
    this.#put(file, made);
  }

  async append(file: string, lines: string): Promise<void> {
    this.#put(file, Buffer.concat([this.files.get(file) ?? Buffer.alloc(0), Buffer.from(lines)]));
  }

  async read(file: string): Promise<Buffer | undefined> {
    return this.files.get(file);
  }

  async readPart(file: string, offset: number, length: number): Promise<Uint8Array> {
    return (this.files.get(file) ?? Buffer.alloc(0)).subarray(offset, offset + length);
  }

  async *lines(file: string): AsyncGenerator<string> {
    const text = this.files.get(file)?.toString() ?? '';
    yield* text.split('\n').slice(0, -1);
  }

  async list(folder: string): Promise<readonly string[]> {
    const within = [...this.files.keys()].filter((file) => file.startsWith(`${folder}/`));
    return within.map((file) => file.slice(folder.length + 1));
  }

  async folders(folder: string): Promise<readonly string[]> {
    const within = (await this.list(folder)).filter((name) => name.includes('/'));
    return [...new Set(within.map((name) => name.slice(0, name.indexOf('/'))))];
  }

  async size(file: string): Promise<number> {
    return this.files.get(file)?.length ?? 0;
  }

  async remove(file: string): Promise<void> {
    this.files.delete(file);
  }

  #put(file: string, content: Buffer): void {
    if (this.isFull) throw new Fault('UNWRITABLE', 'cannot write: no space left', { file });
    this.files.set(file, content);
  }
}
