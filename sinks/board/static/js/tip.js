// One explanation for whatever is hovered or focused: an element with a `tip` function that returns
// lines of [class, text]. It follows the pointer's element and the keyboard alike, Escape hides it.

import { h } from "./dom.js";

const box = document.getElementById("tip");
let owner = null;
let dismissed = null;

function find(target) {
  for (let node = target; node instanceof Element; node = node.parentElement) {
    if (node.tip) return node;
  }
  return null;
}

function fill() {
  const lines = owner.tip();
  box.replaceChildren(...lines.filter(([, text]) => text).map(([kind, text]) => h("p", { class: kind }, text)));
  return lines.length > 0;
}

function place() {
  const at = owner.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const room = document.documentElement;
  const left = Math.min(Math.max(8, at.left), room.clientWidth - width - 8);
  const below = at.bottom + 6;
  const fits = below + height <= room.clientHeight - 8;
  const top = fits ? below : Math.max(8, at.top - height - 6);
  box.style.left = `${left}px`;
  box.style.top = `${top}px`;
}

function show(node) {
  if (node === owner || node === dismissed) return;
  hide();
  owner = node;
  box.hidden = !fill();
  if (box.hidden) return;
  owner.setAttribute("aria-describedby", "tip");
  place();
}

function hide() {
  owner?.removeAttribute("aria-describedby");
  owner = null;
  box.hidden = true;
}

export function refreshTip() {
  if (!owner) return;
  if (!owner.isConnected) hide();
  else if (fill()) place();
}

function update(target) {
  const node = find(target) ?? find(document.activeElement);
  if (node !== dismissed) dismissed = null;
  if (node) show(node);
  else hide();
}

export function watchTips() {
  document.addEventListener("pointerover", ({ target, relatedTarget }) => {
    // What Escape has hidden stays hidden until the pointer comes to it anew.
    if (find(relatedTarget) !== dismissed) dismissed = null;
    update(target);
  });
  document.addEventListener("pointerleave", () => update(null));
  document.addEventListener("focusin", (event) => update(event.target));
  document.addEventListener("focusout", (event) => update(event.relatedTarget));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && owner) {
      dismissed = owner;
      hide();
    }
  });
  addEventListener("scroll", () => owner && place(), { passive: true });
}
