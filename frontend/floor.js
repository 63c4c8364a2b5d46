/*
 * The floor: starts the page in browsers that are new enough, and asks for a newer one in all others. It runs first, and is
 * a classic script without modern syntax, so that old browsers can parse it.
 */
(function () {
  var RELOADED = "paidchat.reloaded";
  var script = document.currentScript;

  if (isNewEnough() && script) {
    scroll();
    start(script.getAttribute("data-page"));
  } else say("This board needs a newer browser: Chrome or Edge 105, Firefox 115, Safari 16, or anything newer.");

  /** Whether the browser has everything the page needs, and is one of the supported versions. */
  function isNewEnough() {
    try {
      return (
        "noModule" in HTMLScriptElement.prototype &&
        [
          window.fetch,
          window.AbortController,
          window.AbortSignal.timeout,
          window.WebSocket,
          window.URLSearchParams,
          window.ResizeObserver,
          window.IntersectionObserver,
          window.crypto.getRandomValues,
          window.requestAnimationFrame,
          window.WeakMap,
          Intl.RelativeTimeFormat,
          Intl.NumberFormat,
          Intl.DateTimeFormat,
          Array.from,
          Array.prototype.at,
          Array.prototype.flatMap,
          Array.prototype.includes,
          Object.entries,
          Promise.prototype.finally,
          String.prototype.normalize,
          String.prototype.padStart,
          String.prototype.replaceAll,
          HTMLFormElement.prototype.requestSubmit,
        ].every(isFunction) &&
        new RegExp("^\\p{Lu}$", "u").test("A") &&
        CSS.supports("container-type", "inline-size") // not used here, but no older browser has it
      );
    } catch (_) {
      return false;
    }
  }

  /** @param {unknown} thing */
  function isFunction(thing) {
    return typeof thing === "function";
  }

  /** Shows, before the first paint, what the page opens at: the message that its address leads to, else the newest. */
  function scroll() {
    var target = document.querySelector(".target");
    if (target) target.scrollIntoView({ block: "center" });
    else if (!location.hash && document.querySelector(".message")) window.scrollTo(0, document.documentElement.scrollHeight);
  }

  /** @param {string | null} address of the page's module */
  function start(address) {
    var page = document.createElement("script");
    page.type = "module";
    page.src = String(address);
    page.onload = page.onerror = function () {
      if (document.documentElement.getAttribute("data-page") === "started") forgetReload();
      else if (mayReload()) location.reload();
      else
        say(
          "This page couldn’t start. Please reload it. If that doesn’t help, it may need a newer browser: Chrome or Edge 105, Firefox 115, Safari 16, or anything newer."
        );
    };
    document.head.appendChild(page);
  }

  /**
   * Whether to try again with a new document: during an upgrade, modules of two versions may have met. Once only, and not
   * at all where that can't be remembered.
   */
  function mayReload() {
    try {
      if (sessionStorage.getItem(RELOADED)) return false;
      sessionStorage.setItem(RELOADED, "yes");
      return true;
    } catch (_) {
      return false;
    }
  }

  function forgetReload() {
    try {
      sessionStorage.removeItem(RELOADED);
    } catch (_) {
      // nothing was stored
    }
  }

  /** @param {string} english to be shown in the document's language, as words.js would */
  function say(english) {
    var table = document.getElementById("words");
    var words = (table && JSON.parse(String(table.textContent))[english]) || english;
    var placeholder = find("placeholder");
    placeholder.setAttribute("data-kind", "stopped");
    placeholder.setAttribute("role", "alert");
    placeholder.textContent = words;
    placeholder.hidden = false;
    find("log").setAttribute("aria-busy", "false");
    find("composer").hidden = true;
    find("connection").hidden = true;
    find("skip").hidden = true; // it links to the composer
  }

  /** @param {string} id */
  function find(id) {
    return /** @type {HTMLElement} */ (document.getElementById(id));
  }
})();
