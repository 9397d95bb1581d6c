/**
 * The system calls for sending and capturing, through koffi: sockets, sendmmsg(2), and memory shared with the
 * kernel. They work only on Linux on 64-bit little-endian machines; the constants are those of the kernel's
 * headers.
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
const getsockopt = libc.func(
  'int getsockopt(int fd, int level, int name, _Inout_ void *value, _Inout_ void *length)',
);
const sendmmsg = libc.func('int sendmmsg(int fd, uintptr_t messages, uint count, int flags)');
const sendto = libc.func(
  'int sendto(int fd, uintptr_t octets, size_t length, int flags, uintptr_t to, uint toLength)',
);
const sendOctets = libc.func(
  'long sendto(int fd, const void *octets, size_t length, int flags, uintptr_t to, uint toLength)',
);
const recv = libc.func('long recv(int fd, _Out_ void *octets, size_t length, int flags)');
const memcpy = libc.func('void *memcpy(_Out_ void *to, uintptr_t from, size_t length)');
const closeCall = libc.func('int close(int fd)');
const nameToIndex = libc.func('uint if_nametoindex(const char *name)');
const strerror = libc.func('const char *strerror(int errno)');

export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_PACKET = 17;
export const SOCK_RAW = 3;
export const IPPROTO_RAW = 255;
export const SOL_SOCKET = 1;
export const SOL_PACKET = 263;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_BINDTODEVICE = 25;
export const PACKET_QDISC_BYPASS = 20;
export const SOCK_DGRAM = 2;

const SO_ATTACH_FILTER = 26;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_SHARED_ANONYMOUS = 0x21;
const MAP_SHARED_POPULATE = MAP_SHARED | 0x8000;
const MSG_DONTWAIT = 0x40;
const EPERM = 1;
const EACCES = 13;

/** Memory whose address can be passed to system calls. */
export interface Memory {
  readonly buffer: ArrayBuffer;
  readonly view: DataView;
  /** Address of the first octet. */
  readonly base: bigint;
  /**
   * Unmaps the memory. The engine cannot detach `buffer`, so any later access through it, or through a view
   * of it, is a segmentation fault: the caller must have dropped every view, or end its thread.
   */
  release(): void;
}

/** @throws Fault SYSTEM_CALL */
export function allocate(octets: number): Memory {
  return map(octets, MAP_SHARED_ANONYMOUS, -1, 0n);
}

/** Maps memory that a socket shares with the kernel. @throws Fault SYSTEM_CALL */
export function mapSocket(fd: number, octets: number, offset = 0n): Memory {
  return map(octets, MAP_SHARED_POPULATE, fd, offset);
}

function map(octets: number, flags: number, fd: number, offset: bigint): Memory {
  const pointer = mmap(null, octets, PROT_READ_WRITE, flags, fd, offset);
  const base = BigInt(koffi.address(pointer));
  if (base === 0xffffffffffffffffn) throw systemFault('mmap');
  const buffer = koffi.view(pointer, octets);
  return {
    buffer,
    view: new DataView(buffer),
    base,
    release: () => void munmap(pointer, octets),
  };
}

/** @throws Fault NO_CAP_NET_RAW or SYSTEM_CALL */
export function openSocket(domain: number, type: number, protocol: number): number {
  const fd = socketCall(domain, type, protocol) as number;
  if (fd < 0) throw systemFault('socket');
  return fd;
}

/** Runs `build`, and closes the socket if it throws. */
export function onSocket<Built>(fd: number, build: () => Built): Built {
  try {
    return build();
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
}

/** Sets an option to an integer or to octets. @throws Fault SYSTEM_CALL */
export function setOption(fd: number, level: number, name: number, value: number | Buffer): void {
  const octets = typeof value === 'number' ? int32(value) : value;
  if (setsockopt(fd, level, name, octets, octets.length) < 0) throw systemFault('setsockopt');
}

/** Sets an integer if the kernel knows the option. */
export function tryOption(fd: number, level: number, name: number, value: number): void {
  setsockopt(fd, level, name, int32(value), 4);
}

/** Reads an option of this many octets. @throws Fault SYSTEM_CALL */
export function getOption(fd: number, level: number, name: number, octets: number): Buffer {
  const value = Buffer.alloc(octets);
  if (getsockopt(fd, level, name, value, int32(octets)) < 0) throw systemFault('getsockopt');
  return value;
}

/** @throws Fault SYSTEM_CALL */
export function bindSocket(fd: number, address: Buffer): void {
  if (bindCall(fd, address, address.length) < 0) throw systemFault('bind');
}

/** @returns how many messages the kernel accepted; if 0, `lastErrno` says why */
export function sendMessages(fd: number, messages: bigint, count: number): number {
  const sent = sendmmsg(fd, messages, count, MSG_DONTWAIT) as number;
  return Math.max(0, sent);
}

/** Makes the kernel process a socket's ring. @returns false on an error, which `lastErrno` gives */
export function kick(fd: number): boolean {
  return (sendto(fd, 0n, 0, MSG_DONTWAIT, 0n, 0) as number) >= 0;
}

export function lastErrno(): number {
  return koffi.errno();
}

/** Sends one packet without waiting. @returns false if the kernel refused it, with the reason in `lastErrno` */
export function sendOne(fd: number, octets: Uint8Array): boolean {
  return (sendOctets(fd, octets, octets.length, MSG_DONTWAIT, 0n, 0) as number) >= 0;
}

/**
 * Reads one packet into `octets` without waiting. @returns its length, at most that of `octets`; −1 if there
 * is none
 */
export function receiveOne(fd: number, octets: Uint8Array): number {
  return recv(fd, octets, octets.length, MSG_DONTWAIT) as number;
}

/** Copies octets from an address of this process. */
export function copyFrom(address: bigint, octets: number): Buffer {
  const copy = Buffer.alloc(octets);
  memcpy(copy, address, octets);
  return copy;
}

/**
 * Attaches a classic BPF program (struct sock_filter[], 8 octets each), in place of the one before.
 *
 *   struct sock_fprog { u16 length; pad; void *instructions }   16 octets
 *
 * @throws Fault SYSTEM_CALL
 */
export function attachFilter(fd: number, program: Buffer): void {
  const memory = allocate(program.length);
  try {
    new Uint8Array(memory.buffer).set(program);
    const descriptor = Buffer.alloc(16);
    descriptor.writeUInt16LE(program.length / 8, 0);
    descriptor.writeBigUInt64LE(memory.base, 8);
    setOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, descriptor);
  } finally {
    memory.release();
  }
}

export function closeSocket(fd: number): void {
  closeCall(fd);
}

/** The kernel's index of an interface. @throws Fault NO_ROUTE if there is none */
export function interfaceIndex(name: string): number {
  const index = nameToIndex(name) as number;
  if (index > 0) return index;
  throw new Fault('NO_ROUTE', 'there is no such interface', { flag: '--interface', value: name });
}

function systemFault(call: string): Fault {
  const errno = lastErrno();
  if (errno === EPERM || errno === EACCES) {
    const reason = 'raw sockets are not permitted: run as root, or with the capability CAP_NET_RAW';
    return new Fault('NO_CAP_NET_RAW', reason);
  }
  return new Fault('SYSTEM_CALL', `${call} failed: ${strerror(errno)}`);
}

function int32(value: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeInt32LE(value);
  return octets;
}
