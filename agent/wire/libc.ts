/**
 * The system calls that sending needs, through koffi: sockets, one call for many messages, memory
 * that both sides see. Linux on 64-bit little-endian machines; constants are those of its headers.
 */
import koffi from 'koffi';
import { Fault } from '../../shared/base/faults.js';

const libc = koffi.load(null);

const mmap = libc.func(
  'void *mmap(void *at, size_t length, int prot, int flags, int fd, long off)',
);
const munmap = libc.func('int munmap(void *at, size_t length)');
const socketCall = libc.func('int socket(int domain, int type, int protocol)');
const bindCall = libc.func('int bind(int fd, const void *address, uint length)');
const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int name, void *value, uint length)',
);
const sendmmsg = libc.func('int sendmmsg(int fd, uintptr_t messages, uint count, int flags)');
const closeCall = libc.func('int close(int fd)');
const nameToIndex = libc.func('uint if_nametoindex(const char *name)');
const strerror = libc.func('const char *strerror(int errno)');

export const AF_INET = 2;
export const AF_PACKET = 17;
export const SOCK_RAW = 3;
export const IPPROTO_RAW = 255;
export const SOL_SOCKET = 1;
export const SOL_PACKET = 263;
export const SO_SNDBUF = 7;
export const SO_BINDTODEVICE = 25;
export const PACKET_QDISC_BYPASS = 20;

const PROT_READ_WRITE = 3;
const MAP_SHARED_ANONYMOUS = 0x21;
const MSG_DONTWAIT = 0x40;
const EPERM = 1;
const EACCES = 13;

/** Memory with an address that system calls can be given. */
export interface Memory {
  readonly view: DataView;
  /** Address of the first octet. */
  readonly base: bigint;
  release(): void;
}

export function allocate(octets: number): Memory {
  const pointer = mmap(null, octets, PROT_READ_WRITE, MAP_SHARED_ANONYMOUS, -1, 0);
  const base = BigInt(koffi.address(pointer));
  if (base === 0xffffffffffffffffn) throw systemFault('mmap');
  const view = new DataView(koffi.view(pointer, octets));
  return { view, base, release: () => void munmap(pointer, octets) };
}

/** @throws Fault NO_CAP_NET_RAW or SYSTEM_CALL */
export function openSocket(domain: number, type: number, protocol: number): number {
  const fd = socketCall(domain, type, protocol) as number;
  if (fd < 0) throw systemFault('socket');
  return fd;
}

/** Sets an integer or octets. @throws Fault SYSTEM_CALL */
export function setOption(fd: number, level: number, name: number, value: number | Buffer): void {
  const octets = typeof value === 'number' ? int32(value) : value;
  if (setsockopt(fd, level, name, octets, octets.length) < 0) throw systemFault('setsockopt');
}

/** @throws Fault SYSTEM_CALL */
export function bindSocket(fd: number, address: Buffer): void {
  if (bindCall(fd, address, address.length) < 0) throw systemFault('bind');
}

/** How many messages the kernel took: 0 where it took none, and then `lastErrno` says why. */
export function sendMessages(fd: number, messages: bigint, count: number): number {
  const sent = sendmmsg(fd, messages, count, MSG_DONTWAIT) as number;
  return Math.max(0, sent);
}

export function lastErrno(): number {
  return koffi.errno();
}

export function closeSocket(fd: number): void {
  closeCall(fd);
}

/** The kernel's number of an interface. @throws Fault NO_ROUTE where there is none */
export function interfaceIndex(name: string): number {
  const index = nameToIndex(name) as number;
  if (index > 0) return index;
  throw new Fault('NO_ROUTE', 'there is no such interface', { flag: '--interface', value: name });
}

function systemFault(call: string): Fault {
  const errno = lastErrno();
  if (errno === EPERM || errno === EACCES) {
    const why = 'raw sockets are not permitted: run as root, or with the capability CAP_NET_RAW';
    return new Fault('NO_CAP_NET_RAW', why);
  }
  return new Fault('SYSTEM_CALL', `${call} failed: ${strerror(errno)}`);
}

function int32(value: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeInt32LE(value);
  return octets;
}
