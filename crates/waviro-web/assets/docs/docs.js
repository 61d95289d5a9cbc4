// Copies samples, keeps all of them in the reader's language, and marks where on the page one is.
(() => {
  const status = document.getElementById('status');
  const copied = document.body.dataset.copied;

  // Plain http on a local network has no clipboard API.
  const byHand = (text) => {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'hidden';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  };

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return byHand(text);
    }
  };

  for (const button of document.querySelectorAll('.copy')) {
    const label = button.innerHTML;
    button.hidden = false;
    button.addEventListener('click', async () => {
      if (!(await copy(button.parentElement.querySelector('code').textContent))) return;
      button.textContent = copied;
      status.textContent = copied;
      button.focus();
      setTimeout(() => {
        button.innerHTML = label;
        status.textContent = '';
      }, 1600);
    });
  }

  const remembered = 'waviro-docs-language';
  const radios = [...document.querySelectorAll('.tabs input')];
  const choose = (value) => {
    for (const radio of radios) if (radio.value === value) radio.checked = true;
  };
  try {
    choose(localStorage.getItem(remembered));
  } catch {
    // Storage may be switched off; the page works without.
  }
  for (const radio of radios) {
    radio.addEventListener('change', () => {
      // What is above may change its height: what was chosen stays where it is.
      const before = radio.getBoundingClientRect().top;
      choose(radio.value);
      scrollBy({ top: radio.getBoundingClientRect().top - before, behavior: 'instant' });
      try {
        localStorage.setItem(remembered, radio.value);
      } catch {
        // As above.
      }
    });
  }

  const contents = document.querySelector('details.contents');
  contents.addEventListener('click', (event) => {
    if (event.target.closest('a')) contents.open = false;
  });

  const links = new Map();
  for (const link of document.querySelectorAll('.side a[href^="#"]')) {
    links.set(link.getAttribute('href').slice(1), link);
  }
  const places = [...links.keys()].map((id) => document.getElementById(id));
  let current;
  const mark = () => {
    const passed = places.filter((place) => place.getBoundingClientRect().top < innerHeight * 0.3);
    const link = links.get((passed.at(-1) ?? places[0]).id);
    if (link === current) return;
    current?.removeAttribute('aria-current');
    link.setAttribute('aria-current', 'location');
    link.scrollIntoView({ block: 'nearest' });
    current = link;
  };
  let waiting = false;
  addEventListener('scroll', () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      mark();
    });
  }, { passive: true });
  mark();
})();
