// Before the page is drawn: the theme that was chosen last, if any.
"use strict";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch { /* without storage, the system's theme */ }
