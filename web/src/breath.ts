/**
 * Lets others have their turn during long work, such as a message that nobody waits for a picture any longer.
 *
 * It rejects if the work is to be given up. It may be called often, as it returns at once unless time has passed.
 */
export type Breath = () => Promise<void>;
