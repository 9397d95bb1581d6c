"""Returns every datagram that reaches port argv[1], whichever of the host's addresses it was sent to.

The reply comes from that address (IP_PKTINFO), as the replies of real servers do; from port argv[2] if given.
"""
import socket
import struct
import sys

port = int(sys.argv[1])
reply_port = int(sys.argv[2]) if len(sys.argv) > 2 else port
IPV6_RECVPKTINFO, IPV6_PKTINFO, IPV6_FREEBIND = 49, 50, 78

listening = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listening.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
listening.bind(("::", port))
sending = listening
if reply_port != port:
    sending = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sending.bind(("::", reply_port))
sending.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)  # addresses of a prefix that is routed to lo
print(f"listening on {port}", flush=True)
while True:
    data, ancillary, _, peer = listening.recvmsg(2048, 256)
    info = [value for level, kind, value in ancillary if kind == IPV6_PKTINFO]
    address = struct.unpack("16sI", info[0])[0]
    control = [(socket.IPPROTO_IPV6, IPV6_PKTINFO, struct.pack("16sI", address, 0))]
    try:
        sending.sendmsg([data], control, 0, peer)
    except OSError as error:
        print(error, flush=True)
