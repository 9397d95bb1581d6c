// Listens on every address of this host and port argv[2]; what connects is closed at once.
import { createServer } from 'node:net';

const port = Number(process.argv[2]);
createServer((socket) => socket.destroy()).listen(port, '::', 4096, () => {
  console.log(`listening on ${port}`);
});
