/** The candidates of a srcset, by the steps of the HTML standard (section 4.8.4.3.10), in time that grows with its length. */

export interface Candidate {
  readonly name: string;
  /** Pixels of the picture across, if that is given. */
  readonly width?: number;
  /** Pixels of the picture for each of the page's; 1 if nothing else is given. */
  readonly density?: number;
}

/** What HTML takes for white space. */
const SPACE = /[\t\n\f\r ]/;
const WIDTH = /^\d+w$/;
const HEIGHT = /^\d+h$/;
const DENSITY = /^(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?x$/i;

/** Reads a srcset; candidates whose descriptors make no sense are left out. */
export function candidatesOf(srcset: string): Candidate[] {
  const found: Candidate[] = [];
  let at = 0;
  const skip = (isPart: (letter: string) => boolean): number => {
    while (at < srcset.length && isPart(srcset[at])) at++;
    return at;
  };
  for (;;) {
    const start = skip((letter) => letter === "," || SPACE.test(letter));
    if (start >= srcset.length) return found;
    const end = skip((letter) => !SPACE.test(letter));
    // Commas are part of names, as of data: URLs, but not at their ends.
    let last = end;
    while (srcset[last - 1] === ",") last--;
    const words: string[] = [];
    if (last === end) at = readWords(srcset, at, words);
    const candidate = candidateOf(srcset.slice(start, last), words);
    if (candidate) found.push(candidate);
  }
}

/** Reads the descriptors behind a name, and returns where the next candidate begins: behind a comma that is not in brackets. */
function readWords(srcset: string, start: number, words: string[]): number {
  let at = start;
  let word = at;
  let isInBrackets = false;
  const end = (): void => {
    if (word < at) words.push(srcset.slice(word, at));
    word = at + 1;
  };
  for (; at < srcset.length; at++) {
    const letter = srcset[at];
    if (isInBrackets) isInBrackets = letter !== ")";
    else if (letter === "(") isInBrackets = true;
    else if (letter === ",") break;
    else if (SPACE.test(letter)) end();
  }
  end();
  return at + 1;
}

function candidateOf(name: string, words: string[]): Candidate | null {
  const widths = words.filter((word) => WIDTH.test(word));
  const heights = words.filter((word) => HEIGHT.test(word));
  const densities = words.filter((word) => DENSITY.test(word));
  const isKnown = widths.length + heights.length + densities.length === words.length;
  const isOne = widths.length + densities.length <= 1 && heights.length <= widths.length;
  const [width, density, height] = [widths, densities, heights].map(([word]) => (word ? parseFloat(word) : undefined));
  if (!isKnown || !isOne || width === 0 || height === 0) return null;
  return width === undefined ? { name, density: density ?? 1 } : { name, width };
}
