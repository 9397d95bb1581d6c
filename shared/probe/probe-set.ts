/**
 * The probes of one survey, and the classes of all their replies. A class is stored as a code, one octet per
 * position: 0 is silence, then the classes by rank, the best first, so that of two replies of a target the one
 * with the lower code counts.
 */
import { Fault } from '../base/faults.js';
import {
  type Family,
  ICMP_CLASS,
  type PacketProbe,
  type Probe,
  type ProbeOptions,
  type ReplyClass,
  type TargetState,
} from './probe.js';
import { parseOptions } from './probe-options.js';
import { probeNamed } from './probe-registry.js';

/** A probe with its options, as in a survey's record. */
export interface ProbeChoice {
  readonly name: string;
  readonly options: ProbeOptions;
}

/** The code of a target that has not replied. */
export const SILENT = 0;
/** The highest number of classes in one survey: codes from 16 on are reasons why a position was not sent. */
export const CLASSES_MAX = 15;
/** The highest number of probes in one survey; it is limited because each probe takes a frame sender per route. */
export const PROBES_MAX = 64;

/** True if a reply with this code says more about a target than one with the other. */
export function outranks(code: number, other: number): boolean {
  return other === SILENT || code < other;
}

/** One probe of a survey. */
export interface SurveyProbe<Kind extends Probe = Probe> {
  /** Index in the survey's list of probes; each target contains such an index. */
  readonly index: number;
  readonly probe: Kind;
  readonly options: ProbeOptions;
}

export class ProbeSet {
  readonly all: readonly SurveyProbe[];
  /** Names of the classes by code; the first one stands for silence. */
  readonly classNames: readonly string[];
  /** By probe and code. */
  readonly #classes: readonly (readonly (ReplyClass | undefined)[])[];

  /** @throws Fault BAD_OPTION for an unknown probe or option, too many probes or too many classes */
  constructor(choices: readonly ProbeChoice[]) {
    this.all = choices.map(({ name, options }, index) => {
      const probe = probeNamed(name);
      return { index, probe, options: parseOptions(probe, options) };
    });
    const ranks = new Map(
      this.all.flatMap(({ probe }) => probe.classes.map(({ name, rank }) => [name, rank] as const)),
    );
    const names = [...ranks.keys()].sort(
      (a, b) => (ranks.get(b) ?? 0) - (ranks.get(a) ?? 0) || (a < b ? -1 : 1),
    );
    this.#refuseMixed();
    refuseTooMany('probes', this.all.length, PROBES_MAX);
    refuseTooMany('classes of replies', names.length, CLASSES_MAX);
    this.classNames = ['silent', ...names];
    this.#classes = this.all.map(({ probe }) =>
      this.classNames.map((name) => probe.classes.find((candidate) => candidate.name === name)),
    );
  }

  /** The kind of all probes. */
  get kind(): Probe['kind'] {
    return this.all[0]?.probe.kind ?? 'packet';
  }

  /** The probes that are packets: either all probes of the survey, or none. */
  get packets(): readonly SurveyProbe<PacketProbe>[] {
    return this.all.flatMap(({ probe, ...rest }) =>
      probe.kind === 'packet' ? [{ ...rest, probe }] : [],
    );
  }

  /** Names of the classes, the best first. */
  get replyNames(): readonly string[] {
    return this.classNames.slice(1);
  }

  /** The code of a class. */
  codeOf(name: string): number {
    return this.classNames.indexOf(name);
  }

  /** True if replies of this code are ICMP errors. */
  isError(code: number): boolean {
    return this.classNames[code] === ICMP_CLASS.name;
  }

  isSuccess(probe: number, code: number): boolean {
    return this.#classes[probe]?.[code]?.isSuccess ?? false;
  }

  /** The state of a target of this probe, if the target's best reply has this code. */
  stateOf(probe: number, code: number): TargetState {
    return (this.#classes[probe]?.[code]?.state ?? this.all[probe]?.probe.silence) as TargetState;
  }

  /** True if each probe looks for a reply, and not for silence. */
  get allHaveSuccess(): boolean {
    return this.all.every(({ probe }) => probe.classes.some(({ isSuccess }) => isSuccess));
  }

  /** A class that is a success for one probe, but not for another; undefined if there is no such class. */
  get unclearSuccess(): string | undefined {
    const clear = this.namesWithRows(false);
    const successes = this.all.flatMap(({ probe }) => probe.classes.filter((c) => c.isSuccess));
    return successes.map(({ name }) => name).find((name) => !clear.includes(name));
  }

  /**
   * The names of the classes whose replies all make rows.
   * @param isAll whether all replies make rows, or only successes
   */
  namesWithRows(isAll: boolean): readonly string[] {
    return this.replyNames.filter((name) => {
      const classes = this.all.flatMap(({ probe }) => probe.classes.filter((c) => c.name === name));
      return isAll || classes.every(({ isSuccess }) => isSuccess);
    });
  }

  /**
   * Refuses probes of different kinds in one survey, because connections and requests to neighbours are sent
   * apart from packets.
   * @throws Fault BAD_OPTION
   */
  #refuseMixed(): void {
    const other = this.all.find(({ probe }) => probe.kind !== this.kind)?.probe;
    if (other === undefined) return;
    const apart = [this.all[0]?.probe, other].find((probe) => probe?.kind !== 'packet');
    const reason = `${apart?.name} cannot share a survey with probes of other kinds`;
    throw new Fault('BAD_OPTION', reason, { flag: '--probe' });
  }

  /** The first probe that does not support a family. */
  lacking(family: Family): Probe | undefined {
    return this.all.find(({ probe }) => !probe.families.includes(family))?.probe;
  }
}

function refuseTooMany(what: string, count: number, most: number): void {
  if (count <= most) return;
  const reason = `a survey has at most ${most} ${what}, and this one has ${count}`;
  throw new Fault('BAD_OPTION', reason, { flag: '--ports' });
}
