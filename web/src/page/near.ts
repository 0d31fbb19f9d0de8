/** Waiting until an element comes near to what is seen, as browsers do with pictures that are loaded lazily. */

/** So far below or beside the window, as in Chromium. */
const MARGIN = "1250px";

let observer: IntersectionObserver | undefined;
const waiting = new Map<Element, () => void>();

/** Resolves when the element is near to the visible part of the page; rejects with the signal's reason. */
export function near(element: Element, signal: AbortSignal): Promise<void> {
  observer ??= new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) if (isIntersecting) waiting.get(target)?.();
    },
    { rootMargin: MARGIN },
  );
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => () => {
      waiting.delete(element);
      observer!.unobserve(element);
      settle();
    };
    waiting.set(element, end(resolve));
    observer!.observe(element);
    signal.addEventListener(
      "abort",
      end(() => reject(signal.reason as Error)),
      { once: true },
    );
  });
}
