/** Copies what a reply says into the columns of a row whose first fields are written. */
import type { Dissection } from '../../shared/packet/dissect.js';
import type { TcpOptions } from '../../shared/packet/tcp.js';
import { type Columns, OPTION_MASK } from '../../shared/survey/results.js';

/** @param options read from the reply where it is TCP, cleared where it is ICMP */
export function writeRow(
  columns: Columns,
  reply: Dissection,
  options: TcpOptions,
  flags: number,
): void {
  const { ip, isTcp } = reply;
  columns.flags.push(flags);
  columns.source.push(ip.destination);
  columns.responder.push(ip.source);
  columns.timeToLive.push(ip.timeToLive);
  columns.identification.push(ip.identification);
  columns.sourcePort.push(isTcp ? reply.tcp.destinationPort : reply.quotedTcp.sourcePort);
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
}

function maskOf(options: TcpOptions): number {
  return (
    (options.maximumSegment >= 0 ? OPTION_MASK.MSS : 0) |
    (options.windowScale >= 0 ? OPTION_MASK.WINDOW_SCALE : 0) |
    (options.sackPermitted >= 0 ? OPTION_MASK.SACK : 0) |
    (options.timestampValue >= 0 ? OPTION_MASK.TIMESTAMPS : 0)
  );
}
