/** Text that the page holds as gzip in base64. */
function unzipped(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

/** Set `vegaEmbed`, which takes a while. */
async function loadVega() {
  const script = document.createElement("script");
  script.textContent = await unzipped(document.getElementById("vega").textContent);
  document.head.append(script);
}
