/** The stage: one picture, or two with a divider, at any zoom and place, on one canvas of the window's size. */

/** Screen pixels a pixel of the picture; what + and − step through. */
const STEPS = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32];
const LEAST = STEPS[0];
const MOST = STEPS.at(-1)!;
/** Part of the window that an arrow key moves. */
const STRIDE = 0.1;

export type Zoom = number | "fit";

export class Stage {
  zoom: Zoom = "fit";
  /** Where the divider is, as a part of the window's width. */
  split = 0.5;

  private first: HTMLCanvasElement | null = null;
  private second: HTMLCanvasElement | null = null;
  /** The point of the first picture, in its pixels, that is in the middle of the window. */
  private centre = { x: 0, y: 0 };
  private readonly context: CanvasRenderingContext2D;
  private readonly fingers = new Map<number, { x: number; y: number }>();
  private isDue = false;

  /** changed: is called whenever zoom or divider may have changed. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly changed: () => void,
  ) {
    this.context = canvas.getContext("2d")!;
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement!);
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"] as const) {
      canvas.addEventListener(end, (event) => this.fingers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** Shows a picture, or two; the second is stretched to the first one's size. A picture of another size is fitted anew. */
  show(first: HTMLCanvasElement | null, second: HTMLCanvasElement | null): void {
    const same = this.first && first && this.first.width === first.width && this.first.height === first.height;
    this.first = first;
    this.second = second;
    if (!same) {
      this.zoom = "fit";
      this.centre = { x: (first?.width ?? 0) / 2, y: (first?.height ?? 0) / 2 };
    }
    this.draw();
  }

  /** Screen pixels a pixel of the picture. */
  get scale(): number {
    if (!this.first) return 1;
    if (this.zoom !== "fit") return this.zoom;
    const { width, height } = this.window;
    // Small pictures are as large as web pages show them.
    return Math.min(devicePixelRatio, width / this.first.width, height / this.first.height);
  }

  /** Zooms; `at`, a point of the window in screen pixels, stays where it is. Default: its middle. */
  zoomTo(zoom: Zoom, at?: { x: number; y: number }): void {
    const { width, height } = this.window;
    const { x, y } = at ?? { x: width / 2, y: height / 2 };
    const before = this.scale;
    this.zoom = zoom === "fit" ? zoom : Math.min(MOST, Math.max(LEAST, zoom));
    const change = 1 / before - 1 / this.scale;
    this.centre.x += (x - width / 2) * change;
    this.centre.y += (y - height / 2) * change;
    this.draw();
  }

  /** Zooms to the next step, up or down. */
  step(up: boolean): void {
    const now = this.scale;
    const next = up ? STEPS.find((step) => step > now * 1.001) : STEPS.findLast((step) => step < now / 1.001);
    if (next !== undefined) this.zoomTo(next);
  }

  /** Moves the window over the picture by so many of its strides. */
  stride(x: number, y: number): void {
    const { width, height } = this.window;
    this.move(-x * width * STRIDE, -y * height * STRIDE);
  }

  splitTo(part: number): void {
    this.split = Math.min(1, Math.max(0, part));
    this.draw();
  }

  /** Draws before the next frame. */
  draw(): void {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.paint();
      this.changed();
    });
  }

  /** Of the window, in screen pixels. */
  private get window(): { width: number; height: number } {
    const { clientWidth, clientHeight } = this.canvas.parentElement!;
    const ratio = devicePixelRatio;
    return {
      width: Math.max(1, Math.round(clientWidth * ratio)),
      height: Math.max(1, Math.round(clientHeight * ratio)),
    };
  }

  /** Moves the picture, by screen pixels. */
  private move(x: number, y: number): void {
    const scale = this.scale;
    this.centre.x -= x / scale;
    this.centre.y -= y / scale;
    this.draw();
  }

  private paint(): void {
    const { canvas, context, first, second } = this;
    const { width, height } = this.window;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.clearRect(0, 0, width, height);
    if (!first) return;
    const scale = this.scale;
    const [wide, high] = [first.width * scale, first.height * scale];
    // A picture that is smaller than the window is in its middle; a larger one leaves no gap.
    const kept = (centre: number, length: number, shown: number, room: number): number =>
      shown <= room ? length / 2 : Math.min(length - room / scale / 2, Math.max(room / scale / 2, centre));
    this.centre.x = kept(this.centre.x, first.width, wide, width);
    this.centre.y = kept(this.centre.y, first.height, high, height);
    const left = Math.round(width / 2 - this.centre.x * scale);
    const top = Math.round(height / 2 - this.centre.y * scale);
    context.imageSmoothingEnabled = scale < 1;
    context.imageSmoothingQuality = "high";
    checker(context, left, top, wide, high);
    const at = second ? Math.round(width * this.split) : width;
    this.part(first, first, left, top, scale, 0, at);
    if (second) this.part(second, first, left, top, scale, at, width);
  }

  /** Draws what columns from..to of the window show of a picture, which is stretched to the size of `like`. */
  private part(
    picture: HTMLCanvasElement,
    like: HTMLCanvasElement,
    left: number,
    top: number,
    scale: number,
    from: number,
    to: number,
  ): void {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, context.canvas.height);
    context.clip();
    // Only pixels that are seen: browsers are slow with pictures that are huge when enlarged.
    const { width, height } = context.canvas;
    const [x, y] = [Math.max(0, Math.floor((from - left) / scale)), Math.max(0, Math.floor(-top / scale))];
    const right = Math.min(like.width, Math.ceil((Math.min(to, width) - left) / scale));
    const bottom = Math.min(like.height, Math.ceil((height - top) / scale));
    if (right > x && bottom > y) {
      const [sx, sy] = [picture.width / like.width, picture.height / like.height];
      context.drawImage(
        picture,
        x * sx,
        y * sy,
        (right - x) * sx,
        (bottom - y) * sy,
        left + x * scale,
        top + y * scale,
        (right - x) * scale,
        (bottom - y) * scale,
      );
    }
    context.restore();
  }

  private press(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
  }

  private drag(event: PointerEvent): void {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.offsetX, y: event.offsetY };
    const others = [...this.fingers].filter(([id]) => id !== event.pointerId).map(([, finger]) => finger);
    this.fingers.set(event.pointerId, now);
    const ratio = devicePixelRatio;
    if (others.length === 0) {
      this.move((now.x - before.x) * ratio, (now.y - before.y) * ratio);
    } else if (others.length === 1) {
      const [other] = others;
      const distance = (finger: { x: number; y: number }) => Math.hypot(finger.x - other.x, finger.y - other.y) || 1;
      const middle = { x: ((now.x + other.x) / 2) * ratio, y: ((now.y + other.y) / 2) * ratio };
      this.move(((now.x - before.x) / 2) * ratio, ((now.y - before.y) / 2) * ratio);
      this.zoomTo((this.scale * distance(now)) / distance(before), middle);
    }
  }

  private wheel(event: WheelEvent): void {
    if (!this.first) return;
    const unit = (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1) * devicePixelRatio;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const at = { x: event.offsetX * devicePixelRatio, y: event.offsetY * devicePixelRatio };
      this.zoomTo(this.scale * Math.exp(-event.deltaY * 0.005), at);
    } else if (this.zoom !== "fit") {
      event.preventDefault();
      const [x, y] = event.shiftKey ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
      this.move(-x * unit, -y * unit);
    }
  }
}

/** The squares that show through where a picture is transparent. */
function checker(context: CanvasRenderingContext2D, x: number, y: number, width: number, height: number): void {
  const side = 8 * devicePixelRatio;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 2 * side;
  const small = tile.getContext("2d")!;
  const style = getComputedStyle(context.canvas);
  small.fillStyle = style.getPropertyValue("--checker-light");
  small.fillRect(0, 0, 2 * side, 2 * side);
  small.fillStyle = style.getPropertyValue("--checker-dark");
  small.fillRect(0, 0, side, side);
  small.fillRect(side, side, side, side);
  context.fillStyle = context.createPattern(tile, "repeat")!;
  context.fillRect(x, y, width, height);
}
