// Opens the page while the management server does not answer: its files as they
// last came, all of one version. A browser runs this only where it trusts the
// server's certificate.

const patience = 2000; // for the management server
const doubt = 5000; // so long after it did not answer, it is not waited for again
const prefix = "page-";
const elsewhere = ["/api/", "/relay/", "/docs"]; // what is no file of the page

let silent = -Infinity; // when the management server last did not answer

self.addEventListener("install", (event) => event.waitUntil(refresh().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { method, url, mode } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== location.origin || elsewhere.some((path) => pathname.startsWith(path))) return;
  const answer = fresh(event.request).catch(() => kept(event.request));
  event.respondWith(answer);
  if (mode === "navigate") event.waitUntil(answer.then(refresh).catch(() => {})); // the next opening tries again
});

async function fresh(request) {
  if (Date.now() - silent < doubt) throw new Error("the management server did not answer a moment ago");
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(patience) });
    if (response.status >= 500) throw new Error(`the management server answered ${response.status}`);
    return response;
  } catch (err) {
    silent = Date.now();
    throw err;
  }
}

async function kept(request) {
  for (const name of await versions()) {
    const response = await (await caches.open(name)).match(request, { ignoreSearch: true });
    if (response) return response;
  }
  return Response.error();
}

// refresh keeps all files of the version that the management server has, and forgets others.
async function refresh() {
  const response = await fetch("/files.json", { cache: "no-store", signal: AbortSignal.timeout(patience) });
  const { version, files } = await response.json();
  const name = prefix + version;
  const before = await versions();
  if (!before.includes(name)) {
    try {
      await (await caches.open(name)).addAll(files.map((file) => new Request(file, { cache: "reload" })));
    } catch (err) {
      await caches.delete(name); // it is whole, or not there
      throw err;
    }
  }
  await Promise.all(before.filter((old) => old !== name).map((old) => caches.delete(old)));
}

async function versions() {
  return (await caches.keys()).filter((name) => name.startsWith(prefix));
}
