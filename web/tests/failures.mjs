/** A reporter of node:test: what failed, as soon as it has. */

/** Of a message; that of two large values that differ may be very long. */
const MOST_CHARACTERS = 2000;

export default async function* (events) {
  let last = "no test";
  for await (const { type, data } of events) {
    if (type === "test:pass") last = data.name;
    if (type !== "test:fail") continue;
    const { failureType, cause, message } = data.details.error;
    if (failureType === "subtestsFailed") continue; // they have been told
    const what = failureType === "testTimeoutFailure" ? `${message}, behind: ${last}` : `${cause?.message ?? cause}`;
    yield `\nfailed: ${data.name}\n${what.slice(0, MOST_CHARACTERS)}\n`;
  }
}
