// Keeps an open page true, and makes it handier. Every page says and does everything without it.

const body = document.body

document.documentElement.classList.add('live')

function showTimes(within) {
  const format = new Intl.DateTimeFormat(body.dataset.locale, { dateStyle: 'medium', timeStyle: 'medium' })
  for (const time of within.querySelectorAll('time[datetime]')) {
    const at = new Date(time.dateTime)
    if (!Number.isNaN(at.getTime())) time.textContent = format.format(at)
  }
}

function countDown() {
  for (const ring of document.querySelectorAll('.countdown[data-until]')) {
    const left = Math.max(0, (new Date(ring.dataset.until) - Date.now()) / 1000)
    const whole = Math.max(Number(ring.dataset.whole || 0), left, 1)
    ring.dataset.whole = whole
    ring.querySelector('.left').style.strokeDashoffset = 100 - (left / whole) * 100
    ring.querySelector('span').textContent = `${Math.ceil(left)} s`
  }
}

// The page requests its live part again after each change that the gateway reports, and after a
// pause of the stream. A change that is reported during a request causes one more request after
// the answer is shown; otherwise the change would be missed.
let asking = false
let again = false

function changed() {
  if (asking) again = true
  else body.dispatchEvent(new CustomEvent('changed'))
}

function answered() {
  asking = false
  if (!again) return
  again = false
  changed()
}

// Only while somebody looks: a browser has six connections to a host, for all of its tabs.
function follow(url) {
  let source
  const close = () => {
    source?.close()
    source = undefined
  }
  const open = () => {
    if (source || document.hidden) return
    source = new EventSource(url)
    source.addEventListener('changed', changed)
  }
  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()))
  addEventListener('pagehide', close)
  addEventListener('pageshow', open)
  open()
}

body.addEventListener('htmx:beforeRequest', () => { asking = true })
for (const end of ['afterSettle', 'responseError', 'sendError', 'sendAbort', 'timeout', 'swapError']) {
  body.addEventListener(`htmx:${end}`, answered)
}

async function copy(button) {
  const from = document.getElementById(button.dataset.copy)
  const text = 'value' in from ? from.value : from.textContent
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    // Without TLS a browser has no clipboard for pages: the reader copies what is marked.
    if ('select' in from) from.select()
    else getSelection().selectAllChildren(from)
    return
  }
  document.getElementById('status').textContent = body.dataset.copied
  button.classList.add('done')
  setTimeout(() => button.classList.remove('done'), 1500)
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-copy]')
  if (button) copy(button)
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (!menu.contains(event.target)) menu.open = false
  }
})

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    menu.open = false
    menu.querySelector('summary').focus()
  }
})

// One press sends once.
document.addEventListener('submit', (event) => {
  const form = event.target
  if (form.method !== 'post') return
  if (form.dataset.sent) event.preventDefault()
  form.dataset.sent = 'true'
  form.dataset.kept = 'true'
  // Where the answer never came, it may be sent again.
  setTimeout(() => delete form.dataset.sent, 5000)
})
addEventListener('pageshow', () => {
  for (const form of document.forms) delete form.dataset.sent
})
document.addEventListener('input', (event) => delete event.target.form?.dataset.kept)
// As it was: the gateway knows the same form by its fields, and does it once.
body.addEventListener('htmx:oobBeforeSwap', (event) => {
  if (event.detail.target.form?.dataset.kept) event.preventDefault()
})

// What the reader opened or closed stays so when its part comes anew.
let opened = new Map()
body.addEventListener('htmx:beforeSwap', (event) => {
  const all = event.detail.target.querySelectorAll('details[id]')
  opened = new Map([...all].map((one) => [one.id, one.open]))
})
body.addEventListener('htmx:afterSwap', () => {
  for (const [id, open] of opened) {
    const one = document.getElementById(id)
    if (one) one.open = open
  }
})

body.addEventListener('htmx:afterSettle', (event) => {
  showTimes(event.target)
  countDown()
})

showTimes(document)
countDown()
setInterval(countDown, 1000)
if (body.dataset.live && document.getElementById('live')) follow(body.dataset.live)
