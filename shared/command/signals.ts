/**
 * The stop signals: SIGINT, SIGTERM, and SIGHUP, which a closing terminal sends. If a program is started with
 * SIGHUP ignored, as by nohup(1), it keeps ignoring it. Node resets ignored signals before our code runs, so
 * the launchers pass on whether SIGHUP was ignored.
 */
const HANGUP_IGNORED = 'TRANSECT_HANGUP_IGNORED';

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** Calls back at each stop signal. @returns a function that stops listening */
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
