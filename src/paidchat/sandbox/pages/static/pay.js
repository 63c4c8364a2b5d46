// Optional extras for the hosted page: pick a test card with a tap, and ignore a double click on Pay.
// Everything works without this file.

const form = document.querySelector("form#checkout");
const card = document.querySelector("input#card");
const byCard = document.querySelector("input#method-card");
const pay = document.querySelector("button#pay");

for (const pick of document.querySelectorAll("button[data-card]")) {
  pick.addEventListener("click", () => {
    if (!(pick instanceof HTMLElement && card instanceof HTMLInputElement)) return;
    card.value = pick.dataset.card ?? "";
    card.focus();
    if (byCard instanceof HTMLInputElement) byCard.checked = true;
  });
}

if (form instanceof HTMLFormElement && pay instanceof HTMLElement) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
    pay.setAttribute("aria-disabled", "true");
    pay.textContent = "Paying…";
  });
  // After the browser's Back button the page would be shown as it was left.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) window.location.reload();
  });
}
