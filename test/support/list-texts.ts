/** Texts of lists, well-formed or not, as an arbitrary of fast-check: most are close to the border between the two. */
import fc from 'fast-check';

const octet = fc.oneof(
  fc.nat({ max: 255 }).map(String),
  fc.constantFrom('0', '00', '01', '256', '1000', ''),
);
const ipv4 = fc.array(octet, { minLength: 3, maxLength: 5 }).map((parts) => parts.join('.'));
const goodIpv4 = fc.ipV4();
const group = fc.oneof(
  fc.nat({ max: 0xffff }).map((n) => n.toString(16)),
  fc.constantFrom('0', '0000', 'FFFF', 'abcde', '', 'g'),
);
const ipv6 = fc
  .tuple(fc.array(group, { maxLength: 9 }), fc.nat({ max: 9 }), fc.boolean())
  .map(([groups, gap, hasGap]) => {
    if (!hasGap) return groups.join(':');
    return `${groups.slice(0, gap).join(':')}::${groups.slice(gap).join(':')}`;
  });
const mapped = goodIpv4.map((text) => `::ffff:${text}`);
export const anyAddress = fc.oneof(
  goodIpv4,
  ipv4,
  fc.ipV6(),
  ipv6,
  mapped,
  fc.constant('::ffff:102:304'),
);
const number = fc.oneof(fc.nat({ max: 130 }), fc.nat({ max: 70_000 })).map(String);
const tail = fc.oneof(
  fc.constant(''),
  number.map((n) => `/${n}`),
  number.map((n) => `/0${n}`),
  number.map((n) => `:${n}`),
  number.map((n) => `,${n}`),
  number.map((n) => ` : ${n}`),
  anyAddress.map((text) => `-${text}`),
  anyAddress.map((text) => `,${text}`),
  fc.constantFrom('/', '-', ':', '/64-70', '/48-64@low:2', '/12a', '%eth0', ' x', '.', '/32/8'),
);
const bracketed = fc
  .tuple(anyAddress, fc.constantFrom(']:', '],', ']', ':'), number)
  .map(([text, mark, port]) => `[${text}${mark}${port}`);
const item = fc.oneof(
  fc.tuple(anyAddress, tail).map((parts) => parts.join('')),
  bracketed,
  fc.string({ maxLength: 6 }),
);
const space = fc.constantFrom('', '', '', ' ', '\t', '  ', '\u00a0', '\ufeff');
const end = fc.constantFrom(
  '',
  '',
  '',
  ' ',
  '\r',
  ' \r',
  '# x',
  ' # 1.2.3.4',
  '\t#',
  '\r\r',
  '\r ',
);
const line = fc.tuple(space, item, end).map((parts) => parts.join(''));

export const anyList: fc.Arbitrary<string> = fc.oneof(
  fc.array(line, { maxLength: 4 }).map((lines) => lines.join('\n')),
  fc.array(line, { maxLength: 4 }).map((lines) => `${lines.join('\n')}\n`),
);
