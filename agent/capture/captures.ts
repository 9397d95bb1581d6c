/**
 * One capture per interface, shared by all surveys of this agent: opened for the first survey, closed after
 * the last. Each frame is dissected once and then offered to the surveys in turn, until one validates it with
 * the survey's key. The kernel (BPF) filter is the union of the surveys' filters.
 */
import { Fault } from '../../shared/base/faults.js';
import { Dissection, REJECT, REJECT_NAMES } from '../../shared/packet/dissect.js';
import type {
  Capture,
  CaptureTotals,
  FrameReceiver,
  FrameSource,
  SourceSetup,
} from '../interfaces.js';
import { openPcapSource } from './pcap-source.js';
import { openRingSource } from './ring-source.js';

type Open = (setup: SourceSetup) => FrameSource;

/** Preferred first. */
const SOURCES: readonly Open[] = [openRingSource, openPcapSource];

export class Captures {
  readonly #shared = new Map<string, SharedCapture>();
  readonly #open: Open;

  constructor(open: Open = openBest) {
    this.#open = open;
  }

  /** A survey's share of the capture on an interface. @throws Fault NO_CAP_NET_RAW or SYSTEM_CALL */
  open(setup: SourceSetup): Capture {
    const key = `${setup.device} ${setup.vlan ?? ''}`;
    const known = this.#shared.get(key);
    // A failed source is not shared any more; its surveys are about to close.
    const isUsable = known?.source.isAlive === true;
    const shared = isUsable ? known : new SharedCapture(this.#open(setup));
    const capture = shared.join(setup.filter, () => {
      if (this.#shared.get(key) === shared) this.#shared.delete(key);
    });
    this.#shared.set(key, shared);
    return capture;
  }
}

function openBest(setup: SourceSetup): FrameSource {
  let fault: unknown;
  for (const open of SOURCES) {
    try {
      return open(setup);
    } catch (error) {
      if (error instanceof Fault && error.code !== 'SYSTEM_CALL') throw error;
      fault ??= error;
    }
  }
  throw fault;
}

interface Listener {
  readonly filter: string;
  receiver: FrameReceiver;
}

/** Before a survey listens. */
const NOBODY: FrameReceiver = { receive: () => false, receiveFromElsewhere: () => false };

class SharedCapture {
  readonly source: FrameSource;
  readonly #dissection: Dissection;
  readonly #listeners: Listener[] = [];
  /** Rejected frames by `REJECT` code; `#foreign` counts dissected frames that answer none of our probes. */
  readonly #rejects = new Float64Array(REJECT_NAMES.length);
  #foreign = 0;

  constructor(source: FrameSource) {
    this.source = source;
    this.#dissection = new Dissection(source.view);
    source.start((start, end, timestamp) => this.#receive(start, end, timestamp));
  }

  /** @param onEmpty called once the last survey has left and the source is closed */
  join(filter: string, onEmpty: () => void): Capture {
    const { source } = this;
    const listener: Listener = { filter, receiver: NOBODY };
    this.#listeners.push(listener);
    try {
      this.#setFilter();
    } catch (error) {
      this.#leave(listener, onEmpty);
      throw error;
    }
    const before = source.totals;
    const rejectsBefore = this.#rejectCounts();
    let last: Pick<Capture, 'totals' | 'rejects'> | undefined;
    const since = () => ({
      totals: minus(source.totals, before),
      rejects: minus(this.#rejectCounts(), rejectsBefore),
    });
    return {
      dissection: this.#dissection,
      get isAlive() {
        return last === undefined && source.isAlive;
      },
      get readUntil() {
        return source.readUntil;
      },
      get totals() {
        return (last ?? since()).totals;
      },
      get rejects() {
        return (last ?? since()).rejects;
      },
      start(receiver) {
        listener.receiver = receiver;
      },
      close: () => {
        if (last !== undefined) return;
        last = since();
        this.#leave(listener, onEmpty);
      },
    };
  }

  #leave(listener: Listener, onEmpty: () => void): void {
    this.#listeners.splice(this.#listeners.indexOf(listener), 1);
    if (this.#listeners.length > 0) this.#setFilter();
    else {
      this.source.close();
      onEmpty();
    }
  }

  #receive(start: number, end: number, timestamp: number): void {
    const reject = this.#dissection.dissect(this.source.link, start, end);
    if (reject !== REJECT.OK) {
      this.#rejects[reject] = (this.#rejects[reject] as number) + 1;
      return;
    }
    for (const { receiver } of this.#listeners) if (receiver.receive(timestamp)) return;
    for (const { receiver } of this.#listeners) {
      if (receiver.receiveFromElsewhere(timestamp)) return;
    }
    this.#foreign++;
  }

  #setFilter(): void {
    const filters = new Set(this.#listeners.map(({ filter }) => filter));
    this.source.setFilter([...filters].map((filter) => `(${filter})`).join(' or '));
  }

  #rejectCounts(): Record<string, number> {
    const entries = REJECT_NAMES.slice(1).map((name, i) => [name, this.#rejects[i + 1] ?? 0]);
    return { ...Object.fromEntries(entries), foreign: this.#foreign };
  }
}

function minus<Counts extends CaptureTotals | Record<string, number>>(
  now: Counts,
  before: Counts,
): Counts {
  const entries = Object.entries(now).map(([name, count]) => {
    return [name, count - ((before as Record<string, number>)[name] ?? 0)];
  });
  return Object.fromEntries(entries) as Counts;
}
