/** Resources of a process, from /proc: memory, descriptors, threads; and the number of series it exposes. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Holdings {
  /** Resident memory, octets. */
  readonly memory: number;
  /** Mappings of its address space. */
  readonly mappings: number;
  readonly descriptors: number;
  readonly threads: number;
}

export function holdingsOf(pid: number): Holdings {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)?.[1]);
  return {
    memory: read('VmRSS') * 1024,
    mappings: readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').length,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: read('Threads'),
  };
}

/** The number of series in a Prometheus exposition: its lines without comments. */
export async function seriesAt(url: string): Promise<number> {
  const text = await (await fetch(url)).text();
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
}
