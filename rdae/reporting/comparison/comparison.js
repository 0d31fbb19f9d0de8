// Flicks between the versions of all pictures at once, at the same place; nothing is fetched.
"use strict";
(() => {
  const radios = [...document.querySelectorAll("input[name=version]")];
  const frames = [...document.querySelectorAll(".frame")];
  const zoom = document.getElementById("zoom");
  const ORIGINAL = 0, HOLD_MS = 200, STILL = 4;
  let held = false;

  const chosen = () => radios.findIndex((radio) => radio.checked);

  function show() {
    const version = held ? ORIGINAL : chosen();
    for (const section of document.querySelectorAll("section.picture")) {
      section.querySelectorAll("img").forEach((image, i) => {
        image.classList.toggle("shown", i === version);
        image.setAttribute("aria-hidden", String(i !== version));
      });
      section.querySelectorAll(".now > span").forEach((words, i) => { words.hidden = i !== version; });
      section.querySelectorAll("tbody tr").forEach((row, i) => row.classList.toggle("chosen", i === version));
    }
  }

  function choose(version) {
    const radio = radios[(version + radios.length) % radios.length];
    radio.checked = true;
    radio.labels[0].scrollIntoView({ block: "nearest", inline: "nearest" });
    show();
  }

  function hold(wanted) {
    if (held !== wanted) {
      held = wanted;
      show();
    }
  }

  // The middle of what is seen stays where it is.
  function enlarge() {
    const seen = frames.map((frame) => [
      (frame.scrollLeft + frame.clientWidth / 2) / frame.scrollWidth,
      (frame.scrollTop + frame.clientHeight / 2) / frame.scrollHeight,
    ]);
    const fit = zoom.value === "fit";
    document.body.classList.toggle("fit", fit);
    document.body.classList.toggle("large", !fit && Number(zoom.value) > 1);
    document.body.style.setProperty("--zoom", fit ? 1 : zoom.value);
    frames.forEach((frame, i) => look(frame, ...seen[i]));
  }

  // x and y: shares of width and height, which come to stand in the middle.
  function look(frame, x, y) {
    frame.scrollLeft = x * frame.scrollWidth - frame.clientWidth / 2;
    frame.scrollTop = y * frame.scrollHeight - frame.clientHeight / 2;
  }

  radios.forEach((radio) => radio.addEventListener("change", show));
  zoom.addEventListener("change", enlarge);
  document.querySelectorAll(".numbers button").forEach((button) => {
    button.addEventListener("click", () => choose(Number(button.value)));
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target === zoom) return;
    const onButton = event.target.closest("button") !== null;
    if (/^[1-9]$/.test(event.key) && Number(event.key) <= radios.length) choose(Number(event.key) - 1);
    else if (event.key === "ArrowRight") choose(chosen() + 1);
    else if (event.key === "ArrowLeft") choose(chosen() - 1);
    else if (event.key === " " && !onButton) hold(true);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keyup", (event) => { if (event.key === " ") hold(false); });
  window.addEventListener("blur", () => hold(false));

  for (const frame of frames) {
    let from = null, timer = 0;
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { x: event.clientX, y: event.clientY, left: frame.scrollLeft, top: frame.scrollTop, moved: false };
      timer = setTimeout(() => hold(true), HOLD_MS);
    });
    frame.addEventListener("pointermove", (event) => {
      if (from === null || event.pointerType === "touch") return; // a finger scrolls the frame by itself
      const x = event.clientX - from.x, y = event.clientY - from.y;
      if (!from.moved && Math.hypot(x, y) <= STILL) return;
      if (!from.moved) frame.setPointerCapture(event.pointerId);
      from.moved = true;
      clearTimeout(timer);
      frame.classList.add("drag");
      frame.scrollLeft = from.left - x;
      frame.scrollTop = from.top - y;
    });
    const end = (event) => {
      if (from === null) return;
      clearTimeout(timer);
      if (event.type === "pointerup" && !held && !from.moved) choose(chosen() + (event.shiftKey ? -1 : 1));
      from = null;
      frame.classList.remove("drag");
      hold(false);
    };
    frame.addEventListener("pointerup", end);
    frame.addEventListener("pointercancel", end);
    frame.addEventListener("pointerleave", (event) => { if (from !== null && !from.moved) end(event); });
    frame.addEventListener("dragstart", (event) => event.preventDefault());
    frame.addEventListener("contextmenu", (event) => { if (held) event.preventDefault(); });
  }

  enlarge();
  for (const frame of frames) look(frame, Number(frame.dataset.x), Number(frame.dataset.y));
  show();
})();
