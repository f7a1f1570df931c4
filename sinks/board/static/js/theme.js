// Before the first paint, and therefore no module: dark or light by the address (for screens that
// keep nothing), else by the viewer's choice, else by the system's.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const named = new URLSearchParams(location.search).get("theme");
  let pressed = !["auto", "dark", "light"].includes(named);
  const chosen = () => {
    if (!pressed) return named;
    try {
      return localStorage.getItem("callboard-theme") || "auto";
    } catch {
      return root.dataset.choice || "auto";
    }
  };
  const apply = () => {
    const choice = chosen();
    root.dataset.choice = choice;
    root.dataset.theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
  };
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  window.callboardTheme = {
    next() {
      const order = ["auto", "dark", "light"];
      const choice = order[(order.indexOf(chosen()) + 1) % order.length];
      root.dataset.choice = choice;
      pressed = true;
      try {
        localStorage.setItem("callboard-theme", choice);
      } catch {
        // A browser that keeps nothing keeps the choice for this page only.
      }
      apply();
      return choice;
    },
  };
  apply();
})();
