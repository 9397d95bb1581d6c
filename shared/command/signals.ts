/**
 * The signals that ask a program to end: SIGINT, SIGTERM, and SIGHUP, which a terminal that closes sends.
 * A program that was started with SIGHUP ignored (nohup(1)) goes on. Node puts ignored signals back to
 * their defaults before any of our code runs, so the launchers pass on what they found.
 */
const HANGUP_IGNORED = 'TRANSECT_HANGUP_IGNORED';

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** Calls back at each signal that asks to end. @returns how to stop listening */
export function onStopSignal(listener: (name: StopSignal) => void): () => void {
  const isHangupIgnored = process.env[HANGUP_IGNORED] === '1';
  const signals: StopSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  const handlers = signals.map((name) => {
    const handler = name === 'SIGHUP' && isHangupIgnored ? () => {} : () => listener(name);
    process.on(name, handler);
    return [name, handler] as const;
  });
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler);
  };
}
