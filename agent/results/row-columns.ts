/** Copies what a reply says into the columns of a row whose first fields are written. */
import type { TcpOptions } from '../../shared/packet/tcp.js';
import { COLUMN_NAMES, type Columns, OPTION_MASK } from '../../shared/survey/results.js';
import type { Reply } from '../interfaces.js';

export function writeRow(columns: Columns, heard: Reply, flags: number): void {
  const { dissection: reply, options, roundTrip } = heard;
  const { isTcp, responder } = reply;
  const { source } = reply.flow;
  columns.flags.push(flags);
  columns.source0.push(source.w0);
  columns.source1.push(source.w1);
  columns.source2.push(source.w2);
  columns.source3.push(source.w3);
  columns.sourcePort.push(source.port);
  columns.responder0.push(responder.w0);
  columns.responder1.push(responder.w1);
  columns.responder2.push(responder.w2);
  columns.responder3.push(responder.w3);
  columns.timeToLive.push(reply.timeToLive);
  columns.identification.push(reply.identification);
  columns.sequence.push(isTcp ? reply.tcp.sequence : 0);
  columns.acknowledgment.push(isTcp ? reply.tcp.acknowledgment : 0);
  columns.window.push(isTcp ? reply.tcp.window : 0);
  columns.icmpType.push(isTcp ? 0 : reply.icmp.type);
  columns.icmpCode.push(isTcp ? 0 : reply.icmp.code);
  columns.optionMask.push(maskOf(options));
  columns.maximumSegment.push(Math.max(0, options.maximumSegment));
  columns.windowScale.push(Math.max(0, options.windowScale));
  columns.timestampValue.push(Math.max(0, options.timestampValue));
  columns.timestampEcho.push(Math.max(0, options.timestampEcho));
  columns.roundTrip.push(roundTrip + 1);
}

function maskOf(options: TcpOptions): number {
  return (
    (options.maximumSegment >= 0 ? OPTION_MASK.MSS : 0) |
    (options.windowScale >= 0 ? OPTION_MASK.WINDOW_SCALE : 0) |
    (options.sackPermitted >= 0 ? OPTION_MASK.SACK : 0) |
    (options.timestampValue >= 0 ? OPTION_MASK.TIMESTAMPS : 0)
  );
}

/** Fills the columns of a row that says only that no probe left. */
export function writeUnsentRow(columns: Columns): void {
  for (const name of COLUMN_NAMES) {
    const isWritten = columns[name].length === columns.offset.length;
    if (!isWritten) columns[name].push(0);
  }
}
