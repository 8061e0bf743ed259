/** Data that workloads work on: made, always the same, and not all alike, so that compressors have something to do. */

/** Numerical Recipes' linear congruential generator: numbers below `limit`. */
function generator(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

function words(count: number, random: (limit: number) => number): string[] {
  const syllables = [
    "ba",
    "ko",
    "ri",
    "ten",
    "lu",
    "mar",
    "so",
    "ge",
    "dil",
    "va",
    "no",
    "pe",
    "sta",
    "or",
    "in",
    "um",
  ];
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + random(4) }, () => syllables[random(syllables.length)]).join(""),
  );
}

/** Lines of words, of which few are frequent, as in a language. */
export function wordText(bytes: number): string {
  const random = generator(1);
  const list = words(4000, random);
  let text = "";
  for (let column = 0; text.length < bytes; ) {
    const word = list[Math.floor((list.length * random(1000) * random(1000)) / 1e6)] as string;
    column += word.length + 1;
    text += column > 70 ? `${word}.\n` : `${word} `;
    if (column > 70) column = 0;
  }
  return text.slice(0, bytes);
}

/** A table is filled, indexed, joined with itself, and summed up. */
export function sqlText(): string {
  return `CREATE TABLE item (id INTEGER PRIMARY KEY, parent INTEGER, name TEXT, price REAL);
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 6000)
  INSERT INTO item SELECT n, (n * 7919) % 613, printf('item %05d', (n * 104729) % 6007), (n * 31 % 997) / 4.0 FROM number;
CREATE INDEX item_parent ON item (parent);
CREATE INDEX item_name ON item (name);
SELECT count(*), sum(a.price), max(b.name) FROM item a JOIN item b ON a.parent = b.id WHERE a.name LIKE '%7%';
SELECT parent, count(*), round(avg(price), 3) FROM item GROUP BY parent ORDER BY 3 DESC, 1 LIMIT 20;
UPDATE item SET price = price * 1.25 WHERE parent % 5 = 0;
SELECT name FROM item ORDER BY name DESC LIMIT 50;
SELECT sum(price) FROM item;
`;
}

/** A C program of many functions: expressions, loops, switches, structures. */
export function sourceText(): string {
  const random = generator(2);
  const functions = Array.from({ length: 6 }, (_, index) => {
    const cases = Array.from(
      { length: 3 + random(6) },
      (_, i) => `    case ${i}: sum += item->value * ${1 + random(90)} + (sum >> ${1 + random(7)}); break;`,
    );
    return `struct item${index} { int value; unsigned kind; struct item${index} *next; double weight; };
static int walk${index}(struct item${index} *item, int limit) {
  int sum = ${random(1000)};
  for (int i = 0; i < limit && item; i++, item = item->next) {
    switch (item->kind % ${cases.length}) {
${cases.join("\n")}
    default: item->weight = item->weight * 0.${1 + random(9)} + sum;
    }
    if (sum > ${random(100000)}) sum ^= (int)item->weight;
  }
  return sum;
}
int enter${index}(int count) {
  struct item${index} items[${9 + random(12)}];
  for (int i = 0; i < ${4 + random(4)}; i++) items[i] = (struct item${index}){count * i, (unsigned)(count ^ i), items + i + 1, i};
  items[0].next = 0;
  return walk${index}(items, count)${index > 0 ? ` + enter${index - 1}(count / 2)` : ""};
}`;
  });
  return `${functions.join("\n")}\n`;
}

/** dpkg's list of installed packages with so many entries. */
export function packageStatus(count: number): string {
  const random = generator(3);
  const names = words(count, random).map((word, i) => `${word}-${i}`);
  const version = () => `${random(9)}.${random(30)}.${random(12)}-${1 + random(4)}`;
  return names
    .map((name) => {
      const depends = Array.from({ length: 1 + random(8) }, () => `${names[random(count)]} (>= ${version()})`);
      return `Package: ${name}
Status: install ok installed
Priority: optional
Section: misc
Installed-Size: ${random(50000)}
Maintainer: Nobody <nobody@example.org>
Architecture: all
Version: ${version()}
Depends: ${depends.join(", ")}
Description: ${name} does what its name says
 Nothing is known of it but that it is number ${random(100000)}.
`;
    })
    .join("\n");
}

/** A Perl program that counts the words of `wordText`. */
export function perlText(): string {
  return `my (%count, $lines, $longest);
open my $file, "<", "/bench/words.txt" or die;
while (my $line = <$file>) {
  $lines++;
  $count{lc $_}++ for $line =~ /[a-z]+/g;
  $line =~ s/(st)(a)/$2$1/g;
  $longest = $line if length $line > length($longest // "");
}
my @top = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
printf "%d lines, %d words\\n%s", $lines, scalar(@top), $longest;
printf "%s %d\\n", $_, $count{$_} for @top[0 .. 30];
`;
}
