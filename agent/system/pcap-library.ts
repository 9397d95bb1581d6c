/**
 * The functions of libpcap that we use, through koffi. The `pcap` package cannot be loaded in a worker, and
 * has neither the filter compiler nor a safe way to close a session.
 */
import koffi from 'koffi';
import { Fault } from '../../shared/base/faults.js';
import { copyFrom } from './libc.js';

const LIBRARIES = ['libpcap.so.0.8', 'libpcap.so.1', 'libpcap.so'];
/** Packets that begin with their IP header. */
const DLT_RAW = 12;
const INSTRUCTION_OCTETS = 8;

let loaded: ReturnType<typeof load> | undefined;

/** @throws Fault SYSTEM_CALL if libpcap is not installed */
export function pcapLibrary() {
  loaded ??= load();
  return loaded;
}

/**
 * Compiles a filter expression (pcap-filter(7)) for packets that begin with their IP header.
 *
 *   struct bpf_program { u32 count; pad; struct bpf_insn *instructions }   16 octets
 *
 * @param snapOctets how much of a packet passes
 * @returns a classic BPF program: struct bpf_insn[], 8 octets each
 * @throws Fault SYSTEM_CALL
 */
export function compileFilter(expression: string, snapOctets: number): Buffer {
  const { openDead, compile, geterr, freecode, close } = pcapLibrary();
  const handle = openDead(DLT_RAW, snapOctets) as object;
  const program = Buffer.alloc(16);
  try {
    if ((compile(handle, program, expression, 1, 0xffffffff) as number) < 0) {
      throw new Fault('SYSTEM_CALL', `the capture filter does not compile: ${geterr(handle)}`);
    }
    const count = program.readUInt32LE(0);
    const instructions = copyFrom(program.readBigUInt64LE(8), count * INSTRUCTION_OCTETS);
    freecode(program);
    return instructions;
  } finally {
    close(handle);
  }
}

function load() {
  for (const name of LIBRARIES) {
    try {
      const pcap = koffi.load(name);
      return {
        create: pcap.func('void *pcap_create(const char *device, void *error)'),
        activate: pcap.func('int pcap_activate(void *handle)'),
        inject: pcap.func('int pcap_inject(void *handle, uintptr_t octets, size_t length)'),
        geterr: pcap.func('const char *pcap_geterr(void *handle)'),
        close: pcap.func('void pcap_close(void *handle)'),
        openDead: pcap.func('void *pcap_open_dead(int linktype, int snaplen)'),
        compile: pcap.func(
          'int pcap_compile(void *handle, _Inout_ void *program, const char *text, int optimize, uint netmask)',
        ),
        freecode: pcap.func('void pcap_freecode(_Inout_ void *program)'),
      };
    } catch {
      // Tries the next name.
    }
  }
  throw new Fault('SYSTEM_CALL', `no libpcap is installed (${LIBRARIES.join(', ')})`);
}
